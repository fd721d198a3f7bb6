"""Bad calls of NumPy's functions on traced arrays: each error's text, for those that no other file looks at."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import autodiff.numpy as anp
from autodiff import array_api as xp
from autodiff import eval_shape, grad, linear_transpose, vjp, vmap
from autodiff.core.errors import DifferentiationError, MissingRuleError, NonlinearError, TracedIndexError

V, M = np.array([0.5, 1.5, 2.5]), np.arange(6.0).reshape(2, 3)
AxisError, LinAlgError = np.exceptions.AxisError, np.linalg.LinAlgError


def copy_and(change):
    """Let a function change a copy."""
    return lambda x: change(x * 1.0)


CASES = {
    # assignment
    "mask of another shape": (
        lambda x: vmap(lambda x: x.__setitem__(x[:, :2] > 0, 1.0))(x[None]),
        IndexError,
        r"x\[mask\] = ...: the mask has the shape \(2, 2\), the array \(2, 3\)",
    ),
    "traced position": (copy_and(lambda y: np.put(y, y[0, :1], 1.0)), TracedIndexError, r"np.put: .*are integers"),
    "put mode": (copy_and(lambda y: np.put(y, [0], 1.0, mode="no")), ValueError, r"np.put: mode must be 'raise'"),
    "place nothing": (copy_and(lambda y: np.place(y, y > 0, [])), ValueError, r"np.place: cannot insert from an empty"),
    "putmask": (copy_and(lambda y: np.putmask(y, [True], 1.0)), ValueError, r"np.putmask: the mask has the shape"),
    "copyto": (
        copy_and(lambda y: np.copyto(y.astype(np.float32), y, casting="safe")),
        TypeError,
        r"np.copyto: cannot cast float64\[2,3\] to float32",
    ),
    "put_along_axis": (
        copy_and(lambda y: np.put_along_axis(y, np.array([0]), 1.0, 1)),
        ValueError,
        r"np.put_along_axis: `indices` and `arr` must",
    ),
    "fill_diagonal 1-d": (copy_and(lambda y: np.fill_diagonal(y[0], 1.0)), ValueError, r"must be at least"),
    "fill_diagonal 3-d": (copy_and(lambda y: np.fill_diagonal(y[None], 1.0)), ValueError, r"all axes of the array"),
    "fill": (copy_and(lambda y: y.fill(y[0])), ValueError, r"x.fill\(\): the value must be one number"),
    # shapes and axes
    "meshgrid": (lambda x: np.meshgrid(x[0], indexing="no")[0], ValueError, r"np.meshgrid: indexing must be"),
    "moveaxis": (lambda x: np.moveaxis(x, [0, 1], [0]), ValueError, r"np.moveaxis: source .* and destination"),
    "matrix_transpose": (lambda x: np.matrix_transpose(x[0]), ValueError, r"np.matrix_transpose: float64\[3\] has"),
    "rot90": (lambda x: np.rot90(x, axes=(0,)), ValueError, r"np.rot90: axes must be two axes"),
    "block of nothing": (lambda x: anp.block([x, []]), ValueError, r"np.block: "),
    "block of other depths": (lambda x: anp.block([x, [x]]), ValueError, r"np.block: the depths"),
    "array_split": (lambda x: np.array_split(x, 0)[0], ValueError, r"np.array_split: the number of sections must"),
    "reshape": (lambda x: np.reshape(x, -1, order="K"), ValueError, r"np.reshape: order must be 'C', 'F' or 'A'"),
    "transpose": (lambda x: np.transpose(x, (0,)), ValueError, r"np.transpose: axes \(0,\) do not fit"),
    "diag": (lambda x: np.diag(x[None]), ValueError, r"np.diag: input must be 1- or 2-d"),
    "triu": (lambda x: np.triu(x[0, 0]), TypeError, r"np.triu, np.tril: a 0-dimensional array"),
    "vander": (np.vander, ValueError, r"np.vander: x must be a one-dimensional array"),
    "astype": (lambda x: x.astype(np.float32, casting="safe"), TypeError, r"astype: cannot cast float64"),
    # picking
    "take of nothing": (lambda x: np.take(x[:, :0], [0], axis=1), IndexError, r"np.take: no entry can be taken"),
    "take mode": (lambda x: np.take(x, [0], mode="no"), ValueError, r"np.take: mode must be 'raise', 'wrap' or 'clip'"),
    "take positions": (lambda x: np.take(x, [0.5]), TypeError, r"np.take: positions must be integers, not float64"),
    "take_along_axis": (
        lambda x: np.take_along_axis(x, np.array([0]), 1),
        ValueError,
        r"np.take_along_axis: indices \(1,\) and the array \(2, 3\) differ",
    ),
    "compress": (lambda x: np.compress([[True]], x), ValueError, r"np.compress: the condition must have one axis"),
    "insert": (lambda x: np.insert(x, [[0]], 1.0, axis=1), ValueError, r"np.insert: positions must have one axis"),
    "clip twice": (lambda x: np.clip(x, 0, 1, min=0), ValueError, r"np.clip: give a_min and a_max, or min= and max="),
    "clip keywords": (lambda x: np.clip(x, 0, 1, where=M > 0), MissingRuleError, r"np.clip .*\['where'\]"),
    "argsort order": (lambda x: np.argsort(x, order="f"), MissingRuleError, r"np.argsort .*order="),
    "argsort kind": (lambda x: np.argsort(x, kind="stable", stable=True), ValueError, r"give kind= or stable="),
    "choose": (lambda x: np.choose([5], [x[0, :1], x[1, :1]]), ValueError, r"np.choose: an index is not between 0 and"),
    "piecewise": (lambda x: np.piecewise(x, [x > 0], [1, 2, 3]), ValueError, r"np.piecewise: 3 functions"),
    "bincount": (lambda x: np.bincount([0, 1], weights=x[0]), ValueError, r"np.bincount: \(3,\) weights"),
    # sums
    "max where": (lambda x: np.max(x, where=M > 2), ValueError, r"np.max: where= needs initial="),
    "nanargmax": (lambda x: np.nanargmax(x * np.nan), ValueError, r"np.nanargmax: a line has no element"),
    "average axis": (lambda x: np.average(x, weights=V), TypeError, r"np.average: axis must be given, as the shapes"),
    "average weights": (lambda x: np.average(x, axis=0, weights=V), ValueError, r"np.average: weights \(3,\) do not"),
    "average of 0": (lambda x: np.average(x[0], weights=V * 0), ZeroDivisionError, r"the weights sum to zero"),
    "var": (lambda x: np.var(x, ddof=1, correction=1), ValueError, r"np.var: ddof and correction are two names"),
    "quantile": (lambda x: np.quantile(x, 0.5, interpolation="x"), (TypeError, MissingRuleError), r"interpolation"),
    "cumulative_sum": (np.cumulative_sum, ValueError, r"axis must be given for an array with"),
    "diff": (lambda x: np.diff(x, n=-1), ValueError, r"np.diff: n must not be negative"),
    "gradient edge": (lambda x: np.gradient(x[0], edge_order=3), ValueError, r"np.gradient: edge_order must be 1 or 2"),
    "gradient spacing": (lambda x: np.gradient(x, 1.0, 1.0, 1.0)[0], TypeError, r"np.gradient: 3 spacings for"),
    "gradient short": (lambda x: np.gradient(x[0, :1]), ValueError, r"np.gradient: an axis of length 1 is too"),
    "accumulate": (lambda x: np.maximum.accumulate(x[0, 0]), TypeError, r"cannot accumulate on a scalar"),
    "accumulate of others": (np.arctan2.accumulate, MissingRuleError, r"np.arctan2.accumulate has no"),
    "reduce of others": (np.power.reduce, MissingRuleError, r"np.power.reduce has no"),
    "reduce, order": (lambda x: np.subtract.reduce(x, axis=(0, 1)), ValueError, r"subtract.reduce: the order counts"),
    "reduce of nothing": (lambda x: np.subtract.reduce(x[:0]), ValueError, r"no entry along axis 0, and no initial="),
    "reduceat": (lambda x: np.add.reduceat(x, [9]), IndexError, r"np.add.reduceat: an index is out of bounds for 2"),
    "reduceat kinds": (lambda x: np.add.reduceat(x, [0.5]), TypeError, r"must be a vector of integers, not float64\[1"),
    "windows": (lambda x: sliding_window_view(x, 3, axis=0), ValueError, r"a window of 3 does not fit along axis 0 of"),
    "windows, axes": (lambda x: sliding_window_view(x, (2, 2), axis=0), ValueError, r"2 window lengths for 1 axes"),
    "writeable windows": (
        lambda x: sliding_window_view(x, 2, axis=0, writeable=True),
        MissingRuleError,
        r"sliding_window_view .* with writeable=True",
    ),
    # products
    "matrix_power": (lambda x: np.linalg.matrix_power(x, 2), LinAlgError, r"np.linalg.matrix_power: the la"),
    "multi_dot of one": (lambda x: np.linalg.multi_dot([x]), ValueError, r"multi_dot: expecting at least two"),
    "multi_dot ranks": (lambda x: np.linalg.multi_dot([x, x[None], x]), LinAlgError, r"array 1 is 3-dim"),
    "tensordot": (lambda x: np.tensordot(x, x, 1), ValueError, r"tensordot: shape-mismatch for sum over axes"),
    "tensordot axes": (lambda x: np.tensordot(x, x, 3), ValueError, r"tensordot: cannot sum over 3 axes"),
    "cross": (lambda x: np.cross(x.T, x.T[:, :1]), ValueError, r"cross: .* are not 3-dimensional vectors"),
    "linalg.outer": (lambda x: np.linalg.outer(x, x), ValueError, r"np.linalg.outer: input arrays must be one-dim"),
    "linalg.cross": (lambda x: np.linalg.cross(x.T, x.T), ValueError, r"np.linalg.cross: both arrays must be"),
    "einsum": (lambda x: np.einsum("ij->ik", x), ValueError, r"np.einsum: the result of 'ij->ik'"),
    "einsum operands": (lambda x: np.einsum("ij,jk", x), ValueError, r"np.einsum: .* has subscripts for 2 operand"),
    "einsum sizes": (lambda x: np.einsum("ij,ij", x, x.T), ValueError, r"has two sizes in operands"),
    "rfft": (lambda x: np.fft.rfft(x + 1j), TypeError, r"np.fft.rfft: the input must be real"),
    "fft norm": (lambda x: np.fft.fft(x, norm="no"), ValueError, r'np.fft.fft: norm must be "backward"'),
    "fft n": (lambda x: np.fft.fft(x, 0), ValueError, r"np.fft.fft: there must be at least one"),
    "fft axis": (lambda x: np.fft.fft(x, axis=5), AxisError, r"np.fft.fft: axis 5 d"),
    "pad": (lambda x: np.pad(x[:0], 1, "edge"), ValueError, r"np.pad: the empty axis 0 can only be"),
    "pad width": (lambda x: np.pad(x, -1), ValueError, r"np.pad: pad_width must not be negative"),
    "pad widths": (lambda x: np.pad(x, 0.5), TypeError, r"np.pad: pad_width must be integers"),
    # the standard
    "namespace": (lambda x: x.__array_namespace__(api_version="1999.12"), ValueError, r"unknown api_version '1999.12'"),
    "to_device": (lambda x: x.to_device("moon"), ValueError, r"to_device: float64\[2,3\] is on 'cpu'"),
    "dlpack": (np.from_dlpack, DifferentiationError, r"__dlpack__\(\) \(np.from_dlpack.*would be lost"),
}  # fmt: skip


@pytest.mark.parametrize(("f", "error", "text"), CASES.values(), ids=CASES.keys())
def test_bad_calls(f, error, text):
    with np.errstate(all="ignore"), pytest.raises(error, match=text):
        vjp(f, M)


def test_shapes_alone():
    """Where NumPy does not compute, it cannot complain."""
    with pytest.raises(ValueError, match=r"concatenate: the shapes .* differ i"):
        eval_shape(lambda x: np.concatenate([x, x[:, :2]]), M)
    with pytest.raises(ValueError, match=r"stack: all arrays must have one shape"):
        eval_shape(lambda x: np.stack([x, x[:1]]), M)


def test_branches_of_linear_functions():
    with pytest.raises(NonlinearError, match=r"bool\(\) of float64\[\]: a linear function cannot branch"):
        linear_transpose(lambda x: -x if x else 2 * x, 1.0)(1.0)


def test_the_namespace_is_the_standards():
    assert grad(lambda x: x.__array_namespace__().sum(x))(V).tolist() == [1, 1, 1]
    assert "2024.12" in xp.SUPPORTED_VERSIONS
