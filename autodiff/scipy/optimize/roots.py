"""Roots and fixed points as functions of the parameters of their equation."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize as so

from autodiff.core import Tracer
from autodiff.scipy._mirror import array, has_tracer, plain, unsupported
from autodiff.scipy.optimize._implicit import SolutionError, differentiated

__all__ = [
    "bisect",
    "brenth",
    "brentq",
    "fixed_point",
    "fsolve",
    "newton",
    "ridder",
    "root",
    "root_scalar",
    "toms748",
]


#: SciPy's smallest relative tolerance.
_RTOL = 4 * float(np.finfo(float).eps)


def arguments(args: Any) -> tuple[Any, ...]:
    """Return `args` as SciPy takes them: a tuple, or one argument."""
    return args if isinstance(args, tuple) else (args,)


def numbers_only(function: Any) -> Any:
    """Make a function for SciPy's solver, which needs numbers: its values lose what is traced."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return plain(function(*args, **kwargs))

    return call if callable(function) else function


def first(function: Any, has_jacobian: bool) -> Any:
    """The value of a function that returns its Jacobian as well."""
    return (lambda *args: function(*args)[0]) if has_jacobian else function


def vector(y: Any) -> Any:
    """The function's values as an array; a list of traced values is stacked."""
    return array(y)


def root(
    fun: Any,
    x0: Any,
    args: Any = (),
    method: str = "hybr",
    jac: Any = None,
    tol: Any = None,
    callback: Any = None,
    options: Any = None,
) -> Any:
    """Root of a vector function, differentiable by ``args`` and by what `fun` closes over.

    SciPy's solver runs on plain numbers. The derivative is that of the implicit function, exact at every order and in
    both modes; the start `x0` has none, for the root does not depend on it.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)``, as many values as unknowns, written with NumPy.
    x0 : array_like, shape (n,)
        The start.
    args, method, jac, tol, callback, options
        As in SciPy.

    Returns
    -------
    scipy.optimize.OptimizeResult
        SciPy's own; where something is traced, ``x`` carries its derivative.

    Raises
    ------
    SolutionError
        In a transform, if the solver failed or the Jacobian is singular at the root.

    Examples
    --------
    >>> from autodiff import grad
    >>> float(grad(lambda a: root(lambda x: x**2 - a, np.ones(1)).x[0])(4.0))  # of the square root
    0.25
    """
    name, args = "scipy.optimize.root", arguments(args)
    settings = plain({"tol": tol, "options": options})
    found = so.root(numbers_only(fun), plain(x0), plain(args), method, numbers_only(jac), callback=callback, **settings)
    f = first(fun, jac is True)
    shape = np.shape(found.x)

    def equation(*fixed: Any) -> Any:
        return lambda x: np.reshape(vector(f(x, *fixed)), shape)

    found.x = differentiated(
        name, equation(*plain(args)), equation(*args), found.x, success=found.success, message=str(found.message)
    )
    return found


def fsolve(
    func: Any,
    x0: Any,
    args: Any = (),
    fprime: Any = None,
    full_output: Any = 0,
    col_deriv: Any = 0,
    xtol: float = 1.49012e-8,
    maxfev: int = 0,
    band: Any = None,
    epsfcn: Any = None,
    factor: float = 100,
    diag: Any = None,
) -> Any:
    """Root of a vector function, as `root`; SciPy's older interface."""
    args = arguments(args)
    x, info, flag, message = so.fsolve(
        numbers_only(func), plain(x0), plain(args), numbers_only(fprime), True, col_deriv, xtol, maxfev, band, epsfcn,
        factor, diag,
    )  # fmt: skip

    def equation(*fixed: Any) -> Any:
        return lambda x: np.reshape(vector(func(x, *fixed)), np.shape(x))

    x = differentiated(
        "scipy.optimize.fsolve", equation(*plain(args)), equation(*args), x, success=flag == 1, message=str(message)
    )
    if full_output:
        return x, info, flag, message
    if flag != 1 and not isinstance(x, Tracer):
        return so.fsolve(func, x0, args, fprime, 0, col_deriv, xtol, maxfev, band, epsfcn, factor, diag)  # warns
    return x


# -- one unknown ---------------------------------------------------------------------------------------------


def _scalar(name: str, f: Any, args: tuple[Any, ...], x: Any, success: bool = True, message: str = "") -> Any:
    """The root of a function of one number, differentiated; SciPy's number where nothing is traced."""

    def equation(*fixed: Any) -> Any:
        return lambda x: np.reshape(array(f(x, *fixed)), ())

    y = differentiated(
        name, equation(*plain(args)), equation(*args), x, success=success, message=message, what="the slope"
    )
    return y if isinstance(y, Tracer) else x


def root_scalar(
    f: Any,
    args: Any = (),
    method: Any = None,
    bracket: Any = None,
    fprime: Any = None,
    fprime2: Any = None,
    x0: Any = None,
    x1: Any = None,
    xtol: Any = None,
    rtol: Any = None,
    maxiter: Any = None,
    options: Any = None,
) -> Any:
    """Root of a function of one number, differentiable by ``args`` and by what `f` closes over; see `root`.

    Examples
    --------
    >>> from autodiff import grad
    >>> def wien(a):
    ...     return root_scalar(lambda x: np.exp(-x) + x / a - 1, bracket=(1.0, 10.0)).root
    >>> float(np.round(grad(wien)(5.0), 6))
    1.028917
    """
    args = arguments(args)
    where = plain({"bracket": bracket, "x0": x0, "x1": x1, "xtol": xtol, "rtol": rtol, "maxiter": maxiter})
    found = so.root_scalar(
        numbers_only(f), plain(args), method, fprime=numbers_only(fprime), fprime2=numbers_only(fprime2),
        options=options, **where,
    )  # fmt: skip
    function = first(f, fprime is True or fprime2 is True)
    name = "scipy.optimize.root_scalar"
    found.root = _scalar(name, function, args, found.root, found.converged, str(found.flag))
    return found


def _bracketed(name: str) -> Any:
    solver = getattr(so, name)

    def call(
        f: Any,
        a: Any,
        b: Any,
        args: Any = (),
        xtol: Any = 2e-12,
        rtol: Any = _RTOL,
        maxiter: int = 100,
        full_output: bool = False,
        disp: bool = True,
    ) -> Any:
        args = arguments(args)
        x, report = solver(
            numbers_only(f), plain(a), plain(b), plain(args), xtol=xtol, rtol=rtol, maxiter=maxiter,
            full_output=True, disp=disp,
        )  # fmt: skip
        x = _scalar(f"scipy.optimize.{name}", f, args, x, report.converged, str(report.flag))
        return (x, report) if full_output else x

    call.__name__ = call.__qualname__ = name
    call.__doc__ = "Root in an interval, as a function of the parameters: see `root_scalar`."
    return call


brentq, brenth, ridder, bisect = (_bracketed(name) for name in ("brentq", "brenth", "ridder", "bisect"))


def toms748(
    f: Any,
    a: Any,
    b: Any,
    args: Any = (),
    k: int = 1,
    xtol: Any = 2e-12,
    rtol: Any = _RTOL,
    maxiter: int = 100,
    full_output: bool = False,
    disp: bool = True,
) -> Any:
    """Root in an interval, as a function of the parameters: see `root_scalar`."""
    args = arguments(args)
    x, report = so.toms748(numbers_only(f), plain(a), plain(b), plain(args), k, xtol, rtol, maxiter, True, disp)
    x = _scalar("scipy.optimize.toms748", f, args, x, report.converged, str(report.flag))
    return (x, report) if full_output else x


def newton(
    func: Any,
    x0: Any,
    fprime: Any = None,
    args: Any = (),
    tol: float = 1.48e-8,
    maxiter: int = 50,
    fprime2: Any = None,
    x1: Any = None,
    rtol: float = 0.0,
    full_output: bool = False,
    disp: bool = True,
) -> Any:
    """Root near a start, as a function of the parameters: see `root_scalar`."""
    if np.ndim(plain(x0)) and has_tracer((args, x0, func(plain(x0), *arguments(args)))):
        raise unsupported("scipy.optimize.newton", "an array x0", "Use root, or a loop over the numbers and np.stack.")
    args = arguments(args)
    found = so.newton(
        numbers_only(func), plain(x0), numbers_only(fprime), plain(args), tol, maxiter, numbers_only(fprime2),
        plain(x1), rtol, True, disp,
    )  # fmt: skip
    if np.ndim(found[0]):
        return found if full_output else found[0]
    x = _scalar("scipy.optimize.newton", func, args, found[0], bool(found[1].converged), str(found[1].flag))
    return (x, found[1]) if full_output else x


def fixed_point(
    func: Any, x0: Any, args: Any = (), xtol: float = 1e-8, maxiter: int = 500, method: str = "del2"
) -> Any:
    """Fixed point ``x = func(x, *args)`` as a function of the parameters; the start has no derivative.

    Examples
    --------
    >>> from autodiff import grad
    >>> float(np.round(grad(lambda a: fixed_point(lambda x: np.cos(a * x), 0.5))(1.0), 6))
    -0.297474
    """
    name, args = "scipy.optimize.fixed_point", arguments(args)
    try:
        x = so.fixed_point(numbers_only(func), plain(x0), plain(args), xtol, maxiter, method)
    except RuntimeError as error:
        raise SolutionError(f"{name}: {error}. The iteration does not contract; use root of x - func(x).") from error

    def equation(*fixed: Any) -> Any:
        return lambda x: x - np.reshape(array(func(x, *fixed)), np.shape(x))

    y = differentiated(name, equation(*plain(args)), equation(*args), x, what="1 - dfunc/dx")
    return y if isinstance(y, Tracer) else x
