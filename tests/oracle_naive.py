"""The vocabulary of the random programs for the naive engine: a value and a textbook adjoint for each operation.

`oracle_naive_more` has the rest, and the whole vocabulary.
"""

import numpy as np
from scipy import special

from tests import naive
from tests.naive import Node, elementwise, linear


def _back(g, axis):
    """Sums of the entries from each position to the end."""
    return np.flip(np.cumsum(np.flip(g, axis), axis), axis)


def _extremum(reduce):
    def apply(a, axis):
        y = reduce(a.value, axis)
        hit = a.value == np.expand_dims(y, axis)
        share = hit / hit.sum(axis, keepdims=True)
        return Node(y, [(a, lambda g: np.expand_dims(g, axis) * share)])

    return apply


def _sort(a, axis):
    order = np.argsort(a.value, axis, kind="stable")

    def pull(g):
        out = np.empty_like(a.value)
        np.put_along_axis(out, order, g, axis)
        return out

    return Node(np.take_along_axis(a.value, order, axis), [(a, pull)])


def _median(a, axis):
    a, n = _sort(a, axis), a.shape[axis]
    weights = np.zeros(n)
    weights[[(n - 1) // 2, n // 2]] = 1.0 if n % 2 else 0.5
    weights = weights.reshape([n if i == axis else 1 for i in range(len(a.shape))])
    return FUNCTIONS["sum"](FUNCTIONS["multiply"](a, weights), axis)


def _prod(a, axis):
    y = np.prod(a.value, axis)
    return Node(y, [(a, lambda g: np.expand_dims(g * y, axis) / a.value)])


def _cumprod(a, axis):
    y = np.cumprod(a.value, axis)
    return Node(y, [(a, lambda g: _back(g * y, axis) / a.value)])


def _var(a, axis):
    centred = a.value - a.value.mean(axis, keepdims=True)
    return Node(a.value.var(axis), [(a, lambda g: np.expand_dims(g, axis) * 2 * centred / a.shape[axis])])


def _softmax(a):
    y = np.exp(a.value - a.value.max(-1, keepdims=True))
    y /= y.sum(-1, keepdims=True)
    return Node(y, [(a, lambda g: y * (g - np.sum(g * y, -1, keepdims=True)))])


def _power_spectrum(a):
    z = np.fft.fft(a.value)
    return Node(np.abs(z) ** 2, [(a, lambda g: 2 * np.real(np.fft.fft(g * np.conj(z))))])


def _low_pass(a):
    n = a.shape[-1]
    matrix = np.fft.irfft(np.fft.rfft(np.eye(n)) * np.exp(-0.5 * np.arange(n // 2 + 1)), n)
    return Node(a.value @ matrix, [(a, lambda g: g @ matrix.T)])


def _circular(a, b):
    shifts = np.arange(a.shape[0]) - np.arange(a.shape[0])[:, None]
    by_a, by_b = b.value[shifts], a.value[shifts]
    return Node(a.value @ by_a, [(a, lambda g: by_a @ g), (b, lambda g: by_b @ g)])


def _convolve(a, b):
    pulls = [
        (a, lambda g: np.convolve(g, b.value[::-1], "valid")),
        (b, lambda g: np.convolve(g, a.value[::-1], "valid")),
    ]
    return Node(np.convolve(a.value, b.value), pulls)


def _conv2d(a, w):
    k = w.shape[0]
    padded = np.pad(a.value, k - 1)
    n = padded.shape[0] - k + 1
    windows = {(u, v): (slice(u, u + n), slice(v, v + n)) for u in range(k) for v in range(k)}

    def pull_image(g):
        out = np.zeros(padded.shape)
        for at, window in windows.items():
            out[window] += g * w.value[at]
        return out[k - 1 : n, k - 1 : n]

    pull_filter = lambda g: np.array([np.sum(g * padded[window]) for window in windows.values()]).reshape(k, k)
    return Node(
        sum(padded[window] * w.value[at] for at, window in windows.items()), [(a, pull_image), (w, pull_filter)]
    )


def _logsumexp(a, axis):
    y = special.logsumexp(a.value, axis)
    return Node(y, [(a, lambda g: np.expand_dims(g, axis) * np.exp(a.value - np.expand_dims(y, axis)))])


def _concatenate(parts, axis):
    ends = np.cumsum([p.shape[axis] for p in parts])[:-1]
    pulls = [(p, lambda g, i=i: np.split(g, ends, axis)[i]) for i, p in enumerate(parts)]
    return Node(np.concatenate([p.value for p in parts], axis), pulls)


def _stack(parts, axis):
    pulls = [(p, lambda g, i=i: np.take(g, i, axis)) for i, p in enumerate(parts)]
    return Node(np.stack([p.value for p in parts], axis), pulls)


def _outer(a, b):
    return FUNCTIONS["multiply"](FUNCTIONS["reshape"](a, (-1, 1)), FUNCTIONS["reshape"](b, (1, -1)))


def _einsum(subscripts, *args):
    if subscripts == "i,i->i":
        return FUNCTIONS["multiply"](*args)
    a, b, c = args
    return FUNCTIONS["matmul"](FUNCTIONS["matmul"](a, b), FUNCTIONS["transpose"](c))


# -- linear algebra ------------------------------------------------------------------------------------------


def _inv(a):
    y = np.linalg.inv(a.value)
    return Node(y, [(a, lambda g: -y.T @ g @ y.T)])


def _det(a):
    y = np.linalg.det(a.value)
    return Node(y, [(a, lambda g: g * y * np.linalg.inv(a.value).T)])


def _solve(a, b):
    y = np.linalg.solve(a.value, b.value)
    back = lambda g: np.linalg.solve(a.value.T, g)
    return Node(y, [(a, lambda g: -back(g) @ y.T), (b, back)])


def _cholesky(a):
    low = np.linalg.cholesky(a.value)
    inverse = np.linalg.inv(low)

    def pull(g):
        middle = np.tril(low.T @ g)
        middle[np.diag_indices_from(middle)] /= 2
        s = inverse.T @ middle @ inverse
        return (s + s.T) / 2

    return Node(low, [(a, pull)])


def _eigvalsh(a):
    values, vectors = np.linalg.eigh(a.value)
    return Node(values, [(a, lambda g: (vectors * g) @ vectors.T)])


def _svdvals(a):
    u, s, vt = np.linalg.svd(a.value)
    return Node(s, [(a, lambda g: (u * g) @ vt)])


def _triangular(a):
    q, r = np.linalg.qr(a.value)

    def pull(g):
        m = np.tril(r @ g.T)
        return q @ np.linalg.solve(r, (m + np.tril(m, -1).T).T).T

    return Node(r, [(a, pull)])


FUNCTIONS = naive.FUNCTIONS | {
    "arccos": elementwise(np.arccos, lambda a: -((1 - a**2) ** -0.5)),
    "arccosh": elementwise(np.arccosh, lambda a: (a**2 - 1) ** -0.5),
    "arctanh": elementwise(np.arctanh, lambda a: 1 / (1 - a**2)),
    "log2": elementwise(np.log2, lambda a: 1 / (a * np.log(2))),
    "log10": elementwise(np.log10, lambda a: 1 / (a * np.log(10))),
    "minimum": elementwise(np.minimum, lambda a, b: (a < b) + (a == b) / 2, lambda a, b: (a > b) + (a == b) / 2),
    "remainder": elementwise(np.remainder, lambda a, b: 1.0, None),
    "clip": elementwise(np.clip, lambda a, low, high: ((a > low) & (a < high)) * 1.0, None, None),
    "erf": elementwise(special.erf, lambda a: 2 / np.sqrt(np.pi) * np.exp(-(a**2))),
    "expit": elementwise(special.expit, lambda a: special.expit(a) * special.expit(-a)),
    "gammaln": elementwise(special.gammaln, special.digamma),
    "digamma": elementwise(special.digamma, lambda a: special.polygamma(1, a)),
    "logsumexp": _logsumexp,
    "conv2d": _conv2d,
    "mean": lambda a, axis: FUNCTIONS["multiply"](FUNCTIONS["sum"](a, axis), 1 / a.shape[axis]),
    "prod": _prod,
    "max": _extremum(np.max),
    "min": _extremum(np.min),
    "median": _median,
    "var": _var,
    "softmax": _softmax,
    "cumsum": linear(np.cumsum, lambda g, _shape, axis: _back(g, axis)),
    "cumprod": _cumprod,
    "diff": linear(np.diff, lambda g, shape: -np.diff(np.pad(g, [(0, 0)] * (g.ndim - 1) + [(1, 1)]))),
    "flip": linear(np.flip, lambda g, _shape, axis: np.flip(g, axis)),
    "roll": linear(np.roll, lambda g, _shape, by, axis: np.roll(g, -by, axis)),
    "sort": _sort,
    "pad": linear(lambda a: np.pad(a, [(0, 0)] * (a.ndim - 1) + [(1, 1)]), lambda g, _shape: g[..., 1:-1]),
    "repeat": linear(
        np.repeat, lambda g, shape, n, axis: g.reshape((*shape[: axis + 1], n, *shape[axis + 1 :])).sum(axis + 1)
    ),
    "concatenate": _concatenate,
    "stack": _stack,
    "tile": linear(np.tile, lambda g, shape, reps: g.reshape(reps + shape).sum(0)),
    "outer": _outer,
    "kron": lambda a, b: FUNCTIONS["reshape"](_outer(a, b), (-1,)),
    "convolve": _convolve,
    "einsum": _einsum,
    "power_spectrum": _power_spectrum,
    "low_pass": _low_pass,
    "circular": _circular,
    "trace": linear(np.trace, lambda g, shape: g * np.eye(*shape)),
    "tril": linear(np.tril, lambda g, _shape: np.tril(g)),
    "linalg_norm": lambda a: Node(np.linalg.norm(a.value), [(a, lambda g: g * a.value / np.linalg.norm(a.value))]),
    "linalg_inv": _inv,
    "linalg_pinv": _inv,
    "linalg_det": _det,
    "logabsdet": lambda a: Node(
        np.linalg.slogdet(a.value)[1], [(a, lambda g: g * np.linalg.inv(a.value).T)]
    ),
    "linalg_solve": _solve,
    "linalg_cholesky": _cholesky,
    "linalg_eigvalsh": _eigvalsh,
    "svdvals": _svdvals,
    "triangular": _triangular,
}  # fmt: skip
