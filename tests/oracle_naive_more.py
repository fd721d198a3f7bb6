"""The rest of the vocabulary for the naive engine: derivatives by two devices that need no rule at all.

What is linear is a matrix, found by applying the function to every unit vector. What is analytic is differentiated by
the complex step, entry by entry, through a formula that is written out for complex numbers. Elementwise functions
have their partial derivatives from the tables.
"""

from types import SimpleNamespace

import numpy as np
from scipy import special

from tests import oracle_naive
from tests.naive import Node, elementwise
from tests.oracle_programs import both_parts
from tests.oracle_shapes import size_of

BASIC = SimpleNamespace(**oracle_naive.FUNCTIONS)
STEP = 1e-30


def _pulled(g, columns, shape):
    """The adjoint by the columns of a Jacobian, one for each entry of an argument."""
    return np.array([np.sum(g * c) for c in columns]).reshape(shape)


def by_matrix(fn):
    """A linear function of nodes; what is not a node is the same for every call."""

    def apply(*args):
        values = [a.value if isinstance(a, Node) else a for a in args]
        pulls = []
        for at, a in enumerate(args):
            if isinstance(a, Node):
                zeros = [np.zeros(v.shape) if isinstance(v, Node) else v for v in args]

                def pull(g, at=at, shape=a.shape, zeros=zeros):
                    units = np.eye(size_of(shape)).reshape(-1, *shape)
                    return _pulled(g, [fn(*zeros[:at], u, *zeros[at + 1 :]) for u in units], shape)

                pulls.append((a, pull))
        return Node(fn(*values), pulls)

    return apply


def by_complex_step(fn, value=None):
    """An analytic function of nodes; `value` computes the value where the formula is a slow or rough one."""

    def apply(*args):
        values = [a.value if isinstance(a, Node) else a for a in args]
        pulls = []
        for at, a in enumerate(args):
            if isinstance(a, Node):

                def pull(g, at=at, a=a):
                    units = np.eye(size_of(a.shape)).reshape(-1, *a.shape) * (1j * STEP)
                    columns = [fn(*values[:at], a.value + u, *values[at + 1 :]).imag / STEP for u in units]
                    return _pulled(g, columns, a.shape)

                pulls.append((a, pull))
        return Node((value or fn)(*values), pulls)

    return apply


# -- formulas that complex numbers may enter -----------------------------------------------------------------


def _expm(a, scale=1.0):
    """Exponential by its series, with scaling and squaring."""
    a = a * (scale / 64)
    term = total = np.eye(len(a)) + 0 * a
    for k in range(1, 16):
        term = term @ a / k
        total = total + term
    for _ in range(6):
        total = total @ total
    return total


def _polar(a):
    """Orthogonal factor, by Newton's iteration."""
    x = a
    for _ in range(40):
        x = (x + np.linalg.inv(x).T) / 2
    return x


def _orthogonal(a):
    """Orthogonal factor of QR by Gram and Schmidt, with the signs that LAPACK gives."""
    signs = np.sign(np.diag(np.linalg.qr(a.real)[1]))
    columns = []
    for column in a.T:
        for q in columns:
            column = column - q * (q @ column)  # noqa: PLW2901
        columns.append(column / np.sqrt(column @ column))
    return np.array(columns).T * signs


def _lstsq(a, b):
    return np.linalg.solve(a.T @ a, a.T @ b)


def _pinv(a):
    return np.linalg.solve(a.T @ a, a.T)


def _cov(a):
    centred = a - a.mean(1, keepdims=True)
    return centred @ centred.T / (a.shape[1] - 1)


def _corrcoef(a):
    c = _cov(a)
    s = np.sqrt(np.diag(c))
    return c / s[:, None] / s


def _interp(x, ys):
    at = (x.real > 0.9).astype(int)
    knots = np.array([0.0, 0.9, 2.2])
    return ys[at] + (x - knots[at]) / (knots[at + 1] - knots[at]) * (ys[at + 1] - ys[at])


def _polyval(p, x):
    return sum(c * x ** (len(p) - 1 - i) for i, c in enumerate(p))


def _slope(a):
    return np.sin(a) + a * np.cos(a)


def _jacobian(a):
    return np.diag(np.cos(a) * np.sum(a)) + np.sin(a)[:, None] * np.ones(len(a))


# -- assignment, selection -----------------------------------------------------------------------------------


def _numbers(a, index):
    return np.arange(size_of(a.shape)).reshape(a.shape)[index]


def _assign(a, index, value):
    where = _numbers(a, index)

    def put(x, v):
        y = x.reshape(-1).copy()
        y[where] = v
        return y.reshape(x.shape)

    return by_matrix(put)(a, value)


def _add_at(a, index, value):
    def add(x, v):
        y = x.copy()
        np.add.at(y, index, v)
        return y

    return by_matrix(add)(a, value)


def _recurrence(a):
    entries = [BASIC.getitem(a, 0)]
    for i in range(1, a.shape[0]):
        entries.append(BASIC.add(BASIC.sin(entries[-1]), BASIC.multiply(BASIC.getitem(a, i), 0.5)))
    return BASIC.stack(entries, 0)


def _chosen(order):
    """A function that chooses entries by their size."""
    return lambda a, *rest: BASIC.getitem(a, order(a.value, *rest))


def _along(a, order, axis):
    return by_matrix(lambda x: np.take_along_axis(x, order, axis))(a)


def _quantile(a, q, axis):
    ordered = oracle_naive._sort(a, axis)
    place = q * (a.shape[axis] - 1)
    low = min(int(place), max(a.shape[axis] - 2, 0))
    weights = np.zeros(a.shape[axis])
    weights[low] = 1 - (place - low)
    weights[low + 1 : low + 2] = place - low
    return by_matrix(lambda x: np.tensordot(x, weights, (axis, 0)))(ordered)


def _through_view(a, value):
    column = BASIC.add(BASIC.multiply(BASIC.getitem(a, (slice(None), 0)), value), 0.1)
    return _assign(a, (slice(None), 0), column)


def _holes(reduce):
    """A reduction of what is not NaN; the NaN came in as a number that is not a node."""
    return lambda a: reduce(BASIC.getitem(a, ~np.isnan(a.value)))


def _mean(a):
    return BASIC.multiply(BASIC.sum(a, 0), 1 / a.shape[0])


def _where(mask, a, b):
    return BASIC.where(mask, a, b if isinstance(b, Node) else Node(b))


def _unwrap(a):
    turns = np.unwrap(a.value) - a.value
    return BASIC.add(a, turns)


def _map(fn, in_axes, out_axes):
    """One example after the other."""
    axes = in_axes if isinstance(in_axes, tuple) else (in_axes,)

    def apply(*args):
        n = next(a.shape[axis] for a, axis in zip(args, axes, strict=True) if axis is not None)
        one = lambda a, axis, i: a if axis is None else BASIC.getitem(a, (slice(None),) * axis + (i,))
        found = [fn(*[one(a, axis, i) for a, axis in zip(args, axes, strict=True)]) for i in range(n)]
        return BASIC.stack(found, out_axes)

    return apply


def _pooled(a):
    return [a[i : a.shape[0] - 1 + i, j : a.shape[1] - 1 + j] for i in (0, 1) for j in (0, 1)]


def _max_pool(a):
    numbers = np.array(_pooled(np.arange(size_of(a.shape)).reshape(a.shape)))
    best = np.argmax(np.array(_pooled(a.value)), axis=0)
    return BASIC.getitem(BASIC.reshape(a, (-1,)), np.take_along_axis(numbers, best[None], 0)[0])


_gauss = lambda a: np.exp(-a * a / 2) / np.sqrt(2 * np.pi)
_beta = lambda a, b: special.digamma(a) - special.digamma(a + b)
_ELEMENTWISE = {
    "xlogy": elementwise(special.xlogy, lambda a, b: np.log(b), lambda a, b: a / b),
    "xlog1py": elementwise(special.xlog1py, lambda a, b: np.log1p(b), lambda a, b: a / (1 + b)),
    "entr": elementwise(special.entr, lambda a: -np.log(a) - 1),
    "rel_entr": elementwise(special.rel_entr, lambda a, b: np.log(a / b) + 1, lambda a, b: -a / b),
    "kl_div": elementwise(special.kl_div, lambda a, b: np.log(a / b), lambda a, b: 1 - a / b),
    "ndtr": elementwise(special.ndtr, _gauss),
    "log_ndtr": elementwise(special.log_ndtr, lambda a: _gauss(a) / special.ndtr(a)),
    "ndtri": elementwise(special.ndtri, lambda a: 1 / _gauss(special.ndtri(a))),
    "logit": elementwise(special.logit, lambda a: 1 / (a * (1 - a))),
    "erfc": elementwise(special.erfc, lambda a: -2 / np.sqrt(np.pi) * np.exp(-a * a)),
    "erfinv": elementwise(special.erfinv, lambda a: np.sqrt(np.pi) / 2 * np.exp(special.erfinv(a) ** 2)),
    "i0": elementwise(special.i0, special.i1),
    "i0e": elementwise(special.i0e, lambda a: special.i1e(a) - np.sign(a) * special.i0e(a)),
    "i1": elementwise(special.i1, lambda a: (special.i0(a) + special.iv(2, a)) / 2),
    "i1e": elementwise(special.i1e, lambda a: (special.i0e(a) + special.ive(2, a)) / 2 - np.sign(a) * special.i1e(a)),
    "polygamma": elementwise(special.polygamma, None, lambda n, a: special.polygamma(n + 1, a)),
    "betaln": elementwise(special.betaln, _beta, lambda a, b: _beta(b, a)),
    "multigammaln": elementwise(
        lambda a, d: special.gammaln(a) + special.gammaln(a - 0.5) + np.log(np.pi) / 2,
        lambda a, d: special.digamma(a) + special.digamma(a - 0.5),
        None,
    ),
    "gamma": elementwise(special.gamma, lambda a: special.gamma(a) * special.digamma(a)),
    "gammainc": elementwise(special.gammainc, None, lambda p, a: np.exp(-a) * a ** (p - 1) / special.gamma(p)),
    "sinc": elementwise(np.sinc, lambda a: np.cos(np.pi * a) / a - np.sin(np.pi * a) / (np.pi * a * a)),
    "logaddexp2": elementwise(np.logaddexp2, lambda a, b: 1 / (1 + 2 ** (b - a)), lambda a, b: 1 / (1 + 2 ** (a - b))),
    "fmod": elementwise(np.fmod, lambda a, b: 1.0, None),
    "cbrt": elementwise(np.cbrt, lambda a: a ** (-2 / 3) / 3),
    "copysign": elementwise(np.copysign, lambda a, b: np.sign(a) * np.sign(b), lambda a, b: 0.0),
    "sign": elementwise(np.sign, lambda a: 0.0),
    "floor": elementwise(np.floor, lambda a: 0.0),
    "phase": elementwise(
        lambda a, c: np.arctan2(a, c + 1.5),
        lambda a, c: (c + 1.5) / (a**2 + (c + 1.5) ** 2),
        lambda a, c: -a / (a**2 + (c + 1.5) ** 2),
    ),
    "custom_tangents": elementwise(lambda a: np.tanh(a) * a, lambda a: np.tanh(a) + a / np.cosh(a) ** 2),
    "custom_adjoints": elementwise(lambda a: np.tanh(a) * a, lambda a: np.tanh(a) + a / np.cosh(a) ** 2),
}
_LINEAR = {
    "append": np.append,
    "diagonal": np.diagonal,
    "diag": np.diag,
    "triu": np.triu,
    "rot90": np.rot90,
    "swapaxes": np.swapaxes,
    "ravel_fortran": lambda a: a.ravel(order="F"),
    "gradient": np.gradient,
    "trapezoid": np.trapezoid,
    "delete": np.delete,
    "insert": np.insert,
    "take": lambda a, index: np.take(a, index, mode="wrap"),
    "take_along_axis": np.take_along_axis,
    "block": lambda a, s: np.block([[a, a[:, :1]], [a[:1], np.reshape(s, (1, 1))]]),
    "half_spectrum": lambda a: both_parts(np, np.fft.rfft(a, norm="ortho")),
    "low_pass_2d": lambda a: np.fft.irfft2(np.fft.rfft2(a) * np.exp(-0.5 * np.arange(a.shape[-1] // 2 + 1)), a.shape),
    "hermitian": lambda a: np.fft.hfft(a * (1 + 0.5j)),
    "fftshift": np.fft.fftshift,
    "average_pool": lambda a: sum(_pooled(a)) / 4,
}
_ANALYTIC = {
    "modulus": by_complex_step(
        lambda a, s: np.sqrt((1.5 * np.cos(a) - s * np.sin(a) + 1) ** 2 + (1.5 * np.sin(a) + s * np.cos(a)) ** 2)
    ),
    "average": by_complex_step(lambda a, w: np.sum(a * w) / np.sum(w)),
    "interp": by_complex_step(_interp),
    "polyval": by_complex_step(_polyval),
    "expm": by_complex_step(_expm),
    "matrix_exp_eigh": by_complex_step(lambda a: _expm((a + a.T) / 2, -0.3)),
    "polar": by_complex_step(_polar),
    "orthogonal": by_complex_step(_orthogonal),
    "matrix_power": by_complex_step(np.linalg.matrix_power),
    "solve_triangular": by_complex_step(
        lambda a, b, lower: np.linalg.solve(np.tril(a) if lower else np.triu(a), b),
    ),
    "cho_solve": by_complex_step(lambda low, b: np.linalg.solve(np.tril(low) @ np.tril(low).T, b)),
    "lstsq": by_complex_step(_lstsq),
    "linalg_pinv": by_complex_step(_pinv),
    "nuclear_norm": by_complex_step(lambda a: np.sum(_polar(a) * a)),
    "norm_p": by_complex_step(lambda a, p: np.sum(a**p) ** (1 / p)),
    "tensordot": by_complex_step(lambda a, b: a.T @ b),
    "inner": by_complex_step(lambda a, b: a @ b.T),
    "cross": by_complex_step(np.cross),
    "cov": by_complex_step(_cov),
    "corrcoef": by_complex_step(_corrcoef),
    "vander": by_complex_step(lambda a: a[:, None] ** np.arange(len(a))[::-1]),
    "jacobian_columns": by_complex_step(_jacobian),
    "jacobian_rows": by_complex_step(_jacobian),
}
_OTHER = {
    "matmul": lambda a, b: (BASIC.matmul if len(b.shape) == 2 else by_complex_step(np.matmul))(a, b),
    "linalg_solve": lambda a, b: (BASIC.linalg_solve if len(b.shape) == 2 else by_complex_step(np.linalg.solve))(a, b),
    "where": _where,
    "log_softmax": lambda a: BASIC.log(BASIC.softmax(a)),
    "argsorted": lambda a, axis: _along(a, np.argsort(a.value, axis, kind="stable"), axis),
    "argmaximum": _chosen(np.argmax),
    "smallest": lambda a, k: BASIC.getitem(_along(a, np.argsort(a.value, -1, kind="stable"), -1), (..., k)),
    "quantile": _quantile,
    "ptp": lambda a: BASIC.subtract(BASIC.getitem(a, np.argmax(a.value)), BASIC.getitem(a, np.argmin(a.value))),
    "select": lambda masks, values: BASIC.where(
        masks[0], values[0], BASIC.multiply(values[1], (masks[1] & ~masks[0]) * 1.0)
    ),
    "branch": lambda a: (BASIC.sin if np.sum(a.value) > 0 else BASIC.cos)(a),
    "halves": lambda a: [BASIC.getitem(a, slice(0, 1)), BASIC.getitem(a, slice(1, None))],
    "nansum": _holes(lambda a: BASIC.sum(a, 0)),
    "nanmean": _holes(_mean),
    "unwrap": _unwrap,
    "assign": _assign,
    "assign_to_zeros": lambda a, index, value: BASIC.add(
        _assign(Node(np.zeros(a.shape)), index, value), BASIC.multiply(a, 0.3)
    ),
    "add_to": lambda a, index, value: _assign(a, index, BASIC.add(BASIC.getitem(a, index), value)),
    "scale_at": lambda a, index, value: _assign(a, index, BASIC.multiply(BASIC.getitem(a, index), value)),
    "add_at": _add_at,
    "recurrence": _recurrence,
    "through_view": _through_view,
    "product_into": BASIC.multiply,
    "put": lambda a, index, value: BASIC.reshape(_assign(BASIC.reshape(a, (-1,)), index, value), a.shape),
    "put_along_axis": lambda a, index, value: _assign(a, (slice(None), index[0]), value),
    "fill_diagonal": lambda a, value: _assign(a, np.diag_indices(min(a.shape)), value),
    "norm_inf": lambda a: BASIC.absolute(BASIC.getitem(a, np.argmax(np.abs(a.value)))),
    "multi_dot": lambda ms: BASIC.matmul(BASIC.matmul(ms[0], ms[1]), ms[2]),
    "spectrum_2d": lambda a: _square_sum(
        by_matrix(lambda x: np.fft.fft2(x).real)(a), by_matrix(lambda x: np.fft.fft2(x).imag)(a)
    ),
    "max_pool": _max_pool,
    "map": _map,
    "slope_of": lambda fn: _SLOPE,
    "checkpointed": lambda fn: fn,
}
_SLOPE = elementwise(_slope, lambda a: 2 * np.cos(a) - a * np.sin(a))  # the programs take but one gradient inside


def _square_sum(one, two):
    return BASIC.add(BASIC.square(one), BASIC.square(two))


NAIVE = SimpleNamespace(
    **oracle_naive.FUNCTIONS | _ELEMENTWISE | {name: by_matrix(fn) for name, fn in _LINEAR.items()} | _ANALYTIC | _OTHER
)
