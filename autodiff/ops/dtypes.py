"""Operations between dtypes: casts, and the real and imaginary parts of complex arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Boundary, Sample, Spec, Tracer, elementwise, implements, install_method, linear
from autodiff.core.assignment import Step, copied
from autodiff.core.backend import array_of
from autodiff.core.batching import all_values, pointwise
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.elementwise import conjugate
from autodiff.ops.shape import broadcast_to, linked

__all__ = ["angle", "astype", "imag", "real"]


def _cast(x: Any, dtype: Any) -> Any:
    y = array_of(x).astype(dtype)
    return y if y.shape or type(y) is not np.ndarray else y[()]


cast = linear(
    _cast,
    # The sweep itself gives the adjoint the dtype of the argument (and takes the real part where that is real).
    lambda ct, _y, _x, dtype: ct,
    name="cast",
    samples=lambda rng: [
        Sample((rng.normal(size=(2, 3)),), {"dtype": np.dtype(np.float64)}),
        Sample((rng.normal(size=()),), {"dtype": np.dtype(np.complex128)}),
        Sample((rng.normal(size=(0, 2)),), {"dtype": np.dtype(np.float64)}),
    ],
    shape=lambda x, dtype: Spec(x.shape, dtype),
    structural=True,
    batch=pointwise,
)


def astype(x: Any, dtype: Any, order: str = "K", casting: Any = "unsafe", subok: bool = True, copy: bool = True) -> Any:
    """Cast a traced array; a complex value cast to a real dtype is refused, as it would drop half of it."""
    source, target = dtype_of(x), np.dtype(dtype)
    if not np.can_cast(source, target, casting):
        raise TypeError(f"astype: cannot cast {describe(x)} to {target} by the rule casting={casting!r}.")
    if target == source:
        return copied(x) if copy and isinstance(x, Tracer) and shape_of(x) else x
    if source.kind == "c" and target.kind in "fiu":
        raise TypeError(f"astype: casting {describe(x)} to {target} discards the imaginary part; use np.real(x) first.")
    return cast(x, dtype=target)


def real_part(x: Any) -> Any:
    """Real part; real arrays pass through."""
    return np.real(x)


_real = elementwise(
    real_part,
    lambda t, _y, _x: np.real(t),
    transposes=(lambda ct, _y, _x: ct,),
    linear_args=(0,),
    name="real",
    boundary=(Boundary((1.0,), (1.0,)),),
)
_imag = elementwise(
    np.imag,
    lambda t, _y, _x: np.imag(t),
    transposes=(lambda ct, _y, _x: ct * -1j,),
    linear_args=(0,),
    name="imag",
)


@implements(np.real)
def real(val: Any) -> Any:
    """Real part of a traced array: a view."""
    return linked(_real, val, Step("real", None)) if dtype_of(val).kind == "c" else val


@implements(np.imag)
def imag(val: Any) -> Any:
    """Imaginary part of a traced array, a view: read-only zeros, without derivative, for a real one."""
    if dtype_of(val).kind == "c":
        return linked(_imag, val, Step("imag", None))
    return broadcast_to(np.zeros_like(val), shape_of(val))


@implements(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    """Angle of a complex number; its derivative at 0 is NaN."""
    a = np.arctan2(imag(z), real(z))
    return a * (180 / np.pi) if deg else a


@implements(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    """Whether the dtype is complex."""
    return dtype_of(x).kind == "c"


@implements(np.isrealobj)
def isrealobj(x: Any) -> bool:
    """Whether the dtype is not complex."""
    return dtype_of(x).kind != "c"


@implements(np.iscomplex)
def iscomplex(x: Any) -> Any:
    """Whether elements have an imaginary part."""
    return np.not_equal(imag(x), 0)


@implements(np.isreal)
def isreal(x: Any) -> Any:
    """Whether elements have no imaginary part."""
    return np.equal(imag(x), 0)


@implements(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    """Real part, if all imaginary parts are within `tol` rounding errors of 0 (an absolute bound if `tol` < 1)."""
    if dtype_of(a).kind != "c":
        return a
    bound = tol * np.finfo(dtype_of(a)).eps if tol > 1 else tol
    small = all_values(np.all(np.less(np.absolute(imag(a)), bound)))  # the examples of a map have one dtype
    return real(a) if np.all(small) else a


@implements(np.common_type)
def common_type(*arrays: Any) -> Any:
    """Floating dtype that all arrays can be cast to."""
    return np.common_type(*(np.empty(0, dtype_of(a)) for a in arrays))


@implements(np.result_type)
def result_type(*arrays_and_dtypes: Any) -> Any:
    """Promote dtypes."""
    return np.result_type(*(dtype_of(a) if isinstance(a, Tracer) else a for a in arrays_and_dtypes))


if hasattr(np, "astype"):  # NumPy 2.1

    @implements(np.astype)
    def _astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
        """The function form of ``x.astype(dtype)``."""
        return astype(x, dtype, copy=copy)


install_method("astype", astype)
for _name in ("conj", "conjugate"):  # these methods, unlike np.conjugate, return a real array itself
    install_method(_name, lambda self: conjugate(self) if dtype_of(self).kind == "c" else self)
