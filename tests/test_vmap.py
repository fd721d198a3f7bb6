"""`vmap`: axes and trees, what a program sees, indexing, errors, operations without a rule."""

import functools

import numpy as np
import pytest

from autodiff import Spec, grad, jacfwd, jacrev, ops, vmap
from autodiff import numpy as anp
from autodiff.core import Operation, elementwise
from autodiff.core.batching import each, folded, mapped
from autodiff.core.errors import BatchingError, DifferentiationError, LeakedTracerError, MissingRuleError
from autodiff.core.tables import REGISTRY
from tests.error_checks import assert_says
from tests.vmap_checks import W, X, close, f, loop

# -- axes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_in_and_out_axes_count_from_either_end(axis):
    x = np.arange(24.0).reshape(2, 3, 4)
    rows = np.moveaxis(x, axis, 0)
    close(vmap(lambda v: np.cumsum(v, axis=0), axis)(x), np.stack([np.cumsum(v, axis=0) for v in rows]))
    close(vmap(lambda v: 2 * v, 0, axis)(x), np.moveaxis(2 * x, 0, axis))
    close(vmap(lambda v: 2 * v, axis, axis)(x), 2 * x)


def test_none_shares_an_argument_of_any_kind():
    got = vmap(lambda g, x, options: g(x) + options["shift"], (None, 0, None))(np.sum, X, {"shift": 1.0, "name": "a"})
    close(got, X.sum(1) + 1)


def test_axes_are_trees_down_to_any_depth():
    tree = {"w": W, "x": (X, [X.T, 3.0])}
    got = vmap(lambda t: t["x"][0] @ t["w"] + t["x"][1][0].sum() * t["x"][1][1], ({"w": None, "x": (0, [1, None])},))
    close(got(tree), X @ W + 3 * X.sum(1)[:, None])
    close(vmap(lambda t: t["a"] + t["b"], ({"b": 1, "a": 0},))({"a": X, "b": X.T}), 2 * X)  # by key
    close(vmap(lambda a, b: a + b, [0, 1])(X, X.T), 2 * X)


def test_results_are_trees_with_axes_of_their_own():
    first, rest = vmap(lambda x: (x, {"sum": x.sum(), "one": 1.0}), out_axes=(1, {"sum": 0, "one": None}))(X)
    close(first, X.T)
    close(rest["sum"], X.sum(1))
    assert rest["one"] == 1.0
    y = vmap(lambda x: (x, np.float32(2.0), None), out_axes=-1)(X)
    assert (y[0].shape, y[1].shape, y[1].dtype, y[2]) == ((4, 3), (3,), np.float32, None)
    y[1][0] = 5.0  # what is repeated belongs to the caller
    assert y[1][1] == 2.0


def test_keywords_are_mapped_along_their_first_axis():
    close(vmap(lambda x, *, w: x @ w, 0)(X, w=2 * X), np.sum(2 * X * X, axis=1))


def test_axis_size_alone_and_no_examples():
    close(vmap(lambda x: x + 1, None, axis_size=2)(X), np.stack([X + 1, X + 1]))
    assert vmap(f)(np.zeros((0, 4))).shape == (0,)
    assert vmap(grad(f))(np.zeros((0, 4))).shape == (0, 4)
    assert vmap(lambda a, b: a @ b, (0, None))(np.zeros((0, 2, 4)), W).shape == (0, 2, 2)


@pytest.mark.parametrize(
    ("call", "kind", "parts"),
    [
        (lambda: vmap(3), TypeError, ["vmap", "function", "int"]),
        (lambda: vmap(f, {"x": 0}), TypeError, ["in_axes must be an int, None, or a tuple", "{'x': 0}"]),
        (lambda: vmap(f, True), TypeError, ["in_axes"]),
        (lambda: vmap(f, axis_size=-1), ValueError, ["axis_size", "-1"]),
        (lambda: vmap(f, (0, 0))(X), ValueError, ["in_axes=(0, 0) has 2 entries", "1 positional argument"]),
        (
            lambda: vmap(lambda a, b: a, (0, {"w": 1}))(X, {"w": W}),
            ValueError,
            ["argument 0 has 3 along axis 0 (float64[3,4])", "argument 1['w'] has 2 along axis 1 (float64[4,2])"],
        ),
        (lambda: vmap(f, axis_size=4)(X), ValueError, ["argument 0 has 3", "axis_size=4"]),
        (lambda: vmap(f, 2)(X), ValueError, ["argument 0 is float64[3,4] with 2 axes", "no axis 2", "in_axes=None"]),
        (lambda: vmap(f)(3.0), TypeError, ["argument 0 is float 3.0", "no axis to map", "in_axes=None"]),
        (lambda: vmap(f)(np.float64(3.0)), ValueError, ["argument 0 is float64[] with 0 axes"]),
        (lambda: vmap(lambda x, *, train: x)(X, train=True), TypeError, ["argument 'train' is bool True", "partial"]),
        (lambda: vmap(f, None)(X), ValueError, ["no argument is mapped", "axis_size="]),
        (lambda: vmap(f, ((0, 1),))(X), ValueError, ["in_axes has (0, 1) for argument 0, which is float64[3,4]"]),
        (
            lambda: vmap(lambda t: t["a"], ({"a": 0},))({"a": X, "b": X}),
            ValueError,
            ["in_axes has {'a': 0} for argument 0", "the tree {'a': *, 'b': *}"],
        ),
        (lambda: vmap(lambda x: x, out_axes=2)(X), ValueError, ["out_axes=2", "shape (4,) for one example"]),
        (lambda: vmap(lambda x: x, out_axes=None)(X), ValueError, ["out_axes is None", "float64[4]", "3 examples"]),
        (lambda: vmap(lambda x: x, out_axes=(0, 0))(X), ValueError, ["out_axes has (0, 0)"]),
        (lambda: vmap(lambda x: object())(X), DifferentiationError, ["vmap", "the function's value", "object"]),
    ],
)
def test_errors_name_the_argument_and_the_shapes(call, kind, parts):
    with pytest.raises(kind) as caught:
        call()
    assert_says(caught.value, *parts)


# -- what the program sees -----------------------------------------------------------------------------------


def test_one_example_is_seen():
    seen = []

    def look(x):
        seen.append((x.shape, x.ndim, x.size, len(x), x.dtype, np.shape(x), np.ndim(x), x.T.shape, x.nbytes))
        return sum(row.sum() for row in x)

    x = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    assert vmap(look)(x).dtype == np.float32
    assert seen == [((3, 4), 2, 12, 3, np.dtype(np.float32), (3, 4), 2, (4, 3), 48)]
    close(vmap(look)(x), x.sum((1, 2)), 1e-6)
    close(vmap(lambda v: seen.append(repr(v)) or v)(X), X)
    assert seen[-1].startswith("Batched(float64[4] of 3")


@pytest.mark.parametrize(
    ("g", "parts"),
    [
        (lambda x: x if x[0] > 0 else -x, ["bool() of bool[]", "3 examples of a vmap", "np.where(condition, a, b)"]),
        (lambda x: abs(float(x[0])), ["float()", "stands for 3 examples at once inside vmap"]),
        (lambda x: int(x[0]), ["int()"]),
        (np.asarray, ["np.asarray()", "np.stack"]),
        (lambda x: X[x.astype(int)], ["table[i]", "autodiff.numpy.take(table, i, axis=0)"]),
        (lambda x: x[x > 0], ["x[mask]", "np.where instead of a branch or a mask"]),
        (np.nonzero, ["np.nonzero", "np.where instead"]),
        (np.unique, ["np.unique"]),
        (lambda x: x.item(), [".item()"]),
        (lambda x: 1.0 in x, ["bool() of"]),
    ],
)
def test_one_value_cannot_be_had(g, parts):
    with pytest.raises(BatchingError) as caught:
        vmap(g)(X)
    assert_says(caught.value, *parts, "(test_vmap.py:")


def test_a_branch_on_what_is_shared_is_fine():
    close(vmap(lambda x, c: x if c > 0 else -x, (0, None))(X, 1.0), X)


def test_tracers_do_not_outlive_the_map():
    kept = []
    vmap(lambda x: kept.append(x) or x)(X)
    for use in (lambda: kept[0] + 1, lambda: bool(kept[0]), lambda: float(kept[0])):
        with pytest.raises(LeakedTracerError, match="after the vmap that made it had ended"):
            use()


def test_class_numbers_are_checked_in_every_example():
    with pytest.raises(IndexError, match=r"class number 7 at position \(1, 0\)"):
        vmap(ops.softmax_cross_entropy)(np.zeros((2, 1, 4)), np.array([[0], [7]]))


def test_mapped_values_are_recognised():
    seen = []
    vmap(grad(lambda x: seen.append((mapped(x), mapped(W))) or np.sum(x)))(X)
    assert seen == [(True, False)]


@pytest.mark.parametrize("generator", [np.random.default_rng(0), np.random.RandomState(0), np.random.PCG64(0)])
@pytest.mark.parametrize("axes", [(0, None), (0, {"r": None})])
def test_random_generators_are_refused(generator, axes):
    given = generator if axes[1] is None else {"r": generator}
    with pytest.raises(BatchingError, match=r"argument 1.* would share every draw.*Draw the random numbers before"):
        vmap(lambda x, r: x, axes)(X, given)


# -- indexing ------------------------------------------------------------------------------------------------

CUBE = np.arange(120.0).reshape(2, 3, 4, 5)


@pytest.mark.parametrize(
    "index",
    [
        1, -1, (), ..., None, (0, 1, 2), slice(1, None), slice(None, None, -1), (..., 0), (0, ...),
        (None, ..., None, 1),
        np.array([0, 2]), np.array([[0, 2], [1, 1]]), (slice(None), np.array([3, 0])), (..., np.array([3, 0])),
        (np.array([0, 1]), np.array([1, 2])), (np.array([0, 1]), slice(None), np.array([1, 2])),
        (0, slice(None), np.array([1, 2])), (np.array([[0], [1]]), slice(1, 3), np.array([[1, 2, 3]])),
        (slice(None), 1, np.array([4, 4])), (np.array([0, 2]), None, ..., np.array([1, 1])),
        np.array([True, False, True]), (slice(None), np.array([True, False, True, True])),
        (np.array([True, True, False]), slice(None), np.array([1, 3])), np.arange(12).reshape(3, 4) % 3 == 0,
        np.array([], np.intp), ([0, 1], [2, 2]), np.int64(1), (np.array(1), ..., np.array([0, 1])),
        (np.array([0, 2]), ..., 1, slice(None)), (None, [2, 0], ..., -2, slice(None, None, -1)), (True, ..., 0),
    ],
    ids=repr,
)  # fmt: skip
def test_every_kind_of_index_of_a_mapped_array(index):
    take = lambda x: x[index] * 1.0
    close(vmap(take)(CUBE), np.stack([take(x) for x in CUBE]))
    weight = np.cos(np.arange(take(CUBE[0]).size)).reshape(take(CUBE[0]).shape)
    scalar = lambda x: np.sum(take(x) ** 2 * weight)
    want = np.stack([grad(scalar)(x) for x in CUBE])
    close(vmap(grad(scalar))(CUBE), want)
    close(grad(lambda c: np.sum(vmap(scalar)(c)))(CUBE), want)
    place = np.arange(60).reshape(3, 4, 5)[index]
    close(jacrev(take)(CUBE[0]), np.eye(60)[place].reshape(*take(CUBE[0]).shape, 3, 4, 5))
    close(jacfwd(take)(CUBE[0]), jacrev(take)(CUBE[0]))
    put = lambda x, v: assigned(x, index, v)
    values = np.sin(np.arange(2.0 * weight.size)).reshape(2, *weight.shape)
    close(vmap(put)(CUBE, values), loop(put, CUBE, values))


def assigned(x, index, value):
    y = x.copy()
    y[index] = value
    return y


AT = np.array([[0, 2, 1], [1, 1, 0]])


@pytest.mark.parametrize(
    "take",
    [
        lambda x, i: x[i], lambda x, i: x[i[0]], lambda x, i: x[i[0], i[1]], lambda x, i: x[:, i],
        lambda x, i: x[i, :, i[0]], lambda x, i: x[..., i], lambda x, i: x[i[:, None], i], lambda x, i: x[i[0], 1:3, i],
        lambda x, i: x[0, :, i], lambda x, i: x[np.array([0, 1, 1]), i], lambda x, i: x[None, i, ..., 0],
        lambda x, i: np.take(x, i, axis=1), np.take, lambda x, i: np.take(x, i + 9, mode="wrap"),
        lambda x, i: np.take_along_axis(x, i[:, None, None] + np.zeros((1, 4, 5), int), axis=0),
        lambda x, i: x[np.array([True, False, True])][:, i], lambda x, i: x[i][i[0]], lambda x, i: x[i, ..., 0, :],
        lambda x, i: x[True, i], lambda x, i: x[np.True_, :, i[0]],
    ],
)  # fmt: skip
@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)])
def test_mapped_positions(take, axes):
    x, i = (a if axis == 0 else a[0] for a, axis in zip((CUBE, AT), axes, strict=True))
    rows = [(x[k] if axes[0] == 0 else x, i[k] if axes[1] == 0 else i) for k in range(2)]
    if axes[0] is None:
        take = functools.partial(_as_traced, take)  # a plain table takes no traced index: np.take does
    close(vmap(take, axes)(x, i), np.stack([take(*r) for r in rows]))
    if axes[0] == 0:
        scalar = lambda x, i: np.sum(np.cos(take(x, i)))
        want = np.stack([grad(scalar)(*r) for r in rows])
        close(vmap(grad(scalar), axes)(x, i), want)
        close(grad(lambda c: np.sum(vmap(scalar, axes)(c, i)))(x), want)


def _as_traced(take, x, i):
    return grad(lambda z: np.sum(take(z, i)))(x)


def test_a_table_of_rows_by_mapped_numbers():
    table = np.arange(10.0).reshape(5, 2)
    at = np.array([[4, 0], [1, 1], [2, 3]])
    close(vmap(lambda i: anp.take(table, i, axis=0))(at), table[at])
    g = vmap(grad(lambda t, i: np.sum(t[i] ** 2)), (None, 0))(table, at)
    close(g, np.stack([grad(lambda t, i=i: np.sum(t[i] ** 2))(table) for i in at]))


# -- operations without a rule -------------------------------------------------------------------------------


@pytest.fixture
def rotate():
    op = Operation(
        "test_rotate",
        lambda x: np.concatenate([x[1:], x[:1]]),
        jvps=(lambda t, _y, _x: op(t),),
        vjps=(lambda ct, _y, _x: ct[np.arange(-1, len(ct) - 1)],),
        linear_args=frozenset({0}),
        shape=lambda x: Spec(x.shape, x.dtype),
    )
    yield op
    del REGISTRY["test_rotate"]


def test_an_operation_without_a_rule(rotate):
    with pytest.raises(MissingRuleError, match=r"'test_rotate' has no batching rule \(float64\[4\]\).*batch=.*each"):
        vmap(rotate)(X)
    close(jacfwd(lambda x: rotate(np.sin(x)))(X[0]), np.roll(np.diag(np.cos(X[0])), -1, axis=0))  # one by one


def test_the_loop_that_is_asked_for(rotate):
    rotate.batch = each
    close(vmap(rotate)(X), np.roll(X, -1, axis=1))
    close(vmap(grad(lambda x: rotate(x)[0] ** 2))(X), loop(grad(lambda x: x[1] ** 2), X))
    close(grad(lambda x: np.sum(vmap(lambda v: rotate(v)[0] ** 2)(x)))(X), loop(grad(lambda x: x[1] ** 2), X))
    with pytest.raises(BatchingError, match="cannot be applied to none"):
        vmap(rotate)(np.zeros((0, 4)))


def test_a_rule_that_loses_the_batch_axis(rotate):
    rotate.batch = lambda call, _batched, x: call(x[0])
    with pytest.raises(ValueError, match=r"rule of 'test_rotate' returned float64\[4\], whose first axis"):
        vmap(rotate)(X)


def test_elementwise_operations_need_no_rule():
    op = elementwise(lambda x, y: x * y, lambda t, _y, _a, b: t * b, lambda t, _y, a, _b: t * a, name="test_times")
    try:
        close(vmap(op, (0, None))(X, 2.0), 2 * X)
        close(vmap(grad(lambda x, w: np.sum(op(x, w))), (0, None))(X, W.T), np.tile(W.sum(1), (3, 1)))
    finally:
        del REGISTRY["test_times"]


def test_items_that_are_folded_may_not_share_a_mapped_argument():
    calls = []
    rule = folded(1, 0, otherwise=lambda call, batched, *args: calls.append(batched) or args[0])
    rule(lambda *a: a[0], (True, True), X[..., None], X)
    assert calls == [(True, True)]
