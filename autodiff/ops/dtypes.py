"""Operations between dtypes: casts, and the real and imaginary parts of complex arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodiff.core import Boundary, Sample, Spec, Tracer, elementwise, implements, install_method, linear
from autodiff.core.spec import dtype_of, shape_of

__all__ = ["angle", "astype", "imag", "real"]


def _cast(x: Any, dtype: Any) -> Any:
    return np.asarray(x).astype(dtype)[()]


cast = linear(
    _cast,
    # The sweep itself gives the adjoint the dtype of the argument (and takes the real part where that is real).
    lambda ct, _y, _x, dtype: ct,
    name="cast",
    samples=lambda rng: [Sample((rng.normal(size=(2, 3)),), {"dtype": np.dtype(np.float64)})],
    shape=lambda x, dtype: Spec(x.shape, dtype),
    structural=True,
)


def astype(x: Any, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True) -> Any:
    """Cast a traced array; a complex value cast to a real dtype is refused, as it would drop half of it."""
    target = np.dtype(dtype)
    if target == dtype_of(x):
        return x
    if dtype_of(x).kind == "c" and target.kind == "f":
        raise TypeError(f"astype: casting {dtype_of(x)} to {target} discards the imaginary part; use np.real(x) first.")
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
    lambda x: np.imag(x),
    lambda t, _y, _x: np.imag(t),
    transposes=(lambda ct, _y, _x: ct * -1j,),
    linear_args=(0,),
    name="imag",
)


@implements(np.real)
def real(val: Any) -> Any:
    """Real part of a traced array."""
    return _real(val) if dtype_of(val).kind == "c" else val


@implements(np.imag)
def imag(val: Any) -> Any:
    """Imaginary part of a traced array: zeros, without derivative, for a real one."""
    return _imag(val) if dtype_of(val).kind == "c" else np.zeros(shape_of(val), dtype_of(val))[()]


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


@implements(np.result_type)
def result_type(*arrays_and_dtypes: Any) -> Any:
    """Promote dtypes."""
    return np.result_type(*(dtype_of(a) if isinstance(a, Tracer) else a for a in arrays_and_dtypes))


install_method("astype", astype)
install_method("real", property(real))  # type: ignore[arg-type]
install_method("imag", property(imag))  # type: ignore[arg-type]
install_method("conj", lambda self: np.conjugate(self))
install_method("conjugate", lambda self: np.conjugate(self))
