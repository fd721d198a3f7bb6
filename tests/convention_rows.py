"""What the checks of the tables of conventions share: the rows that are written in the documents, and two helpers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import hessian, jacfwd, jacrev

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
#: Check of each row, by the document and the text of the row's first column.
CHECKS: dict[tuple[str, str], Callable[[], None]] = {}


def rows(document: str, section: str = "") -> list[str]:
    """First columns of the tables of a document, of one section if it is named."""
    text = (ROOT / document).read_text(encoding="utf-8")
    if section:
        text = text.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    body = re.findall(r"^\|---.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [line.split(" | ")[0].removeprefix("| ") for table in body for line in table.splitlines()]


def row(*titles: str, document: str = "autodiff/CONVENTIONS.md") -> Callable[[Any], Any]:
    """Make a function the check of these rows (a decorator)."""

    def register(check: Any) -> Any:
        for title in titles:
            assert (document, title) not in CHECKS, f"two checks of the row {title!r}"
            CHECKS[document, title] = check
        return check

    return register


def slopes(f: Any, x: Any) -> Any:
    """Derivatives of a function of one array, which both modes must agree about."""
    x = np.asarray(x, None if np.asarray(x).dtype.kind in "fc" else float)[()]
    forward, reverse = jacfwd(f)(x), jacrev(f)(x)
    np.testing.assert_allclose(forward, reverse, rtol=1e-12, atol=1e-14)
    return np.asarray(reverse)


def has(f: Any, x: Any, first: Any, second: Any = None, *, rtol: float = 1e-12) -> None:
    """Check that a function has these derivatives at a point."""
    np.testing.assert_allclose(slopes(f, x), first, rtol=rtol, atol=1e-14)
    if second is not None:
        x = np.asarray(x, float)[()]
        np.testing.assert_allclose(hessian(f)(x), second, rtol=rtol, atol=1e-12)
        np.testing.assert_allclose(jacfwd(jacfwd(f))(x), second, rtol=rtol, atol=1e-12)
