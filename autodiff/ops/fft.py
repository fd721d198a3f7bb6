"""Discrete Fourier transforms: ``numpy.fft`` on traced arrays.

Three operations along one axis carry them all: complex to complex, real to complex (half of a symmetric spectrum)
and back. Transforms of several axes are transforms of one axis after another, as in NumPy, and a length other than
the axis has is a slice or a padding with zeros before. So each rule is short:

- the matrix of a complex transform is symmetric: it is its own transpose, whatever its norm;
- a half spectrum leaves out what the symmetry gives. Each entry but the first (and for an even length the last)
  stands for two, so the transposes of the two real transforms are each other, but for these factors of 2.
"""

from __future__ import annotations

import operator
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.core import Operation, Sample, Spec, implements, linear
from autodiff.core.backend import made
from autodiff.core.batching import along
from autodiff.core.errors import describe
from autodiff.core.spec import dtype_of, shape_of
from autodiff.ops.joining import as_array

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "fft",
    "fft2",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftn",
]

#: The norm that scales the transform the other way as this one scales it.
_SWAPPED = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def _complex(x: Any) -> Any:
    return np.fft.fft(np.zeros(1, dtype_of(x))).dtype


def _real(x: Any) -> Any:
    return np.fft.irfft(np.zeros(1, dtype_of(x)), 1).dtype


def _swept(shape: tuple[int, ...], axis: int, n: int) -> tuple[int, ...]:
    return (*shape[:axis], n, *shape[axis + 1 :])


_SHAPES = (((5,), 0), ((2, 4, 3), 1), ((6, 1), 0), ((2, 1), 1), ((0, 4), 1))


def _samples(kind: str) -> Callable[[np.random.Generator], list[Sample]]:
    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
        x = rng.normal(size=shape)
        return x if kind == "rfft" else x + 1j * rng.normal(size=shape)

    def samples(rng: np.random.Generator) -> list[Sample]:
        found = []
        for (shape, axis), norm in product(_SHAPES, _SWAPPED):
            params: list[dict[str, Any]] = [{}]
            if kind == "fft":
                params = [{"inverse": False}, {"inverse": True}]
            elif kind == "irfft":
                params = [{"n": n} for n in (2 * shape[axis] - 2, 2 * shape[axis] - 1) if n]
            found += [Sample((draw(rng, shape),), {"axis": axis, "norm": norm, **p}) for p in params]
        return found

    return samples


# -- the operations ------------------------------------------------------------------------------------------


def _fft_value(x: Any, axis: int, norm: Any, inverse: bool) -> Any:
    return (np.fft.ifft if inverse else np.fft.fft)(x, axis=axis, norm=norm)


_fft: Operation = linear(
    _fft_value,
    lambda ct, _y, _x, **params: _fft(ct, **params),
    name="fft",
    samples=_samples("fft"),
    shape=lambda x, **_params: Spec(x.shape, _complex(x)),
    batch=along("axis"),
)


def _twofold(n: int, factor: float, axis: int, like: Any) -> Any:
    """`factor` for the entries of half a spectrum that stand for two entries of the whole, 1 for the others."""
    weights = made(np.ones, like, n // 2 + 1, _real(like))
    weights[1 : (n + 1) // 2] = factor
    return weights.reshape((-1,) + (1,) * (len(shape_of(like)) - axis - 1))


def _rfft_transpose(ct: Any, _y: Any, _x: Any, axis: int, norm: str) -> Any:
    n = shape_of(_x)[axis]
    half = np.conjugate(ct) * _twofold(n, 0.5, axis, ct)
    return _irfft(half, axis=axis, norm=_SWAPPED[norm], n=n)


def _irfft_transpose(ct: Any, _y: Any, _x: Any, axis: int, norm: str, n: int) -> Any:
    half = np.conjugate(_rfft(ct, axis=axis, norm=_SWAPPED[norm]))
    return half * _twofold(n, 2.0, axis, ct)


_rfft = linear(
    lambda x, axis, norm: np.fft.rfft(x, axis=axis, norm=norm),
    _rfft_transpose,
    name="rfft",
    samples=_samples("rfft"),
    shape=lambda x, axis, norm: Spec(_swept(x.shape, axis, x.shape[axis] // 2 + 1), _complex(x)),
    batch=along("axis"),
)
_irfft = linear(
    lambda x, axis, norm, n: np.fft.irfft(x, n, axis=axis, norm=norm),
    _irfft_transpose,
    name="irfft",
    samples=_samples("irfft"),
    shape=lambda x, axis, norm, n: Spec(_swept(x.shape, axis, n), _real(x)),
    batch=along("axis"),
)


# -- arguments -----------------------------------------------------------------------------------------------


def _norm(name: str, norm: Any) -> str:
    if norm is None:
        return "backward"
    if norm not in _SWAPPED:
        raise ValueError(f'np.fft.{name}: norm must be "backward", "ortho" or "forward" (or None), not {norm!r}.')
    return str(norm)


def _axis(name: str, a: Any, axis: Any) -> int:
    ndim = len(shape_of(a))
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(f"np.fft.{name}: axis {axis} does not exist in {describe(a)}.")
    return int(operator.index(axis)) % ndim


def _length(name: str, n: Any, a: Any) -> int:
    n = operator.index(n)
    if n < 1:
        raise ValueError(f"np.fft.{name}: there must be at least one point, not {n} (the array is {describe(a)}).")
    return int(n)


def _fitted(name: str, a: Any, n: Any, axis: int) -> Any:
    """Cut the axis to length `n`, or fill it up with zeros."""
    have = shape_of(a)[axis]
    n = _length(name, have if n is None else n, a)
    if n < have:
        return a[(slice(None),) * axis + (slice(0, n),)]
    if n > have:
        return np.pad(a, [(0, n - have if i == axis else 0) for i in range(len(shape_of(a)))])
    return a


def _to_real(name: str, a: Any) -> Any:
    if dtype_of(a).kind == "c":
        raise TypeError(f"np.fft.{name}: the input must be real, but is {describe(a)}; take np.real(a), or use fft.")
    return a


def _sizes(name: str, a: Any, s: Any, axes: Any) -> tuple[list[Any], list[int]]:
    """Lengths and axes of a transform of several axes, in order."""
    ndim = len(shape_of(a))
    if axes is None:
        axes = range(ndim) if s is None else range(-len(s), 0)
    axes = [_axis(name, a, i) for i in axes]
    if s is not None and len(s) != len(axes):
        raise ValueError(f"np.fft.{name}: s has {len(s)} lengths for {len(axes)} axes of {describe(a)}.")
    sizes = [shape_of(a)[i] for i in axes]
    return sizes if s is None else [size if n == -1 else n for n, size in zip(s, sizes, strict=True)], axes


def _need_axes(name: str, a: Any, axes: Any) -> None:
    if not axes:
        raise ValueError(f"np.fft.{name}: at least one axis must be transformed (the array is {describe(a)}).")


# -- one axis ------------------------------------------------------------------------------------------------


def _complex_transform(name: str, inverse: bool) -> Any:
    def transform(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
        """Complex transform along one axis."""
        a = as_array(a)
        axis, norm = _axis(name, a, axis), _norm(name, norm)
        return _fft(_fitted(name, a, n, axis), axis=axis, norm=norm, inverse=inverse)

    return implements(getattr(np.fft, name))(transform)


fft = _complex_transform("fft", inverse=False)
ifft = _complex_transform("ifft", inverse=True)


@implements(np.fft.rfft)
def rfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """Transform of real values: the half of a symmetric spectrum."""
    a = _to_real("rfft", as_array(a))
    axis, norm = _axis("rfft", a, axis), _norm("rfft", norm)
    return _rfft(_fitted("rfft", a, n, axis), axis=axis, norm=norm)


@implements(np.fft.irfft)
def irfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """Real values with the symmetric spectrum of which one half is given."""
    a = as_array(a)
    axis, norm = _axis("irfft", a, axis), _norm("irfft", norm)
    n = _length("irfft", 2 * shape_of(a)[axis] - 2 if n is None else n, a)
    z = a if dtype_of(a).kind == "c" else a.astype(_complex(a))
    y = _irfft(_fitted("irfft", z, n // 2 + 1, axis), axis=axis, norm=norm, n=n)
    return y if dtype_of(y) == _real(a) else y.astype(_real(a))  # float16, which NumPy keeps here alone


@implements(np.fft.hfft)
def hfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """Real spectrum of the symmetric values of which one half is given."""
    a = as_array(a)
    axis, norm = _axis("hfft", a, axis), _SWAPPED[_norm("hfft", norm)]
    n = _length("hfft", 2 * shape_of(a)[axis] - 2 if n is None else n, a)
    return irfft(np.conjugate(a), n, axis, norm)


@implements(np.fft.ihfft)
def ihfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """Half of the symmetric values with the real spectrum that is given."""
    a = _to_real("ihfft", as_array(a))
    return np.conjugate(rfft(a, n, axis, _SWAPPED[_norm("ihfft", norm)]))


# -- several axes --------------------------------------------------------------------------------------------


def _in_turn(transform: Any, a: Any, lengths: Sequence[Any], axes: Sequence[int], norm: Any) -> Any:
    for n, axis in zip(reversed(lengths), reversed(axes), strict=True):
        a = transform(a, n, axis, norm)
    return a


def _of_axes(name: str, one: Any, default: Any) -> Any:
    def transform(a: Any, s: Any = None, axes: Any = default, norm: Any = None, out: Any = None) -> Any:
        """Complex transform along several axes."""
        a = as_array(a)
        return _in_turn(one, a, *_sizes(name, a, s, axes), norm)

    return implements(getattr(np.fft, name))(transform)


fftn, ifftn = _of_axes("fftn", fft, None), _of_axes("ifftn", ifft, None)
fft2, ifft2 = _of_axes("fft2", fft, (-2, -1)), _of_axes("ifft2", ifft, (-2, -1))


def _last_first(name: str, default: Any) -> Any:
    def transform(a: Any, s: Any = None, axes: Any = default, norm: Any = None, out: Any = None) -> Any:
        """Transform of real values along several axes: half the spectrum on the last."""
        a = as_array(a)
        lengths, axes = _sizes(name, a, s, axes)
        _need_axes(name, a, axes)
        return _in_turn(fft, rfft(a, lengths[-1], axes[-1], norm), lengths[:-1], axes[:-1], norm)

    return implements(getattr(np.fft, name))(transform)


def _last_last(name: str, default: Any) -> Any:
    def transform(a: Any, s: Any = None, axes: Any = default, norm: Any = None, out: Any = None) -> Any:
        """Real values with the symmetric spectrum of which one half, on the last axis, is given."""
        a = as_array(a)
        lengths, axes = _sizes(name, a, s, axes)
        _need_axes(name, a, axes)
        for n, axis in zip(lengths[:-1], axes[:-1], strict=True):
            a = ifft(a, n, axis, norm)
        return irfft(a, None if s is None else lengths[-1], axes[-1], norm)

    return implements(getattr(np.fft, name))(transform)


rfftn, rfft2 = _last_first("rfftn", None), _last_first("rfft2", (-2, -1))
irfftn, irfft2 = _last_last("irfftn", None), _last_last("irfft2", (-2, -1))


# -- order ---------------------------------------------------------------------------------------------------


def _shift(name: str, sign: int) -> Any:
    def shift(x: Any, axes: Any = None) -> Any:
        """Move the zero frequency to the middle of the axes, or back."""
        ndim = len(shape_of(x))
        axes = tuple(range(ndim)) if axes is None else np.atleast_1d(axes).tolist()
        sizes = [shape_of(x)[_axis(name, x, i)] for i in axes]
        return np.roll(x, [n // 2 if sign > 0 else -(n // 2) for n in sizes], list(axes))

    return implements(getattr(np.fft, name))(shift)


fftshift = _shift("fftshift", 1)
ifftshift = _shift("ifftshift", -1)
