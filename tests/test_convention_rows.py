"""Every row of the tables of conventions has a check here, and every check a row."""

from __future__ import annotations

import pytest

from tests import convention_rows_linalg, convention_rows_numpy, convention_rows_special  # noqa: F401 - they register
from tests.convention_rows import CHECKS, rows

TABLES = {"autodiff/CONVENTIONS.md": rows("autodiff/CONVENTIONS.md"), "README.md": rows("README.md", "Conventions")}


def test_every_row_has_a_check_and_every_check_a_row():
    for document, table in TABLES.items():
        assert len(table) >= 10
        assert len(set(table)) == len(table), "two rows begin alike"
        checked = {title for place, title in CHECKS if place == document}
        assert set(table) - checked == set(), f"rows of {document} without a check"
        assert checked - set(table) == set(), f"checks of rows that {document} lacks"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's own, of the values
@pytest.mark.parametrize(("document", "title"), CHECKS, ids=[f"{d[-9:]}: {t}"[:60] for d, t in CHECKS])
def test_rows(document, title):
    CHECKS[document, title]()
