"""Kinds of steps of the random programs, beside those in `oracle_programs`: the families that have words of their own.

Each kind is a function of the vocabulary, two earlier values and a detail. Kinks (a tie that a rounding error
decides, a root at 0) are kept out by construction, as the results are compared to many digits.
"""

import numpy as np

from tests.oracle_shapes import axis_of, definite, flat, index_of, regular, repeated, rows, size_of, square, total

# Values between 0.6 and 3; between -0.8 and 0.8; distinct ones.
_positive = lambda f, a: f.add(f.multiply(f.sin(a), 1.2), 1.8)
_small = lambda f, a: f.multiply(f.sin(a), 0.8)
_share = lambda f, a: f.add(f.multiply(f.sin(a), 0.4), 0.5)
_distinct = lambda f, a: f.add(f.sin(a), np.reshape(np.arange(size_of(a.shape)) * 2.3 % 5.1, a.shape))
_axes = lambda f, a: a if a.shape else f.reshape(a, (1,))

SPECIAL_STEPS = {
    "xlogy": lambda f, a, b, k: f.xlogy(f.sin(a), _positive(f, total(f, b))),
    "xlog1py": lambda f, a, b, k: f.xlog1py(f.sin(a), _positive(f, total(f, b))),
    "entr": lambda f, a, b, k: f.entr(_positive(f, a)),
    "rel_entr": lambda f, a, b, k: f.multiply(f.rel_entr(_positive(f, a), _positive(f, total(f, b))), 0.5),
    "kl_div": lambda f, a, b, k: f.kl_div(_positive(f, a), _positive(f, total(f, b))),
    "ndtr": lambda f, a, b, k: f.ndtr(a),
    "log_ndtr": lambda f, a, b, k: f.multiply(f.log_ndtr(f.multiply(f.sin(a), 2.0)), 0.5),
    "ndtri": lambda f, a, b, k: f.ndtri(_share(f, a)),
    "logit": lambda f, a, b, k: f.logit(_share(f, a)),
    "erfc": lambda f, a, b, k: f.erfc(a),
    "erfinv": lambda f, a, b, k: f.erfinv(_small(f, a)),
    "i0": lambda f, a, b, k: f.i0(f.sin(a)),
    "i0e": lambda f, a, b, k: f.i0e(_positive(f, a)),
    "i1": lambda f, a, b, k: f.i1(f.cos(a)),
    "i1e": lambda f, a, b, k: f.i1e(_positive(f, a)),
    "trigamma": lambda f, a, b, k: f.multiply(f.polygamma(1, _positive(f, a)), 0.4),
    "betaln": lambda f, a, b, k: f.multiply(f.betaln(_positive(f, a), _positive(f, total(f, b))), 0.4),
    "multigammaln": lambda f, a, b, k: f.multiply(f.multigammaln(f.add(_positive(f, a), 1.5), 2), 0.2),
    "gamma": lambda f, a, b, k: f.multiply(f.gamma(_positive(f, a)), 0.5),
    "gammainc": lambda f, a, b, k: f.gammainc(1.5, _positive(f, a)),
    "sinc": lambda f, a, b, k: f.sinc(_positive(f, a)),
    "log_softmax": lambda f, a, b, k: f.multiply(f.log_softmax(_axes(f, a)), 0.5),
    "logaddexp2": lambda f, a, b, k: f.multiply(f.logaddexp2(a, total(f, b)), 0.5),
    "fmod": lambda f, a, b, k: f.fmod(f.add(a, 7.3), 1.9),
    "cbrt": lambda f, a, b, k: f.cbrt(_positive(f, a)),
    "copysign": lambda f, a, b, k: f.copysign(_positive(f, a), f.add(f.cos(a), 0.123)),
    "sign": lambda f, a, b, k: f.multiply(f.sign(f.add(a, 0.123)), f.sin(a)),
    "floor": lambda f, a, b, k: f.multiply(f.subtract(a, f.floor(f.add(a, 0.123))), 0.7),
    "phase": lambda f, a, b, k: f.phase(a, f.cos(total(f, b))),
    "modulus": lambda f, a, b, k: f.multiply(f.modulus(a, f.sin(total(f, b))), 0.3),
}

INDEXING = {
    "index": lambda f, a, b, k: f.getitem(_axes(f, a), index_of(_axes(f, a).shape, k)),
    "index again": lambda f, a, b, k: f.getitem(_axes(f, a), repeated(_axes(f, a).shape, k)),
    "take": lambda f, a, b, k: f.take(a, np.array([[0, k % 5], [-1, 2]])),
    "take_along_axis": lambda f, a, b, k: f.take_along_axis(
        _axes(f, a), np.zeros((1,) * max(1, len(a.shape)), int) + k % 2 * (_axes(f, a).shape[-1] - 1), -1
    ),
    "argsort": lambda f, a, b, k: f.argsorted(_axes(f, a), k % max(1, len(a.shape))),
    "argmax": lambda f, a, b, k: f.argmaximum(_distinct(f, flat(f, a))),
    "partition": lambda f, a, b, k: f.smallest(_distinct(f, _axes(f, a)), k % _axes(f, a).shape[-1]),
    "quantile": lambda f, a, b, k: f.quantile(
        _distinct(f, _axes(f, a)), (0.3, 0.55, 0.8)[k % 3], axis_of(_axes(f, a), k)
    ),
    "ptp": lambda f, a, b, k: f.multiply(f.ptp(_distinct(f, flat(f, a))), 0.3),
    "select": lambda f, a, b, k: f.select(
        [
            np.arange(size_of(a.shape)).reshape(a.shape) % 3 == k % 3,
            np.arange(size_of(a.shape)).reshape(a.shape) % 2 == 0,
        ],
        [f.sin(a), f.multiply(a, 0.5)],
    ),
    "branch": lambda f, a, b, k: f.branch(f.add(a, 0.123)),
    "delete": lambda f, a, b, k: f.delete(flat(f, a), k % size_of(a.shape)) if size_of(a.shape) > 1 else a,
    "insert": lambda f, a, b, k: f.insert(flat(f, a, 6), k % 2, f.sin(total(f, b))),
    "append": lambda f, a, b, k: f.append(flat(f, a, 6), flat(f, b, 3)),
    "diagonal": lambda f, a, b, k: f.diagonal(rows(f, a), k % 2),
    "diag": lambda f, a, b, k: f.diag(flat(f, a, 3)),
    "triu": lambda f, a, b, k: f.triu(rows(f, a), k % 3 - 1),
    "rot90": lambda f, a, b, k: f.rot90(rows(f, a), 1 + k % 3),
    "swapaxes": lambda f, a, b, k: f.swapaxes(_axes(f, a), 0, -1),
    "fortran": lambda f, a, b, k: f.ravel_fortran(a),
    "block": lambda f, a, b, k: f.block(rows(f, a), f.sin(total(f, b))),
    "split": lambda f, a, b, k: f.multiply(*f.halves(f.sin(rows(f, a)))),
    "gradient": lambda f, a, b, k: f.gradient(flat(f, a)) if size_of(a.shape) > 1 else a,
    "trapezoid": lambda f, a, b, k: f.multiply(f.trapezoid(flat(f, a)), 0.3),
    "average": lambda f, a, b, k: f.average(flat(f, a), _positive(f, flat(f, a))),
    "interp": lambda f, a, b, k: (
        f.interp(f.add(_small(f, a), 1.1), f.sin(flat(f, b, 3))) if size_of(b.shape) > 2 else a
    ),
    "polyval": lambda f, a, b, k: f.multiply(f.polyval(flat(f, b, 3), f.sin(a)), 0.4),
    "nansum": lambda f, a, b, k: f.multiply(f.nansum(f.where(_holes(a.shape, k), a, np.nan)), 0.3),
    "nanmean": lambda f, a, b, k: f.nanmean(f.where(_holes(a.shape, k), a, np.nan)),
    "unwrap": lambda f, a, b, k: f.multiply(f.unwrap(f.multiply(_distinct(f, flat(f, a, 4)), 1.7)), 0.1),
}


def _holes(shape, k):
    return (np.arange(size_of(shape)) % 4 != 1 + k % 3).reshape(shape)


def _assigned(f, a, b, k):
    a = _axes(f, a)
    index = index_of(a.shape, k)
    value = f.sin(total(f, b)) if k % 3 else f.multiply(f.getitem(f.cos(a), index), 0.9)
    return a, index, value


ASSIGNMENT = {
    "assign": lambda f, a, b, k: f.assign(*_assigned(f, a, b, k)),
    "assign to zeros": lambda f, a, b, k: f.assign_to_zeros(*_assigned(f, a, b, k)),
    "add to": lambda f, a, b, k: f.multiply(f.add_to(*_assigned(f, a, b, k)), 0.6),
    "scale at": lambda f, a, b, k: f.scale_at(*_assigned(f, a, b, k)),
    "add at": lambda f, a, b, k: f.multiply(
        f.add_at(_axes(f, a), repeated(_axes(f, a).shape, k), f.sin(total(f, b))), 0.4
    ),
    "recurrence": lambda f, a, b, k: f.recurrence(flat(f, a, 6)),
    "through a view": lambda f, a, b, k: f.through_view(rows(f, a), f.sin(total(f, b))),
    "out": lambda f, a, b, k: f.product_into(f.sin(a), f.cos(a)),
    "put": lambda f, a, b, k: f.put(rows(f, a), np.array([-1, k % 3]), f.sin(flat(f, rows(f, b), 2))),
    "put_along_axis": lambda f, a, b, k: f.put_along_axis(rows(f, a), np.array([[k % 2]]), f.sin(total(f, b))),
    "fill_diagonal": lambda f, a, b, k: f.fill_diagonal(rows(f, a), f.sin(total(f, b))),
}  # fmt: skip

MATRICES = {
    "expm": lambda f, a, b, k: f.multiply(f.expm(square(f, a)), 0.3),
    "exp of eigenvalues": lambda f, a, b, k: f.matrix_exp_eigh(definite(f, a)),
    "polar": lambda f, a, b, k: f.polar(regular(f, a)),
    "orthogonal": lambda f, a, b, k: f.orthogonal(regular(f, a)),
    "matrix_power": lambda f, a, b, k: f.multiply(
        f.matrix_power(regular(f, a), (2, 3, -1, -2)[k % 4]), (0.02, 0.003, 1, 2)[k % 4]
    ),
    "multi_dot": lambda f, a, b, k: f.multiply(
        f.multi_dot([rows(f, a), f.transpose(rows(f, a)), f.sin(rows(f, a))]), 0.2
    ),
    "solve_triangular": lambda f, a, b, k: f.solve_triangular(regular(f, a), f.sin(square(f, a)), k % 2 == 1),
    "cho_solve": lambda f, a, b, k: f.cho_solve(f.linalg_cholesky(definite(f, a)), f.sin(square(f, a))),
    "lstsq": lambda f, a, b, k: f.lstsq(_tall(f, a), f.sin(_column(f, b, square(f, a)))),
    "pinv of a tall matrix": lambda f, a, b, k: f.linalg_pinv(_tall(f, a)),
    "nuclear norm": lambda f, a, b, k: f.multiply(f.nuclear_norm(regular(f, a)), 0.1),
    "max norm": lambda f, a, b, k: f.multiply(f.norm_inf(_distinct(f, flat(f, a))), 0.3),
    "p norm": lambda f, a, b, k: f.multiply(f.norm_p(_positive(f, flat(f, a)), 3), 0.3),
    "tensordot": lambda f, a, b, k: f.multiply(f.tensordot(rows(f, a), f.cos(rows(f, a))), 0.3),
    "inner": lambda f, a, b, k: f.multiply(f.inner(rows(f, a), f.sin(rows(f, a))), 0.4),
    "cross": lambda f, a, b, k: f.cross(flat(f, rows(f, a), 3), f.sin(flat(f, rows(f, b), 3))),
    "cov": lambda f, a, b, k: f.multiply(f.cov(f.add(f.sin(rows(f, a)), _grid(rows(f, a).shape))), 0.3),
    "corrcoef": lambda f, a, b, k: f.corrcoef(f.add(_small(f, rows(f, a)), _grid(rows(f, a).shape))),
    "vander": lambda f, a, b, k: f.vander(f.sin(flat(f, a, 3))),
    "spectrum 2d": lambda f, a, b, k: f.log(f.add(f.spectrum_2d(rows(f, a)), 1.0)),
    "orthonormal spectrum": lambda f, a, b, k: f.multiply(f.half_spectrum(flat(f, a, 6)), 0.3),
    "low pass 2d": lambda f, a, b, k: f.low_pass_2d(rows(f, a)),
    "hermitian": lambda f, a, b, k: f.multiply(f.hermitian(flat(f, a, 4)), 0.3) if size_of(a.shape) > 1 else a,
    "shift": lambda f, a, b, k: f.fftshift(rows(f, a)),
    "average pool": lambda f, a, b, k: f.average_pool(rows(f, a)),
    "max pool": lambda f, a, b, k: f.multiply(f.max_pool(_distinct(f, rows(f, a))), 0.5),
}  # fmt: skip


def _grid(shape):
    return np.reshape(np.arange(size_of(shape)) * 1.7 % 3.1, shape)


def _column(f, b, like):
    """A vector with an entry for each row of a matrix."""
    return f.broadcast_to(total(f, b), (like.shape[0],)) if size_of(b.shape) < 3 else flat(f, b, like.shape[0])


def _tall(f, a):
    return f.getitem(regular(f, a), (slice(None), slice(0, 2)))


def _slope(f):
    return f.slope_of(lambda r: f.sum(f.multiply(f.sin(r), r), 0))


def _row(f):
    return lambda r: f.multiply(f.sin(r), f.cos(f.sum(r, 0)))


def _rotated(f):
    return lambda r, s: f.add(f.sin(f.multiply(r, f.sum(s, 0))), f.flip(r, 0))


MAPPED = {
    "map": lambda f, a, b, k: f.map(_row(f), k % 2, k // 2 % 2)(rows(f, a)),
    "map of two": lambda f, a, b, k: f.map(_rotated(f), (0, (0, 1, None)[k % 3]), 0)(
        rows(f, a),
        f.cos((rows(f, a), f.transpose(rows(f, a)), flat(f, rows(f, a), rows(f, a).shape[1]))[k % 3]),
    ),
    "map of a map": lambda f, a, b, k: f.map(
        lambda r: f.map(lambda s: f.multiply(f.sin(s), total(f, r)), 0, 0)(r), k % 2, 0
    )(f.sin(rows(f, a))),
    "map of products": lambda f, a, b, k: f.multiply(
        f.map(lambda r, m: f.matmul(m, r), (1, None), 1)(f.sin(square(f, a)), f.cos(square(f, a))), 0.5
    ),
    "map of sorts": lambda f, a, b, k: f.map(lambda r: f.cumsum(f.sort(r, 0), 0), k % 2, 0)(f.sin(rows(f, a))),
    "map of assignments": lambda f, a, b, k: f.map(
        lambda r: f.assign(f.sin(r), 0, f.sum(f.cos(r), 0)), 0, k % 2
    )(rows(f, a)),
    "map of solutions": lambda f, a, b, k: f.map(lambda r, m: f.linalg_solve(m, r), (0, None), 0)(
        square(f, a), regular(f, a)
    ),
    "map of softmax": lambda f, a, b, k: f.map(f.softmax, k % 2, k % 2)(rows(f, a)),
    "map of gradients": lambda f, a, b, k: f.map(_slope(f), k % 2, 0)(rows(f, a)),
    "gradient inside": lambda f, a, b, k: _slope(f)(flat(f, a)),
    "columns of a jacobian": lambda f, a, b, k: f.jacobian_columns(flat(f, a, 3)),
    "rows of a jacobian": lambda f, a, b, k: f.jacobian_rows(flat(f, a, 3)),
    "checkpoint": lambda f, a, b, k: f.checkpointed(lambda r: f.sin(f.multiply(r, f.cos(r))))(a),
    "custom rules": lambda f, a, b, k: (f.custom_tangents if k % 2 else f.custom_adjoints)(a),
}  # fmt: skip
