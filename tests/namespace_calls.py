"""A call of every function of NumPy: those that are differentiated, those that are constant, and the rest by name."""

from __future__ import annotations

from typing import Any

import numpy as np

RNG = np.random.default_rng(8)
#: Numbers between 0 and 1, all different, where every elementary function but two is smooth.
U = RNG.permutation(np.linspace(0.15, 0.85, 12)).reshape(3, 4)
V, W, M = U[0], np.array([0.21, 0.77, 0.39, 0.58]), U[:, :3] + np.eye(3)
Z = U[:2] + 0.5j * U[1:]
MASK = U > 0.4


def joined(parts: Any) -> Any:
    """Several results as one vector."""
    return np.concatenate([np.ravel(p) for p in parts])


def _each(names: str, *args: Any, module: Any = np) -> dict[str, Any]:
    return {name: (lambda *a, n=name: getattr(module, n)(*a), *args) for name in names.split()}


def _into(name: str, *args: Any) -> Any:
    """Let a function change a copy of its first argument, by the last one."""

    def f(x: Any, v: Any) -> Any:
        y = x * 1.0
        getattr(np, name)(y, *args, v)
        return y

    return f


def _put_along(x: Any, v: Any) -> Any:
    y = x * 1.0
    np.put_along_axis(y, np.array([[1], [0], [3]]), v, 1)
    return y


#: name: (function, arguments that are all differentiated), or a list of such. At every point all derivatives exist.
CALLS: dict[str, Any] = {
    **_each(
        "abs absolute acos arccos arcsin arcsinh arctan arctanh asin asinh atan atanh cbrt conj conjugate cos cosh "
        "deg2rad degrees exp exp2 expm1 fabs i0 imag log log10 log1p log2 negative positive rad2deg radians real "
        "reciprocal sin sinc sinh sqrt square tan tanh nan_to_num real_if_close copy",
        U,
    ),
    **_each("acosh arccosh", U + 1),
    **_each(
        "add arctan2 atan2 divide fmax fmin hypot logaddexp logaddexp2 maximum minimum multiply pow power subtract "
        "true_divide copysign float_power fmod mod remainder",
        U,
        W,
    ),
    **_each("amax amin max min mean median nanmedian ptp std var sum prod cumsum cumprod nancumsum nancumprod", U),
    **_each("nanmax nanmin nanmean nanstd nanvar nansum nanprod diff trapezoid sort gradient average", U[1]),
    **_each("atleast_1d atleast_2d atleast_3d ravel squeeze transpose permute_dims flip flipud fliplr rot90", U),
    **_each("vander ediff1d trim_zeros", V),
    **_each("diag diagonal tril triu trace matrix_transpose diagflat", M),
    **_each("convolve correlate dot inner outer vdot kron vecdot polyadd polysub polymul", V, W[:3]),
    **_each("dot inner vdot vecdot", V, W),
    **_each("hstack vstack dstack column_stack stack", U),
    "abs": [(np.abs, U), (np.abs, Z)],
    "conj": [(np.conj, U), (np.conj, Z)],
    "real": [(np.real, U), (np.real, Z)],
    "imag": (np.imag, Z),
    "angle": [(np.angle, Z), (lambda z: np.angle(z, deg=True), Z)],
    "real_if_close": [(np.real_if_close, U), (np.real_if_close, Z)],
    "nan_to_num": [(np.nan_to_num, U), (np.nan_to_num, Z)],
    "sign": (np.sign, Z),
    "modf": (lambda x: np.modf(x)[0], 3 * U),
    "frexp": (lambda x: np.frexp(x)[0], 3 * U),
    "divmod": (lambda x, y: np.divmod(x, y)[1], 3 * U, W),
    "ldexp": (lambda x: np.ldexp(x, 3), U),
    "nextafter": (lambda x: np.nextafter(x, 1.0), U),
    "heaviside": (lambda x, y: np.heaviside(x, y) * y, U, V),
    "sinc": [(np.sinc, U), (np.sinc, np.zeros(2))],
    "matmul": (np.matmul, U, U.T),
    "matvec": (np.matvec, U, V) if hasattr(np, "matvec") else (np.dot, U, V),
    "vecmat": (np.vecmat, V[:3], U) if hasattr(np, "vecmat") else (np.dot, V[:3], U),
    "tensordot": (lambda a, b: np.tensordot(a, b, ([0, 1], [1, 0])), U, U.T),
    "einsum": (lambda a, b: np.einsum("ij,kj->ik", a, b), U, U[:2]),
    "cross": (np.cross, M, M[::-1]),
    # selection and order
    "where": (lambda a, b: np.where(MASK, a, b), U, W),
    "clip": (lambda x, low: np.clip(x, low, 0.7), U, np.float64(0.33)),
    "select": (lambda x, y: np.select([MASK, x < 0.3], [x * x, y], 0.5), U, W),
    "choose": (lambda x, y: np.choose([0, 1, 1, 0], [x, y]), V, W),
    "piecewise": (lambda x: np.piecewise(x, [x < 0.3, x > 0.6], [np.sin, np.exp, 2.0]), U),
    "extract": (lambda x: np.extract(MASK, x), U),
    "compress": (lambda x: np.compress([True, False, True], x, axis=0), U),
    "take": [(lambda x: np.take(x, [1, 1, -1]), U), (lambda x: np.take(x, [[0, 5]], axis=1, mode="wrap"), U)],
    "take_along_axis": (lambda x: np.take_along_axis(x, np.array([[1, 0, 1, -1]]), 0), U),
    "partition": (lambda x: np.partition(x, 2), U),
    "sort": [(np.sort, U), (lambda x: np.sort(x, axis=None), U)],
    "sort_complex": [(np.sort_complex, V), (np.sort_complex, Z)],
    "unique": (np.unique, U),
    "unique_all": (lambda x: np.unique_all(x).values, U),
    "unique_counts": (lambda x: np.unique_counts(x).values, U),
    "unique_inverse": (lambda x: np.unique_inverse(x).values, U),
    "unique_values": (lambda x: np.unique_values(x) ** 2, U),
    "union1d": (np.union1d, V, W),
    "intersect1d": (lambda x: np.intersect1d(x[:3], x[1:]), V),
    "setdiff1d": (lambda x: np.setdiff1d(x, x[1:3]), V),
    "setxor1d": (np.setxor1d, V, W),
    "quantile": (np.quantile, U, np.float64(0.37)),
    "percentile": (lambda x: np.percentile(x, [20.0, 70.0], axis=1), U),
    "nanquantile": (lambda x: np.nanquantile(x, 0.3), U),
    "nanpercentile": (lambda x: np.nanpercentile(x, 30, axis=0), U),
    # statistics
    "average": [(lambda x, w: np.average(x, weights=w, axis=1), U, V)],
    "cov": [(np.cov, U), (lambda x, y, w: np.cov(x, y, aweights=w), V, W, U[2])],
    "corrcoef": [(np.corrcoef, U), (np.corrcoef, Z)],
    "bincount": (lambda w: np.bincount([0, 2, 1, 2], w), V),
    "histogram": [
        (lambda w: np.histogram(V, 3, weights=w)[0], W),
        (lambda x: np.histogram(x, 3, density=True)[0], V),
        (lambda x: np.histogram(x, 3)[1], V),
    ],
    "histogram2d": (lambda w: np.histogram2d(V, W, 2, weights=w, density=True)[0], U[2]),
    "histogramdd": (lambda w: np.histogramdd((V, W), 2, weights=w)[0], U[2]),
    "histogram_bin_edges": (lambda x: np.histogram_bin_edges(x, 4), V),
    "cumulative_sum": (lambda x: np.cumulative_sum(x, axis=1, include_initial=True), U),
    "cumulative_prod": (lambda x: np.cumulative_prod(x, axis=0), U),
    "interp": (np.interp, V, np.array([0.1, 0.47, 0.9]), np.array([1.0, -1.0, 2.0])),
    "trapezoid": [(np.trapezoid, V, np.cumsum(W)), (lambda y, d: np.trapezoid(y, dx=d), U, np.float64(0.3))],
    "gradient": [(np.gradient, V), (np.gradient, V, np.cumsum(W)), (lambda x: joined(np.gradient(x)), U)],
    # polynomials
    "polyval": (np.polyval, V, W),
    "polyder": (lambda p: np.polyder(p, 2), V),
    "polyint": (lambda p, k: np.polyint(p, 2, k), V, W[:2]),
    "polydiv": (lambda u, v: joined(np.polydiv(u, v)), V, W[:2]),
    "polyfit": (lambda x, y: np.polyfit(x, y, 1), V, W),
    "roots": (np.roots, np.array([1.0, -6.0, 11.0, -6.1])),
    "poly": [(np.poly, V), (np.poly, M)],
    # shapes
    "reshape": (lambda x: np.reshape(x, (2, -1)), U),
    "resize": (lambda x: np.resize(x, (5, 3)), U),
    "expand_dims": (lambda x: np.expand_dims(x, (0, 2)), U),
    "moveaxis": (lambda x: np.moveaxis(x, 0, 1), U),
    "rollaxis": (lambda x: np.rollaxis(x, 1), U),
    "swapaxes": (lambda x: np.swapaxes(x, 0, 1), U),
    "roll": (lambda x: np.roll(x, (1, 2), (0, 1)), U),
    "tile": (lambda x: np.tile(x, (2, 1)), U),
    "repeat": (lambda x: np.repeat(x, [1, 0, 2], axis=0), U),
    "pad": (lambda x: np.pad(x, 1, mode="reflect"), U),
    "broadcast_to": (lambda x: np.broadcast_to(x, (2, 4)), V),
    "broadcast_arrays": (lambda x, y: np.stack(np.broadcast_arrays(x, y)), U, V),
    "meshgrid": (lambda x, y: np.stack(np.meshgrid(x, y)), V, W[:2]),
    "ix_": (lambda x, y: joined(np.ix_(x, y)), V, W[:2]),
    "split": (lambda x: np.split(x, [1])[1], U),
    "array_split": (lambda x: np.array_split(x, 3, axis=1)[0], U),
    "hsplit": (lambda x: np.hsplit(x, 2)[0], U),
    "vsplit": (lambda x: np.vsplit(x, 3)[2], U),
    "dsplit": (lambda x: np.dsplit(x[None], 2)[0], U),
    "unstack": (lambda x: np.unstack(x)[1], U),
    "concatenate": (lambda x, y: np.concatenate([x, y]), U, U[:1]),
    "concat": (lambda x, y: np.concat([x, y], axis=1), U, U[:, :1]),
    "block": (lambda x, y: np.block([[x, y], [y, x]]), U, U),
    "append": (np.append, U, V),
    "insert": (lambda x, y: np.insert(x, 1, y, axis=0), U, V),
    "delete": (lambda x: np.delete(x, [0, 2], axis=1), U),
    "full_like": (lambda x: np.full_like(x, 2.0) * x, U),
    "astype": (lambda x: np.astype(x, complex), U),
    # in place
    "copyto": (_into("copyto"), U, V),
    "fill_diagonal": (_into("fill_diagonal"), U, V[:3]),
    "place": (_into("place", MASK), U, V),
    "put": (_into("put", [1, -2]), U, V[:2]),
    "put_along_axis": (_put_along, U, V[:3, None]),
    "putmask": (_into("putmask", MASK), U, U[::-1]),
    # sequences and functions
    "linspace": (lambda a, b: np.linspace(a, b, 5), V, np.float64(2.0)),
    "logspace": (lambda a, b: np.logspace(a, 1.0, 4, base=b), V, np.float64(2.0)),
    "geomspace": (lambda a, b: np.geomspace(a, b, 4), V, np.float64(2.0)),
    "unwrap": (np.unwrap, 9 * V),
    "apply_along_axis": (lambda x: np.apply_along_axis(lambda v: v[:2] * np.sum(v), 1, x), U),
    "apply_over_axes": (lambda x: np.apply_over_axes(np.sum, x * x, [0, 1]), U),
}  # fmt: skip

FFT_CALLS: dict[str, Any] = {
    **_each("fft ifft irfft hfft fft2 ifft2 irfft2 fftn ifftn irfftn", Z, module=np.fft),
    **_each("rfft ihfft rfft2 rfftn fftshift ifftshift", U, module=np.fft),
    "fftfreq": (lambda d: np.fft.fftfreq(4, d), np.float64(0.5)),
    "rfftfreq": (lambda d: np.fft.rfftfreq(4, d), np.float64(0.5)),
}

SPD = M @ M.T + np.eye(3)
_B = U[:, :2]
LINALG_CALLS: dict[str, Any] = {
    **_each("det inv matrix_norm norm pinv svdvals trace diagonal", M, module=np.linalg),
    **_each("cholesky cond eigvalsh matrix_transpose", SPD, module=np.linalg),
    **_each("outer vecdot", V, W, module=np.linalg),
    "cross": (np.linalg.cross, M, M[::-1]),
    "eig": (lambda a: np.linalg.eig(a)[0], M),
    "eigvals": (np.linalg.eigvals, M),
    "eigh": (lambda a: np.linalg.eigh(a)[1] ** 2, SPD),
    "lstsq": (lambda a, b: np.linalg.lstsq(a, b)[0], U.T, V),
    "matmul": (np.linalg.matmul, M, U),
    "matrix_power": (lambda a: np.linalg.matrix_power(a, 3), M),
    "multi_dot": (lambda a, b: np.linalg.multi_dot([a, b, b.T]), M, U),
    "qr": (lambda a: np.linalg.qr(a)[1], M),
    "slogdet": (lambda a: np.linalg.slogdet(a)[1], M),
    "solve": (np.linalg.solve, M, _B),
    "svd": (lambda a: np.linalg.svd(a)[1], U),
    "tensordot": (lambda a, b: np.linalg.tensordot(a, b, axes=([0, 1], [1, 0])), U, U.T),
    "tensorinv": (lambda a: np.linalg.tensorinv(np.reshape(a, (3, 1, 3)), 1), M),
    "tensorsolve": (np.linalg.tensorsolve, M, V[:3]),
    "vector_norm": (lambda x: np.linalg.vector_norm(x, ord=3), U),
}

#: Functions of which the result is constant, with calls that must give on traced values what they give on plain ones.
CONSTANTS: dict[str, Any] = {
    **_each(
        "all any argmax argmin nanargmax nanargmin argsort argwhere nonzero flatnonzero count_nonzero isfinite isinf "
        "isnan isneginf isposinf isreal isrealobj iscomplex iscomplexobj floor ceil trunc rint fix round around sign "
        "signbit spacing logical_not ndim shape size result_type common_type zeros_like ones_like",
        3 * U,
    ),
    **_each(
        "allclose array_equal array_equiv isclose equal not_equal greater greater_equal less less_equal logical_and "
        "logical_or logical_xor floor_divide isin",
        3 * U,
        W,
    ),
    **_each("diag_indices_from tril_indices_from triu_indices_from", M),
    "argpartition": (lambda x: np.argpartition(x, 2), U),
    "digitize": (lambda x: np.digitize(x, [0.3, 0.6]), V),
    "einsum_path": (lambda a, b: np.einsum_path("ij,jk", a, b)[0], U, U.T),
    "empty_like": (lambda x: np.empty_like(x).shape, U),
    "lexsort": (lambda x, y: np.lexsort((x, y)), V, W),
    "searchsorted": (np.searchsorted, np.array([0.3, 0.6]), V),
    "matrix_rank": (np.linalg.matrix_rank, U),
}

#: What is not differentiated, with the reason.
NEITHER: dict[str, str] = {
    "integers or booleans alone": (
        "bitwise_and bitwise_count bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift "
        "bitwise_xor gcd invert lcm left_shift packbits ravel_multi_index right_shift unpackbits unravel_index"
    ),
    "dates": "busday_count busday_offset datetime_as_string datetime_data is_busday isnat",
    "makes arrays of shapes, counts and integers": (
        "bartlett blackman diag_indices empty eye hamming hanning identity indices mask_indices ones tri tril_indices "
        "triu_indices zeros arange broadcast_shapes"
    ),
    "takes no array argument that could dispatch: autodiff.numpy has it": (
        "array asanyarray asarray asarray_chkfinite ascontiguousarray asfortranarray full kaiser require"
    ),
    "reads memory, text or files": (
        "from_dlpack frombuffer fromfile fromiter fromregex fromstring genfromtxt load loadtxt save savetxt savez "
        "savez_compressed"
    ),
    "makes text": (
        "array2string array_repr array_str base_repr binary_repr format_float_positional format_float_scientific info "
        "typename"
    ),
    "dtypes": "can_cast isdtype issubdtype min_scalar_type mintypecode promote_types",
    "asks what an object is": "isfortran isscalar iterable may_share_memory shares_memory",
    "settings": (
        "get_include get_printoptions getbufsize geterr geterrcall printoptions set_printoptions setbufsize seterr "
        "seterrcall show_config show_runtime test"
    ),
    "matrices of the old class": "asmatrix bmat",
    "calls the user's function, or makes one": "fromfunction frompyfunc nested_iters",
    "deprecated": "row_stack in1d trapz",
}  # fmt: skip
CLASSES = (
    "broadcast busdaycalendar dtype errstate finfo flatiter iinfo matrix memmap ndarray ndenumerate ndindex nditer "
    "poly1d recarray ufunc vectorize LinAlgError"
)
