"""What the families of distributions share: arguments as SciPy takes them, location and scale, the support.

On plain arrays every method is SciPy's own. On traced arrays it is an expression of special functions: outside of the
support a density is 0, its logarithm -inf, and both have derivative 0; parameters that are not allowed give NaN.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.stats

from autodiff.core.errors import MissingRuleError, user_line
from autodiff.core.spec import dtype_of
from autodiff.scipy.special._common import fixed, is_traced, narrow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Formula = Callable[..., Any]

__all__ = ["Continuous", "Discrete"]


def _float(x: Any) -> Any:
    """Return a plain argument as a number or an array that knows its dtype."""
    return x if is_traced(x) or isinstance(x, (int, float)) else np.asarray(x)[()]


class Family:
    """A family of distributions; its methods take the arguments of the same methods in SciPy.

    Parameters
    ----------
    name
        SciPy's name of the family.
    shapes
        Names of the shape parameters.
    formulas
        The methods of the standard distribution, ``f(z, *shapes)``.
    low, high
        The support of the standard distribution: a number, or a function of the shapes.
    open_low
        Whether the lower end is outside.
    valid
        ``valid(*shapes)``: where the shapes are allowed; by default where they are positive.
    inner
        A point inside of every support, put in where the argument is outside.
    """

    _methods: tuple[str, ...] = ()
    _scaled = True

    def __init__(
        self,
        name: str,
        shapes: tuple[str, ...],
        formulas: Mapping[str, Formula],
        *,
        low: Any = -np.inf,
        high: Any = np.inf,
        open_low: bool = False,
        valid: Formula | None = None,
        inner: Any = 0.5,
    ) -> None:
        self.name = name
        self.shapes = shapes
        self._formulas = dict(formulas)
        self._low, self._high, self._inner = low, high, inner
        self._open_low = open_low
        self._valid = valid or (lambda *values: functools.reduce(np.logical_and, (v > 0 for v in values), True))

    def __repr__(self) -> str:
        return f"<{self.name}: {', '.join(m for m in self._methods if m in self._formulas)}>"

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        """Refuse: frozen distributions are not there."""
        raise TypeError(
            f"{self.name}: frozen distributions are not differentiable; pass the parameters to the method, as in "
            f"{self.name}.{self._methods[0]}({', '.join(('x', *self.shapes, 'loc'))})."
        )

    def __getattr__(self, name: str) -> Any:
        """Return what SciPy has and this class has not, such as `rvs`, for plain arrays."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(getattr(scipy.stats, self.name), name)

    # -- arguments ----------------------------------------------------------------------------------------

    def _bind(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], Any, Any]:
        """Return the shapes, the location and the scale."""
        names = (*self.shapes, "loc", "scale") if self._scaled else (*self.shapes, "loc")
        where = f"{self.name}.{method}"
        if len(args) > len(names):
            raise TypeError(f"{where}: takes {', '.join(names)} after its first argument, got {len(args)} arguments.")
        values = dict(zip(names, args, strict=False))
        for key, value in kwargs.items():
            if key not in names or key in values:
                problem = "given twice" if key in values else f"unknown; it takes {', '.join(names)}"
                raise TypeError(f"{where}: argument {key!r} is {problem}.")
            values[key] = value
        missing = [name for name in self.shapes if name not in values]
        if missing:
            raise TypeError(f"{where}: the shape parameter {missing[0]!r} is missing.")
        shapes = tuple(_float(values[name]) for name in self.shapes)
        return shapes, _float(values.get("loc", 0.0)), _float(values.get("scale", 1.0))

    def _evaluate(self, method: str, x: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not is_traced(x, *args, *kwargs.values()):
            y = getattr(getattr(scipy.stats, self.name), method)(x, *args, **kwargs)
            return narrow(np.asarray(y), x, *args, *kwargs.values())
        shapes, loc, scale = self._bind(method, args, kwargs)
        if method not in self._formulas:
            known = ", ".join(m for m in self._methods if m in self._formulas)
            raise MissingRuleError(
                f"{self.name}.{method} has no derivative rule{user_line()}. {self.name} has {known}; write it with "
                "those, or with autodiff.scipy.special, or give it a rule with autodiff.custom_jvp."
            )
        with np.errstate(all="ignore"):
            y = self._of_standard(method, _float(x), shapes, (loc, scale))
        arrays = [dtype_of(v) for v in (x, *shapes, loc, scale) if hasattr(v, "dtype")]
        return y.astype(np.result_type(np.float16, *arrays))

    def _of_standard(self, method: str, x: Any, shapes: tuple[Any, ...], place: tuple[Any, Any]) -> Any:
        raise NotImplementedError

    def _support(self, shapes: tuple[Any, ...]) -> tuple[Any, Any]:
        low = self._low(*shapes) if callable(self._low) else self._low
        return low, self._high(*shapes) if callable(self._high) else self._high

    def _inside(self, z: Any, below: Any, above: Any, shapes: tuple[Any, ...]) -> Any:
        inner = self._inner(*shapes) if callable(self._inner) else self._inner
        return np.where(np.logical_or(below, above), inner, z)


#: Values below and above the support.
_ENDS = {
    **dict.fromkeys(("logpdf", "logpmf"), (-np.inf, -np.inf)),
    **dict.fromkeys(("pdf", "pmf"), (0.0, 0.0)),
    "cdf": (0.0, 1.0),
    "sf": (1.0, 0.0),
    "logcdf": (-np.inf, 0.0),
    "logsf": (0.0, -np.inf),
}


def _completed(formulas: Mapping[str, Formula], density: str) -> dict[str, Formula]:
    """Add the methods that follow from others."""
    found = dict(formulas)
    log = found[f"log{density}"]
    found.setdefault(density, lambda z, *shapes: np.exp(log(z, *shapes)))
    for kind in ("cdf", "sf"):
        logarithm = found.get(f"log{kind}")
        if kind not in found and logarithm is not None:
            found[kind] = lambda z, *shapes, f=logarithm: np.exp(f(z, *shapes))
    for kind, other in (("cdf", "sf"), ("sf", "cdf")):
        if kind in found and other in found:
            found.setdefault(f"log{kind}", functools.partial(_log_of_part, found[kind], found[other]))
    return found


def _log_of_part(part: Formula, rest: Formula, z: Any, *shapes: Any) -> Any:
    """Logarithm of a probability: by the rest where that is the smaller one."""
    p, q = part(z, *shapes), rest(z, *shapes)
    small = p <= 0.5
    return np.where(small, np.log(np.where(small, p, 1.0)), np.log1p(-np.where(small, 0.5, q)))


class Continuous(Family):
    """A continuous family, with location and scale."""

    _methods = ("logpdf", "pdf", "logcdf", "cdf", "logsf", "sf", "ppf", "isf")

    def __init__(self, name: str, shapes: tuple[str, ...], formulas: Mapping[str, Formula], **kwargs: Any) -> None:
        super().__init__(name, shapes, _completed(formulas, "pdf"), **kwargs)

    def _of_standard(self, method: str, x: Any, shapes: tuple[Any, ...], place: tuple[Any, Any]) -> Any:
        loc, scale = place
        valid = np.logical_and(self._valid(*shapes), scale > 0)
        if method in {"ppf", "isf"}:
            y = self._formulas[method](x, *shapes) * scale + loc
            return np.where(np.logical_and(valid, np.logical_and(x >= 0, x <= 1)), y, np.nan)
        z = (x - loc) / scale
        low, high = self._support(shapes)
        below, above = z <= low if self._open_low else z < low, z > high
        y = self._formulas[method](self._inside(z, below, above, shapes), *shapes)
        if method == "logpdf":
            y = y - np.log(scale)
        elif method == "pdf":
            y = y / scale
        first, last = _ENDS[method]
        y = np.where(below, first, np.where(above, last, y))
        return np.where(valid, y, np.nan)

    def logpdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the logarithm of the density at `x`; then the shapes, `loc` and `scale`."""
        return self._evaluate("logpdf", x, args, kwargs)

    def pdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the density at `x`."""
        return self._evaluate("pdf", x, args, kwargs)

    def logcdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the logarithm of the distribution function at `x`."""
        return self._evaluate("logcdf", x, args, kwargs)

    def cdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the distribution function at `x`."""
        return self._evaluate("cdf", x, args, kwargs)

    def logsf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the logarithm of the survival function at `x`."""
        return self._evaluate("logsf", x, args, kwargs)

    def sf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the survival function at `x`, one minus the distribution function."""
        return self._evaluate("sf", x, args, kwargs)

    def ppf(self, q: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the quantile of the probability `q`."""
        return self._evaluate("ppf", q, args, kwargs)

    def isf(self, q: Any, *args: Any, **kwargs: Any) -> Any:
        """Return where the survival function is `q`."""
        return self._evaluate("isf", q, args, kwargs)


class Discrete(Family):
    """A family of whole numbers; the outcome is a constant, only the parameters have derivatives."""

    _methods = ("logpmf", "pmf", "logcdf", "cdf", "logsf", "sf")
    _scaled = False

    def __init__(self, name: str, shapes: tuple[str, ...], formulas: Mapping[str, Formula], **kwargs: Any) -> None:
        super().__init__(name, shapes, _completed(formulas, "pmf"), **kwargs)

    def _of_standard(self, method: str, x: Any, shapes: tuple[Any, ...], place: tuple[Any, Any]) -> Any:
        z = fixed(x) - fixed(place[0])
        low, high = (fixed(end) for end in self._support(shapes))
        whole = np.floor(z)
        below, above = whole < low, whole > high
        if method in {"logpmf", "pmf"}:
            below = np.logical_or(below, z != whole)
        inside = self._inside(whole, np.logical_or(below, np.isnan(whole)), above, tuple(map(fixed, shapes)))
        y = self._formulas[method](inside, *shapes)
        first, last = _ENDS[method]
        y = np.where(below, first, np.where(above, last, y))
        return np.where(np.logical_and(self._valid(*shapes), np.logical_not(np.isnan(z))), y, np.nan)

    def logpmf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the logarithm of the probability of `k`; then the shapes and `loc`."""
        return self._evaluate("logpmf", k, args, kwargs)

    def pmf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the probability of `k`."""
        return self._evaluate("pmf", k, args, kwargs)

    def logcdf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the logarithm of the distribution function at `k`."""
        return self._evaluate("logcdf", k, args, kwargs)

    def cdf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the distribution function at `k`."""
        return self._evaluate("cdf", k, args, kwargs)

    def logsf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the logarithm of the survival function at `k`."""
        return self._evaluate("logsf", k, args, kwargs)

    def sf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the survival function at `k`."""
        return self._evaluate("sf", k, args, kwargs)
