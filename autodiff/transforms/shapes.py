"""`eval_shape`: what a function would return, without computing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import tree
from autodiff.core.abstract import AbstractLevel, AbstractTracer
from autodiff.core.spec import Spec, dtype_of, spec_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["eval_shape"]


def eval_shape(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Shapes and dtypes of the result of a function, from those of its arguments: nothing is computed.

    Parameters
    ----------
    f : callable
        A function written with NumPy, which may use `grad`, `jvp` and the other transforms.
    *args : tree of Spec, arrays or numbers
        What stands for the arguments; only shapes and dtypes are read. A Python number stands for some Python
        number, which does not decide the dtype of a result.
    **kwargs
        Passed on; a `Spec` in them stands for an array, anything else is itself (an axis, a size).

    Returns
    -------
    tree of Spec
        The tree of the result, with a `Spec` for each array or number.

    Raises
    ------
    ShapeOnlyError
        If the program needs a value: ``if x > 0``, ``float(x)``, ``x[mask]``, ``np.nonzero``.

    Examples
    --------
    >>> import numpy as np
    >>> from autodiff import Spec, grad
    >>> eval_shape(lambda w, x: np.tanh(x @ w), Spec((10**6, 3)), Spec((2, 10**6)))
    Spec((2, 3), float64)
    >>> eval_shape(grad(lambda w: np.sum(w**2)), Spec((5,), "float32"))
    Spec((5,), float32)
    """
    if not callable(f):
        raise TypeError(f"eval_shape: the first argument must be a function, not {type(f).__name__}.")
    level = AbstractLevel("eval_shape")
    values = tree.map(lambda x: _abstract(level, x), args, strict=False)
    options = tree.map(lambda x: _abstract(level, x) if isinstance(x, Spec) else x, kwargs, strict=False)
    with level.running():
        out = f(*values, **options)
    return tree.map(_result, out, strict=False)


def _abstract(level: AbstractLevel, x: Any) -> Any:
    if isinstance(x, (bool, int, float, complex)) and not isinstance(x, np.generic):
        return AbstractTracer(level, spec_of(x), type(x))
    if isinstance(x, Spec) or (hasattr(x, "shape") and hasattr(x, "dtype") and dtype_of(x).kind in "fciub"):
        return AbstractTracer(level, spec_of(x))
    return x


def _result(x: Any) -> Any:
    numeric = isinstance(x, (bool, int, float, complex)) or (hasattr(x, "shape") and hasattr(x, "dtype"))
    return spec_of(x) if numeric else x
