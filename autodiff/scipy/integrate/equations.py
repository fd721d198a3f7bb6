"""Initial value problems: SciPy chooses the steps, and the same steps are made with traced values."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.integrate as si

from autodiff.core.errors import DifferentiationError, describe, user_line
from autodiff.core.spec import dtype_of, shape_of
from autodiff.scipy._mirror import array, has_tracer, plain, unsupported
from autodiff.scipy.integrate._events import BetweenSteps, event_list, happened, plain_events
from autodiff.scipy.integrate._runge_kutta import explicit_step, radau_step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["IntegrationError", "odeint", "solve_ivp"]


_EXPLICIT = frozenset({"RK23", "RK45", "DOP853"})


class IntegrationError(DifferentiationError, ArithmeticError):
    """A solution that has no derivative: the solver failed."""


class _TooManyCallsError(Exception):
    """The explicit method needs many more calls than the other: the problem is stiff."""


def _counted(f: Any, most: float) -> Any:
    left = [most]

    def call(t: Any, y: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise _TooManyCallsError
        return f(t, y)

    return call


def _steps(name: str, f: Any, ends: Sequence[float], y: Any, method: str, options: dict[str, Any]) -> list[Any]:
    """The times that SciPy steps to in each interval between two output times, on plain numbers."""
    found = []
    solver = {"RK23": si.RK23, "RK45": si.RK45, "DOP853": si.DOP853, "Radau": si.Radau}[method]
    run = None
    for start, end in pairwise(ends):
        times = [start]
        if start != end:
            settings = dict(options)
            if run is not None:  # go on with the step that the last interval ended with
                settings["first_step"] = min(abs(end - start), run)
            solving = solver(f, start, y, end, **settings)
            while solving.status == "running":
                message = solving.step()
                times.append(float(solving.t))
                if len(times) < 3 or solving.status == "running":
                    run = float(solving.step_size)
            if solving.status == "failed":
                raise IntegrationError(
                    f"{name}: the solver failed at t = {times[-1]:.6g}{user_line()}: {message} There is no solution "
                    "to differentiate. Try a method for stiff problems, or other tolerances."
                )
            y = solving.y
        found.append(times)
    return found


def _solution(
    name: str,
    f: Any,
    fixed_f: Any,
    ends: Any,
    y: Any,
    method: str,
    options: dict[str, Any],
    calls: int,
    whole: bool = False,
) -> Any:
    """Values at all times of `ends`, (len(ends), n), traced; `whole`: these are the steps of the method."""
    plain_f = _numbers(fixed_f)
    plain_ends = [float(plain(e)) for e in ends]
    if method in {"LSODA", "BDF", "Radau"}:
        method, steps = _for_stiff(name, plain_f, plain_ends, plain(y), method, options, calls)
    elif whole:
        steps = [[*pair] for pair in pairwise(plain_ends)]
    else:
        steps = _steps(name, plain_f, plain_ends, plain(y), method, options)
    step = explicit_step(method) if method != "Radau" else None
    values, now = [y], y
    for k, times in enumerate(steps):
        a, b, width = ends[k], ends[k + 1], plain_ends[k + 1] - plain_ends[k]
        for t0, t1 in pairwise(times):
            # The steps are fixed parts of the interval, so that its ends have derivatives.
            t, h = a + (t0 - times[0]) / width * (b - a), (t1 - t0) / width * (b - a)
            now = step(f, t, now, h) if step else radau_step(f, t, now, h, fixed_f, plain_f, t0, t1 - t0)
        values.append(now)
    return np.stack(values)


def _for_stiff(
    name: str, f: Any, ends: Any, y: Any, method: str, options: dict[str, Any], calls: int
) -> tuple[str, list[Any]]:
    """Steps of DOP853 if the problem turns out not to be stiff (LSODA), else those of Radau."""
    options = {k: v for k, v in options.items() if k in {"rtol", "atol", "max_step"}}
    if method == "LSODA":
        try:
            return "DOP853", _steps(name, _counted(f, 10 * calls + 1000), ends, y, "DOP853", options)
        except _TooManyCallsError:
            pass
    return "Radau", _steps(name, f, ends, y, "Radau", options)


def _right_side(fun: Any, args: tuple[Any, ...], shape: tuple[int, ...]) -> Callable[[Any, Any], Any]:
    def f(t: Any, y: Any) -> Any:
        return np.reshape(array(fun(t, y, *args)), shape)

    return f


def _numbers(f: Any) -> Callable[[Any, Any], Any]:
    return lambda t, y: plain(f(t, y))


def _start(y0: Any) -> Any:
    y = array(y0)
    if len(shape_of(y)) != 1:
        raise ValueError(f"scipy.integrate: y0 must have one axis, not {describe(y)}; np.ravel it.")
    return y.astype(np.result_type(dtype_of(y), np.float64))


def _traced(fun: Any, args: Any, times: Any, y: Any) -> bool:
    """Whether anything that the solution depends on is traced, also what the function closes over."""
    return has_tracer((args, times, y)) or has_tracer(array(fun(plain(times[0]), plain(y), *args)))


def solve_ivp(
    fun: Any,
    t_span: Any,
    y0: Any,
    method: Any = "RK45",
    t_eval: Any = None,
    dense_output: bool = False,
    events: Any = None,
    vectorized: bool = False,
    args: Any = None,
    **options: Any,
) -> Any:
    """Solve ``dy/dt = fun(t, y, *args)``, differentiable by ``y0``, ``args``, times, and what `fun` closes over.

    SciPy chooses the steps on plain numbers, by its own error control. The same steps are then made with traced
    values, so that derivatives of every order, in both modes, are exact for the discrete solution: as accurate as the
    tolerances make the solution itself, with no second equation to solve backwards in time. RK23, RK45 and DOP853 make
    the steps of SciPy; with Radau and BDF, and with LSODA where the problem is stiff, they are those of Radau (order
    5), with LSODA elsewhere those of DOP853. With `t_eval`, steps end at these times.

    Parameters
    ----------
    fun : callable
        ``fun(t, y, *args)`` -> (n,), written with NumPy.
    t_span : (t0, t1)
        May be traced: the solution's derivative by its end is the right-hand side there.
    y0 : array_like, shape (n,)
        The initial state.
    method : str
        One of the names of SciPy's methods.
    t_eval : array_like, optional
        Times at which the solution is wanted; may be traced.
    dense_output, events
        As in SciPy, with the explicit methods. ``sol`` and the states at events are steps of the method from the last
        step before (SciPy: polynomials, as accurate); the times of events are implicit functions of the parameters,
        also where the solution ends at one.
    vectorized, args
        As in SciPy.
    **options
        ``rtol``, ``atol``, ``max_step``, ``first_step``, and what else SciPy's method takes.

    Returns
    -------
    scipy.integrate.OdeResult
        SciPy's own where nothing is traced; else ``t``, ``y`` (n, len(t)), ``sol``, ``t_events`` and ``y_events`` carry
        derivatives.

    Raises
    ------
    IntegrationError
        In a transform, if the solver failed.
    SolutionError
        If an event only touches zero there, so that its time has no derivative.

    Examples
    --------
    >>> from autodiff import grad
    >>> def decayed(rate):
    ...     return solve_ivp(lambda t, y: -rate * y, (0.0, 2.0), np.ones(1), rtol=1e-9, atol=1e-9).y[0, -1]
    >>> float(np.round(grad(decayed)(0.5), 6))  # -2 exp(-1)
    -0.735759
    """
    name, args = "scipy.integrate.solve_ivp", () if args is None else tuple(args)
    y = array(y0)
    watched = event_list(events)
    when = [*t_span] + ([] if t_eval is None else [*t_eval])
    if not _traced(fun, args, when, y) and not any(_traced(event, args, when, y) for event in watched):
        return si.solve_ivp(fun, t_span, y0, method, t_eval, dense_output, events, vectorized, args or None, **options)
    if not isinstance(method, str) or method not in _EXPLICIT | {"Radau", "BDF", "LSODA"}:
        raise unsupported(name, f"method={method!r}", "Use 'RK23', 'RK45', 'DOP853', 'Radau', 'BDF' or 'LSODA'.")
    follow = bool(dense_output or watched)
    if follow and method not in _EXPLICIT:
        raise unsupported(
            name, f"dense_output or events with method={method!r}",
            "Use 'RK23', 'RK45' or 'DOP853', or ask for the times with t_eval.",
        )  # fmt: skip
    y = _start(y0)
    f = _right_side(fun, args, shape_of(y))
    fixed_f = _right_side(fun, plain(args), shape_of(y))
    plain_f = _numbers(fixed_f)
    span = plain(tuple(t_span))
    times = None if t_eval is None else plain(list(t_eval))
    found = si.solve_ivp(
        plain_f, span, plain(y), method, None if follow else times,
        events=plain_events(watched, plain(args)) or None, **plain(options),
    )  # fmt: skip
    if found.status < 0:
        raise IntegrationError(f"{name}: the solver failed{user_line()}: {found.message} Nothing to differentiate.")
    if follow:
        return _followed(name, found, (f, fixed_f), t_span, y, method, t_eval, watched, args, dense_output)
    if times is None:
        at = [float(t) for t in found.t]
        where = [t_span[0] + (t - at[0]) / (at[-1] - at[0]) * (t_span[1] - t_span[0]) for t in at]
        where[0] = t_span[0]
        if not has_tracer(tuple(t_span)):
            where = at
    else:
        where = list(t_eval)
    lead = [] if times is None or plain(where[0]) == span[0] else [t_span[0]]
    y = _solution(name, f, fixed_f, [*lead, *where], y, method, plain(options), found.nfev, whole=times is None)[
        len(lead) :
    ]
    found.t, found.y = (array(where) if has_tracer(where) else np.asarray(where)), np.transpose(y)
    return found


def _followed(
    name: str, found: Any, fs: Any, t_span: Any, y: Any, method: str, t_eval: Any, events: Any, args: Any, dense: bool
) -> Any:
    """Fill in SciPy's result where the solution is asked for between its steps, or what happens there."""
    start, stop = float(found.t[0]), float(found.t[-1])
    ended = found.status == 1  # by an event: then the steps before it have fixed lengths
    scale = 1.0 if ended or stop == start else (t_span[1] - t_span[0]) / (stop - start)
    grid = [t_span[0], *[t_span[0] + (float(t) - start) * scale for t in found.t[1 : -1 if ended else None]]]
    step = explicit_step(method)
    f, fixed_f = fs
    values = _solution(name, f, fixed_f, grid, y, method, {}, found.nfev, whole=True)
    solution = BetweenSteps(step, f, grid, values)
    fixed = BetweenSteps(step, fixed_f, plain(grid), plain(values))
    if events:
        pairs = [happened(name, e, args, t, solution, fixed) for e, t in zip(events, found.t_events, strict=True)]
        times = [list(t) if len(t) else [] for t, _ in pairs]
        last = [t[-1] for t, p in zip(times, found.t_events, strict=True) if len(p) and p[-1] == stop]
        found.t_events, found.y_events = [t for t, _ in pairs], [states for _, states in pairs]
        if ended:
            grid = [*grid, last[0]]
            values = np.concatenate([values, solution(last[0])[None]])
            solution = BetweenSteps(step, f, grid, values)
    if t_eval is not None:
        grid = [t for t in t_eval if (float(plain(t)) - stop) * np.sign(stop - start) <= 0]
        values = np.stack([solution(t) for t in grid]) if grid else np.zeros((0, *shape_of(y)))
    found.t, found.y = (array(grid) if has_tracer(grid) else np.asarray(grid)), np.transpose(values)
    found.sol = solution if dense else None
    return found


def odeint(
    func: Any,
    y0: Any,
    t: Any,
    args: Any = (),
    Dfun: Any = None,  # noqa: N803
    col_deriv: Any = 0,
    full_output: Any = 0,
    ml: Any = None,
    mu: Any = None,
    rtol: Any = None,
    atol: Any = None,
    tcrit: Any = None,
    h0: Any = 0.0,
    hmax: Any = 0.0,
    hmin: Any = 0.0,
    ixpr: Any = 0,
    mxstep: Any = 0,
    mxhnil: Any = 0,
    mxordn: Any = 12,
    mxords: Any = 5,
    printmessg: Any = 0,
    tfirst: Any = False,
) -> Any:
    """Solve ``dy/dt = func(y, t, *args)``: see `solve_ivp`, with LSODA and a tolerance of 1.49e-8.

    Examples
    --------
    >>> from autodiff import grad
    >>> t = np.array([0.0, 1.0])
    >>> float(np.round(grad(lambda k: odeint(lambda y, t: -k * y, np.ones(1), t)[-1, 0])(1.0), 6))
    -0.367879
    """
    name, args = "scipy.integrate.odeint", args if isinstance(args, tuple) else (args,)
    fun = func if tfirst else lambda t, y, *rest: func(y, t, *rest)
    times, y = list(t), np.reshape(array(y0), (-1,))
    if not _traced(fun, args, times, y):
        return si.odeint(
            func, y0, t, args, Dfun, col_deriv, full_output, ml, mu, rtol, atol, tcrit, h0, hmax, hmin, ixpr, mxstep,
            mxhnil, mxordn, mxords, printmessg, tfirst,
        )  # fmt: skip
    if full_output or tcrit is not None:
        raise unsupported(name, "full_output or tcrit", "Leave it out, or use solve_ivp in pieces.")
    y = _start(y)
    f = _right_side(fun, args, shape_of(y))
    fixed_f = _right_side(fun, plain(args), shape_of(y))
    plain_f = _numbers(fixed_f)
    options = {k: plain(v) if v is not None else 1.49012e-8 for k, v in (("rtol", rtol), ("atol", atol))}
    if hmax:
        options["max_step"] = float(hmax)
    ends = [float(plain(e)) for e in times]
    found = si.solve_ivp(plain_f, (ends[0], ends[-1]), plain(y), "LSODA", **options)
    return _solution(name, f, fixed_f, times, y, "LSODA", options, found.nfev)
