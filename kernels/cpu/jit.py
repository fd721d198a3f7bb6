"""The `kernel` decorator: Numba's `njit` without the GIL, cached under a key that sees every source file of `kernels`.

Numba keys its cache on disk by the file of the compiled function alone, so an edit in an intrinsic or a helper that
the function imports goes unnoticed. Here the key is the text of the whole package. The cache lies in
`$NUMBA_CACHE_DIR`, else beside the sources, else (a read-only installation) in the user's cache folder; where none
of them can be written, kernels are compiled anew in each process.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numba
from numba.core import caching, config

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FAST", "kernel"]

F = TypeVar("F", bound="Callable[..., Any]")

FAST = frozenset({"arcp", "contract", "afn", "reassoc", "nsz"})
"""LLVM's liberties for sums and stencils. Never `nnan` or `ninf`: a NaN in the data must come out as one."""


@functools.cache
def source_digest() -> str:
    """Return the SHA-256 of all Python sources of the package, in hexadecimal."""
    digest = hashlib.sha256()
    package = Path(__file__).parent.parent
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


class _PackageStamp:
    """A cache locator's notion of freshness: nothing in the package has changed."""

    def get_source_stamp(self) -> str:
        return source_digest()


class _UserProvided(_PackageStamp, caching.UserProvidedCacheLocator):  # type: ignore[misc]
    pass


class _InTree(_PackageStamp, caching.InTreeCacheLocator):  # type: ignore[misc]
    pass


class _UserWide(_PackageStamp, caching.UserWideCacheLocator):  # type: ignore[misc]
    pass


class _Implementation(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = [_UserProvided, _InTree, _UserWide]  # noqa: RUF012 - Numba's attribute, read as it is


class _PackageCache(caching.FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function, with the package's stamp; a disk that fails only costs the next compilation."""

    _impl_class = _Implementation

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except (OSError, EOFError):
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError:
            self.disable()


def kernel(function: F | None = None, *, fast: bool = False, inline: bool = False) -> Any:
    """Compile a module-level function on its first call with each set of argument types.

    Parameters
    ----------
    function
        The function; left out, a decorator is returned: `@kernel(fast=True)`.
    fast
        Allow the transformations of `FAST`: for sums and stencils, never for code that depends on the order of its
        additions (polynomials, compensated sums).
    inline
        Ask LLVM to inline it into the kernels that call it.

    Returns
    -------
    callable
        Numba's dispatcher. It releases the GIL. With `NUMBA_DISABLE_JIT=1` the function itself.

    Examples
    --------
    >>> @kernel
    ... def double(x):
    ...     return 2.0 * x
    >>> double(21.0)
    42.0
    """
    if function is None:
        return functools.partial(kernel, fast=fast, inline=inline)
    # Said either way: a function that leaves it open takes it from the kernel that happens to call it first.
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(FAST) if fast else False}
    if inline:
        options["forceinline"] = True
    dispatcher = numba.njit(**options)(function)
    if not config.DISABLE_JIT and not inline:
        with contextlib.suppress(RuntimeError):  # no folder to write to, or no source file: nothing is kept
            dispatcher._cache = _PackageCache(function)
    return dispatcher
