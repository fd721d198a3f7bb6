"""Random programs of all families of operations, written once for every engine that can run them.

A program is a list of steps; a step is a kind, the numbers of two earlier values, and a detail. It is drawn from
Python's own generator by its seed, so that it is the same everywhere. Each kind of step fits whatever shapes
arrive, and keeps values between about -3 and 3 and away from poles, so that it can stand behind any other. The
operations come from a vocabulary `f`, one for each engine: `numpy_vocabulary` here, others in `oracle_peers` and
`oracle_naive`.
"""

import operator
import random
from types import SimpleNamespace

import numpy as np

import autodiff
from autodiff.scipy import linalg, special
from tests.oracle_shapes import axis_of, definite, fit, flat, regular, settle, size_of, square, total
from tests.oracle_steps import ASSIGNMENT, INDEXING, MAPPED, MATRICES, SPECIAL_STEPS

SHAPES = ((3,), (2, 3), (2, 2))

_UFUNCS = (
    "absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh cos cosh divide exp exp2 expm1 hypot log log10 "
    "log1p log2 logaddexp maximum minimum multiply negative power reciprocal remainder sin sinh sqrt square subtract "
    "tan tanh"
)
_FUNCTIONS = (
    "broadcast_to clip concatenate convolve cumprod cumsum diff einsum flip kron matmul max mean median min outer prod "
    "repeat reshape roll sort stack std sum tile trace transpose tril var where "
    "append cbrt copysign corrcoef cov cross delete diag diagonal floor fmod gradient inner insert logaddexp2 nanmean "
    "nansum polyval ptp rot90 select sign sinc swapaxes take_along_axis trapezoid triu unwrap vander"
)
SPECIAL = (
    "betaln digamma entr erf erfc erfinv expit gamma gammainc gammaln i0 i0e i1 i1e "
    "kl_div log_ndtr logit logsumexp multigammaln ndtr ndtri polygamma rel_entr xlog1py xlogy"
)
_LINALG = "cholesky det eigvalsh inv norm qr slogdet solve svd pinv"


def decayed(m, w, v):
    """Exponential of a matrix, by its eigenvalues and eigenvectors."""
    return (v * m.exp(-0.3 * w)) @ v.T


def turning(u, _, vt):
    """Orthogonal factor, by the singular vectors."""
    return u @ vt


def both_parts(m, z):
    return m.concatenate([m.real(z), m.imag(z)])


def numpy_vocabulary(m, **more):
    """The operations as a module with NumPy's names has them."""
    names = {name: getattr(m, name) for name in (_UFUNCS + " " + _FUNCTIONS).split()}
    names |= {f"linalg_{name}": getattr(m.linalg, name) for name in _LINALG.split()}
    names |= {
        "getitem": lambda a, index: a[index],
        "pad": lambda a: m.pad(a, [(0, 0)] * (a.ndim - 1) + [(1, 1)]),
        "svdvals": lambda a: m.linalg.svd(a, compute_uv=False),
        "logabsdet": lambda a: m.linalg.slogdet(a)[1],
        "triangular": lambda a: m.linalg.qr(a)[1],
        "power_spectrum": lambda a: m.square(m.abs(m.fft.fft(a))),
        "circular": lambda a, b: m.real(m.fft.ifft(m.fft.fft(a) * m.fft.fft(b))),
        "low_pass": lambda a: m.fft.irfft(m.fft.rfft(a) * np.exp(-0.5 * np.arange(a.shape[-1] // 2 + 1)), a.shape[-1]),
        "phase": lambda a, c: m.angle(c + 1.5 + 1j * a),
        "modulus": lambda a, s: m.abs(m.exp(1j * a) * (1.5 + 1j * s) + 1),
        "take": lambda a, index: m.take(a, index, mode="wrap"),
        "argsorted": lambda a, axis: m.take_along_axis(a, m.argsort(a, axis=axis, stable=True), axis),
        "argmaximum": lambda a: a[m.argmax(a)],
        "smallest": lambda a, k: m.partition(a, k, axis=-1)[..., k],
        "quantile": lambda a, q, axis: m.quantile(a, q, axis=axis),
        "branch": lambda a: m.sin(a) if m.sum(a) > 0 else m.cos(a),
        "ravel_fortran": lambda a: m.ravel(a, order="F"),
        "block": lambda a, s: m.block([[a, a[:, :1]], [a[:1], m.reshape(s, (1, 1))]]),
        "halves": lambda a: m.split(a, [1]),
        "average": lambda a, w: m.average(a, weights=w),
        "interp": lambda x, ys: m.interp(x, np.array([0.0, 0.9, 2.2]), ys),
        "matrix_exp_eigh": lambda a: decayed(m, *m.linalg.eigh(a)),
        "polar": lambda a: turning(*m.linalg.svd(a)),
        "orthogonal": lambda a: m.linalg.qr(a)[0],
        "matrix_power": m.linalg.matrix_power,
        "multi_dot": m.linalg.multi_dot,
        "lstsq": lambda a, b: m.linalg.lstsq(a, b)[0],
        "nuclear_norm": lambda a: m.linalg.norm(a, "nuc"),
        "norm_inf": lambda a: m.linalg.norm(a, np.inf),
        "norm_p": m.linalg.norm,
        "tensordot": lambda a, b: m.tensordot(a, b, ([0], [0])),
        "spectrum_2d": lambda a: m.square(m.abs(m.fft.fft2(a))),
        "half_spectrum": lambda a: both_parts(m, m.fft.rfft(a, norm="ortho")),
        "low_pass_2d": lambda a: m.fft.irfft2(
            m.fft.rfft2(a) * np.exp(-0.5 * np.arange(a.shape[-1] // 2 + 1)), s=a.shape
        ),
        "hermitian": lambda a: m.fft.hfft(a * (1 + 0.5j)),
        "fftshift": m.fft.fftshift,
    }
    return SimpleNamespace(**names | more)


def _changed(change):
    """A function that changes a copy of its first argument in place."""

    def apply(a, *args):
        y = np.copy(a)
        change(y, *args)
        return y

    return apply


def _assign_to_zeros(a, index, value):
    y = np.zeros_like(a)
    y[index] = value
    y += 0.3 * a
    return y


def _add_to(y, index, value):
    y[index] += value


def _scale_at(y, index, value):
    y[index] *= value


def _through_view(y, value):
    column = y.T[0]
    column *= value
    column += 0.1


def _recurrence(a):
    y = np.zeros_like(a)
    y[0] = a[0]
    for i in range(1, len(a)):
        y[i] = np.sin(y[i - 1]) + 0.5 * a[i]
    return y


def _product_into(a, b):
    y = np.zeros_like(a)
    np.multiply(a, b, out=y)
    return y


def _half(x):
    return np.tanh(x) * x


def _slope(x):
    return np.tanh(x) + x / np.cosh(x) ** 2


_tangents = autodiff.custom_jvp(_half)
_tangents.defjvp(lambda xs, ts: (_half(*xs), _slope(*xs) * ts[0]))
_adjoints = autodiff.custom_vjp(_half)
_adjoints.defvjp(lambda x: (_half(x), x), lambda x, g: (_slope(x) * g,))

NUMPY = numpy_vocabulary(
    np,
    softmax=lambda a: autodiff.ops.softmax(a, axis=-1),
    log_softmax=lambda a: special.log_softmax(a, axis=-1),
    conv2d=lambda a, w: autodiff.ops.conv2d(a[None, None], w[None, None], padding=w.shape[0] - 1)[0, 0],
    average_pool=lambda a: autodiff.ops.avg_pool2d(a[None, None], 2, stride=1)[0, 0],
    max_pool=lambda a: autodiff.ops.max_pool2d(a[None, None], 2, stride=1)[0, 0],
    assign=_changed(operator.setitem),
    assign_to_zeros=_assign_to_zeros,
    add_to=_changed(_add_to),
    scale_at=_changed(_scale_at),
    add_at=_changed(np.add.at),
    recurrence=_recurrence,
    through_view=_changed(_through_view),
    product_into=_product_into,
    put=_changed(np.put),
    put_along_axis=_changed(lambda y, index, value: np.put_along_axis(y, index, value, 1)),
    fill_diagonal=_changed(np.fill_diagonal),
    expm=linalg.expm,
    solve_triangular=lambda a, b, lower: linalg.solve_triangular(a, b, lower=lower),
    cho_solve=lambda low, b: linalg.cho_solve((low, True), b),
    map=autodiff.vmap,
    slope_of=autodiff.grad,
    jacobian_columns=autodiff.jacfwd(lambda r: np.sin(r) * np.sum(r)),
    jacobian_rows=autodiff.jacrev(lambda r: np.sin(r) * np.sum(r)),
    checkpointed=autodiff.checkpoint,
    custom_tangents=_tangents,
    custom_adjoints=_adjoints,
    **{name: getattr(special, name) for name in SPECIAL.split()},
)


# -- steps ---------------------------------------------------------------------------------------------------

ELEMENTWISE = {
    "sin": lambda f, a: f.sin(a),
    "cos": lambda f, a: f.cos(a),
    "tan": lambda f, a: f.tan(f.sin(a)),
    "tanh": lambda f, a: f.tanh(a),
    "negative": lambda f, a: f.negative(a),
    "arctan": lambda f, a: f.arctan(f.multiply(a, 0.7)),
    "arcsin": lambda f, a: f.arcsin(f.multiply(f.sin(a), 0.8)),
    "arccos": lambda f, a: f.arccos(f.multiply(f.cos(a), 0.7)),
    "sinh": lambda f, a: f.sinh(f.sin(a)),
    "cosh": lambda f, a: f.cosh(f.cos(a)),
    "arcsinh": lambda f, a: f.arcsinh(a),
    "arccosh": lambda f, a: f.arccosh(f.add(f.square(f.sin(a)), 1.5)),
    "arctanh": lambda f, a: f.arctanh(f.multiply(f.sin(a), 0.8)),
    "exp": lambda f, a: f.exp(f.sin(a)),
    "exp2": lambda f, a: f.exp2(f.sin(a)),
    "expm1": lambda f, a: f.expm1(f.cos(a)),
    "log": lambda f, a: f.log(f.add(f.square(a), 0.5)),
    "log2": lambda f, a: f.log2(f.add(f.square(f.cos(a)), 0.5)),
    "log10": lambda f, a: f.log10(f.add(f.square(a), 0.5)),
    "log1p": lambda f, a: f.log1p(f.square(f.sin(a))),
    "sqrt": lambda f, a: f.sqrt(f.add(f.square(a), 0.5)),
    "square": lambda f, a: f.square(f.sin(a)),
    "reciprocal": lambda f, a: f.reciprocal(f.add(f.cos(a), 1.6)),
    "power 3": lambda f, a: f.power(f.sin(a), 3),
    "power -1.5": lambda f, a: f.power(f.add(f.square(a), 0.6), -1.5),
    "power of 2": lambda f, a: f.power(2.0, f.sin(a)),
    "absolute": lambda f, a: f.absolute(a),
    "clip": lambda f, a: f.clip(a, -0.7, 0.9),
    "remainder": lambda f, a: f.remainder(a, 1.7),
    "erf": lambda f, a: f.erf(a),
    "expit": lambda f, a: f.expit(a),
    "gammaln": lambda f, a: f.gammaln(f.add(f.sin(a), 2.5)),
    "digamma": lambda f, a: f.digamma(f.add(f.sin(a), 2.5)),
}
BINARY = {
    "add": lambda f, a, b: f.multiply(f.add(a, b), 0.5),
    "subtract": lambda f, a, b: f.multiply(f.subtract(a, b), 0.5),
    "multiply": lambda f, a, b: f.multiply(f.sin(a), b),
    "divide": lambda f, a, b: f.divide(f.sin(a), f.add(f.cos(b), 1.6)),
    "power": lambda f, a, b: f.power(f.add(f.square(f.sin(a)), 0.5), f.cos(b)),
    "hypot": lambda f, a, b: f.multiply(f.hypot(f.add(f.sin(a), 1.5), b), 0.5),
    "arctan2": lambda f, a, b: f.arctan2(a, f.add(f.cos(b), 1.6)),
    "logaddexp": lambda f, a, b: f.multiply(f.logaddexp(a, b), 0.5),
    "maximum": lambda f, a, b: f.maximum(a, b),
    "minimum": lambda f, a, b: f.minimum(a, b),
}
# A value of at least one axis, and a detail.
AXES = {
    "sum": lambda f, a, k: f.multiply(f.sum(a, axis_of(a, k)), 1 / a.shape[axis_of(a, k)]),
    "mean": lambda f, a, k: f.mean(a, axis_of(a, k)),
    "prod": lambda f, a, k: f.prod(f.add(f.multiply(f.sin(a), 0.3), 0.9), axis_of(a, k)),
    "max": lambda f, a, k: f.max(a, axis_of(a, k)),
    "min": lambda f, a, k: f.min(a, axis_of(a, k)),
    "median": lambda f, a, k: f.median(a, axis_of(a, k)),
    "var": lambda f, a, k: f.var(f.sin(a), axis_of(a, k)),
    "std": lambda f, a, k: f.sqrt(f.add(f.var(f.sin(a), axis_of(a, k)), 0.3)),
    "softmax": lambda f, a, k: f.softmax(a),
    "logsumexp": lambda f, a, k: f.multiply(f.logsumexp(a, axis_of(a, k)), 0.5),
    "cumsum": lambda f, a, k: f.multiply(f.cumsum(a, axis_of(a, k)), 1 / a.shape[axis_of(a, k)]),
    "cumprod": lambda f, a, k: f.cumprod(f.add(f.multiply(f.sin(a), 0.3), 0.9), axis_of(a, k)),
    "diff": lambda f, a, k: f.multiply(f.diff(f.pad(a)), 0.5),
    "flip": lambda f, a, k: f.flip(a, axis_of(a, k)),
    "roll": lambda f, a, k: f.roll(a, 1 + k % 2, axis_of(a, k)),
    "sort": lambda f, a, k: f.sort(a, axis_of(a, k)),
    "pad": lambda f, a, k: f.pad(a) if size_of(a.shape) <= 12 else a,
    "repeat": lambda f, a, k: f.repeat(a, 2, axis_of(a, k)) if size_of(a.shape) <= 18 else a,
    "concatenate": lambda f, a, k: f.concatenate([a, f.sin(a)], axis_of(a, k)) if size_of(a.shape) <= 18 else a,
    "getitem": lambda f, a, k: f.getitem(a, INDICES[k % len(INDICES)]) if a.shape[0] > 1 else a,
    "power_spectrum": lambda f, a, k: f.log(f.add(f.power_spectrum(a), 1.0)),
    "low_pass": lambda f, a, k: f.low_pass(a),
}
INDICES = [slice(1, None), slice(None, None, 2), 0, -1, np.array([0, -1, 0]), (Ellipsis, 0), (None, slice(None))]
# Anything.
STRUCTURE = {
    "reshape": lambda f, a, b, k: f.reshape(a, [(n := size_of(a.shape),), (n, 1), (1, n), (1, n, 1)][k % 4]),
    "transpose": lambda f, a, b, k: f.transpose(a),
    "broadcast_to": lambda f, a, b, k: f.broadcast_to(a, (2, *a.shape)) if size_of(a.shape) <= 12 else a,
    "tile": lambda f, a, b, k: f.tile(flat(f, a, 9), (2,)),
    "stack": lambda f, a, b, k: f.stack([a, f.cos(a)], k % 2 if a.shape else 0) if size_of(a.shape) <= 18 else a,
    "where": lambda f, a, b, k: f.where(
        (np.arange(size_of(a.shape)) % 3 != k % 3).reshape(a.shape), a, b if a.shape == b.shape else f.sin(a)
    ),
    "outer": lambda f, a, b, k: f.sin(f.outer(flat(f, a, 6), flat(f, b, 6))),
    "kron": lambda f, a, b, k: f.sin(f.kron(flat(f, a, 5), flat(f, b, 5))),
    "convolve": lambda f, a, b, k: f.multiply(f.convolve(flat(f, a, 6), f.sin(flat(f, b, 3))), 0.5),
    "einsum": lambda f, a, b, k: f.multiply(f.einsum("i,i->i", flat(f, a), f.cos(flat(f, a))), 0.5),
    "matmul": lambda f, a, b, k: f.multiply(f.matmul(square(f, a), regular(f, a)), 0.3),
    "bilinear": lambda f, a, b, k: f.einsum("ij,jk,lk->il", square(f, a), square(f, a), definite(f, a)),
    "conv2d": lambda f, a, b, k: f.multiply(f.conv2d(square(f, a), square(f, b)), 0.4),
    "circular": lambda f, a, b, k: f.multiply(f.circular(flat(f, a, 9), f.sin(flat(f, a, 9))), 0.3),
    "trace": lambda f, a, b, k: f.multiply(f.trace(square(f, a)), 0.7),
    "tril": lambda f, a, b, k: f.tril(square(f, a)),
    "norm": lambda f, a, b, k: f.multiply(f.linalg_norm(f.add(f.cos(flat(f, a)), 1.1)), 0.3),
    "inv": lambda f, a, b, k: f.linalg_inv(regular(f, a)),
    "det": lambda f, a, b, k: f.multiply(f.linalg_det(regular(f, a)), 0.01),
    "logabsdet": lambda f, a, b, k: f.multiply(f.logabsdet(regular(f, a)), 0.3),
    "solve": lambda f, a, b, k: f.linalg_solve(regular(f, a), f.add(square(f, a), f.sin(total(f, b)))),
    "cholesky": lambda f, a, b, k: f.linalg_cholesky(definite(f, a)),
    "eigvalsh": lambda f, a, b, k: f.multiply(f.linalg_eigvalsh(definite(f, a)), 0.3),
    "svdvals": lambda f, a, b, k: f.multiply(f.svdvals(regular(f, a)), 0.3),
    "pinv": lambda f, a, b, k: f.linalg_pinv(regular(f, a)),
    "triangular": lambda f, a, b, k: f.multiply(f.triangular(regular(f, a)), 0.3),
}
FAMILIES = (ELEMENTWISE, BINARY, AXES, STRUCTURE, SPECIAL_STEPS, INDEXING, ASSIGNMENT, MATRICES, MAPPED)
WEIGHTS = (3, 2, 2, 3, 2, 3, 2, 2, 2)
KINDS = [list(family) for family in FAMILIES]
ANYTHING = STRUCTURE | SPECIAL_STEPS | INDEXING | ASSIGNMENT | MATRICES | MAPPED


def draw(seed, least=5, most=15):
    """Steps and arguments of program number `seed`: (steps, xs, ts, us, weights)."""
    rng = random.Random(seed)
    steps = []
    for _ in range(rng.randint(least, most)):
        kinds = rng.choices(KINDS, WEIGHTS)[0]
        steps.append((rng.choice(kinds), rng.randrange(31), rng.randrange(31), rng.randrange(31)))

    def arrays(low, high):
        return tuple(
            np.array([rng.uniform(low, high) for _ in range(size_of(shape))]).reshape(shape) for shape in SHAPES
        )

    weights = np.array([rng.uniform(-1, 1) for _ in range(len(steps) + len(SHAPES))])
    return steps, arrays(-1.5, 1.5), arrays(-1.0, 1.0), arrays(-1.0, 1.0), weights


def step(f, kind, a, b, k):
    """One step of a program."""
    if kind in ELEMENTWISE:
        return ELEMENTWISE[kind](f, a)
    if kind in BINARY:
        return BINARY[kind](f, a, b if fit(a.shape, b.shape) else f.sin(total(f, b)))
    if kind in AXES:
        return AXES[kind](f, a if a.shape else f.reshape(a, (1,)), k)
    return ANYTHING[kind](f, a, b, k)


def run(f, steps, *xs):
    """Run a program; the result is a vector with an entry for each value that was computed."""
    values = list(xs)
    for kind, i, j, k in steps:
        value = step(f, kind, values[-1 - i % min(len(values), 3)], values[-1 - j % len(values)], k)
        values.append(settle(f, value))
    parts = []
    for number, value in enumerate(values, 1):
        mean = f.multiply(total(f, value), 1 / min(36, size_of(value.shape)))
        parts.append(f.sin(f.add(mean, 0.1 * number)))
    return f.stack(parts, 0)
