"""`vmap`: axes and trees, what a program sees, indexing, errors, and every other transform inside and around it."""

import functools

import numpy as np
import pytest

import nn
from autodiff import (
    Spec,
    checkpoint,
    custom_jvp,
    custom_vjp,
    eval_shape,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    linear_transpose,
    linearize,
    ops,
    stop_gradient,
    trace,
    tree,
    vjp,
    vmap,
)
from autodiff import numpy as anp
from autodiff.core import Operation, elementwise
from autodiff.core.batching import each, folded, mapped
from autodiff.core.errors import BatchingError, DifferentiationError, LeakedTracerError, MissingRuleError
from autodiff.core.tables import REGISTRY

X = np.arange(12.0).reshape(3, 4) / 7
W = np.linspace(-1.0, 1.0, 8).reshape(4, 2)


def loop(f, *xs):
    return np.stack([f(*[x[i] for x in xs]) for i in range(len(xs[0]))])


def close(got, want, rtol=1e-12):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol)


def f(x):
    return np.sum(np.sin(x) * x[::-1]) * x[1] + np.max(x)


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
        (lambda: vmap(f), None, []),
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
    if kind is None:
        call()
        return
    with pytest.raises(kind) as error:
        call()
    for part in parts:
        assert part in str(error.value)


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
    assert (
        "Batched(float64[4] of 3" in vmap(lambda v: anp.array([0.0]) if not seen.append(repr(v)) else v)(X) or seen[-1]
    )
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
    with pytest.raises(BatchingError) as error:
        vmap(g)(X)
    for part in parts:
        assert part in str(error.value)
    assert "(test_vmap.py:" in str(error.value)


def test_a_branch_on_what_is_shared_is_fine():
    close(vmap(lambda x, c: x if c > 0 else -x, (0, None))(X, 1.0), X)


def test_tracers_do_not_outlive_the_map():
    kept = []
    vmap(lambda x: kept.append(x) or x)(X)
    for use in (lambda: kept[0] + 1, lambda: bool(kept[0]), lambda: float(kept[0])):
        with pytest.raises(LeakedTracerError, match="after the vmap that made it had ended"):
            use()


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


# -- other transforms ----------------------------------------------------------------------------------------


def test_derivatives_inside_and_around():
    want = loop(grad(f), X)
    close(vmap(grad(f))(X), want)
    close(grad(lambda x: np.sum(vmap(f)(x)))(X), want)
    close(vmap(jacrev(f))(X), want)
    close(vmap(jacfwd(f))(X), want)
    close(vmap(lambda x: vjp(f, x)[1](1.0)[0])(X), want)
    close(vmap(lambda x, t: jvp(f, (x,), (t,))[1])(X, X), np.sum(want * X, axis=1))
    close(jvp(vmap(f), (X,), (X,))[1], np.sum(want * X, axis=1))
    close(vmap(lambda x: linearize(f, x)[1](x))(X), np.sum(want * X, axis=1))
    close(linearize(vmap(f), X)[1](X), np.sum(want * X, axis=1))
    close(jacrev(vmap(f))(X)[1, 1], want[1])
    close(jacfwd(vmap(f))(X)[2, 2], want[2])
    curve = loop(hessian(f), X)
    close(vmap(hessian(f))(X), curve)
    close(vmap(jacfwd(jacfwd(f)))(X), curve)
    close(vmap(jacrev(jacrev(f)))(X), curve)
    close(vmap(lambda x: hvp(f, (x,), (x,)))(X), np.einsum("bij,bj->bi", curve, X))
    close(hvp(lambda x: np.sum(vmap(f)(x)), (X,), (X,)), np.einsum("bij,bj->bi", curve, X))
    close(vmap(grad(lambda x: np.sum(grad(f)(x) ** 2)))(X), loop(grad(lambda x: np.sum(grad(f)(x) ** 2)), X))


def test_maps_of_maps_with_derivatives_between():
    pair = lambda a, b: np.tanh(a @ W) @ np.sin(b @ W)
    table = vmap(vmap(pair, (None, 0)), (0, None))(X, X)
    close(table, np.tanh(X @ W) @ np.sin(X @ W).T)
    both = vmap(vmap(grad(pair), (None, 0)), (0, None))(X, X)
    close(both, [[grad(pair)(a, b) for b in X] for a in X])
    between = vmap(grad(lambda a: np.sum(vmap(pair, (None, 0))(a, X))))(X)
    close(between, both.sum(1))
    close(vmap(lambda x: vmap(lambda s: s * np.sum(x))(x))(X), X * X.sum(1, keepdims=True))
    close(vmap(lambda x: grad(lambda s: s * np.sum(vmap(lambda u: u * s)(x)))(x[0]))(X), 2 * X[:, 0] * X.sum(1))


def test_perturbations_are_not_confused():
    # d/dx of x * (d/dy of x + y at 1) is 1, also for many x, and with the inner derivative mapped.
    close(vmap(grad(lambda x: x * grad(lambda y: x + y)(1.0)))(X[0]), np.ones(4))
    inner = lambda x: np.sum(vmap(grad(lambda y: x * y))(X[0]))
    close(grad(inner)(2.0), 4.0)


def test_structural_zeros_survive():
    safe = lambda x: np.where(x > 0, np.sqrt(x), 0.0)
    at = np.array([0.0, 4.0, -1.0])
    want = [0.0, 0.25, 0.0]
    with np.errstate(invalid="ignore"):  # sqrt(-1), in the value itself
        close(vmap(grad(safe))(at), want)
        close(grad(lambda x: np.sum(vmap(safe)(x)))(at), want)
        close(vmap(lambda x: jvp(safe, (x,), (1.0,))[1])(at), want)
        close(jvp(vmap(safe), (at,), (np.ones(3),))[1], want)
        close(vmap(jacrev(safe))(at), want)
    picked = lambda x: np.sum(np.sqrt(x[1:]))
    close(vmap(grad(picked))(np.array([[0.0, 1.0], [0.0, 4.0]])), [[0.0, 0.5], [0.0, 0.25]])
    close(vmap(grad(np.max))(np.array([[1.0, 1.0], [2.0, 1.0]])), [[0.5, 0.5], [1.0, 0.0]])
    norms = vmap(grad(np.linalg.norm))(np.array([[0.0, 0.0], [3.0, 4.0]]))
    close(norms, [[0.0, 0.0], [0.6, 0.8]])


def test_checkpoint():
    g = lambda x: np.sum(checkpoint(lambda v: np.sin(v @ W) ** 2)(x))
    plain = lambda x: np.sum(np.sin(x @ W) ** 2)
    close(vmap(grad(g))(X), loop(grad(plain), X))
    close(grad(lambda x: np.sum(vmap(g)(x)))(X), loop(grad(plain), X))
    close(vmap(hessian(g))(X), loop(hessian(plain), X))
    close(grad(lambda x: np.sum(checkpoint(vmap(plain))(x)))(X), loop(grad(plain), X))
    close(jacfwd(vmap(g))(X)[0, 0], grad(plain)(X[0]))


@custom_jvp
def scaled(x, w):
    return {"y": np.sin(x) * w}


@scaled.defjvp
def _(primals, tangents):
    (x, w), (tx, tw) = primals, tangents
    return scaled(x, w), {"y": 10 * np.cos(x) * w * tx + np.sin(x) * tw}


@functools.partial(custom_vjp, nondiff_argnums=(0,))
def doubled(name, x, w):
    return np.sum(x * w), x


doubled.defvjp(
    lambda name, x, w: (doubled(name, x, w), {"x": x, "w": w, "name": name}),
    lambda name, kept, ct: (7 * ct[0] * kept["w"] + ct[1], ct[0] * kept["x"] if kept["name"] == name else None),
)


def test_custom_rules():
    w = np.array([1.0, -2.0, 0.5, 3.0])
    for g in (
        lambda x: np.sum(scaled(x, w)["y"] ** 2),
        lambda x: doubled("a", x, w)[0] ** 2 + np.sum(doubled("a", x, w)[1]),
    ):
        want = loop(grad(g), X)
        close(vmap(g)(X), loop(g, X))
        close(vmap(grad(g))(X), want)
        close(grad(lambda x, g=g: np.sum(vmap(g)(x)))(X), want)
        close(jvp(vmap(g), (X,), (X,))[1], np.sum(want * X, axis=1))
        close(vmap(lambda x, g=g: jvp(g, (x,), (x,))[1])(X), np.sum(want * X, axis=1))
        close(jacrev(vmap(g))(X)[1, 1], want[1])
        close(vmap(hessian(g))(X), loop(hessian(g), X))
        close(hvp(lambda x, g=g: np.sum(vmap(g)(x)), (X,), (X,)), loop(lambda x, g=g: hvp(g, (x,), (x,)), X))
    shared = lambda w: np.sum(vmap(lambda x: doubled("a", x, w)[0] ** 2)(X))
    close(grad(shared)(w), sum(grad(lambda w, x=x: doubled("a", x, w)[0] ** 2)(w) for x in X))
    shared = lambda w: np.sum(vmap(lambda x: scaled(x, w)["y"])(X))
    close(grad(shared)(w), np.sin(X).sum(0))


def test_custom_rules_speak_of_arguments_alone():
    def g(x):
        inner = custom_vjp(lambda y: y * x[0])
        inner.defvjp(lambda y: (y * x[0], None), lambda kept, ct: (ct,))
        return np.sum(inner(x))

    with pytest.raises(DifferentiationError, match="Make it an argument"):
        grad(lambda x: np.sum(vmap(g)(x)))(X)


def test_assignment():
    def filled(x):
        y = np.zeros_like(x)
        y[0] = x[1] ** 2
        y[1:] += x[0] * x[:-1]
        return np.sum(y * W[:, 0])

    want = loop(grad(filled), X)
    close(vmap(filled)(X), loop(filled, X))
    close(vmap(grad(filled))(X), want)
    close(grad(lambda x: np.sum(vmap(filled)(x)))(X), want)
    close(vmap(lambda x: jvp(filled, (x,), (x,))[1])(X), np.sum(want * X, axis=1))

    def masked(x, i):
        y = x * 1.0
        y[i] = 0.0
        return y

    close(vmap(masked)(X, np.array([0, 2, 3])), np.where(np.arange(4) == np.array([[0], [2], [3]]), 0.0, X))


def test_stop_gradient():
    close(vmap(grad(lambda x: np.sum(x * stop_gradient(x))))(X), X)
    close(grad(lambda x: np.sum(vmap(lambda v: v * stop_gradient(v))(x)))(X), X)


def test_shapes_alone():
    assert eval_shape(vmap(lambda x, w: np.tanh(x @ w), (0, None)), Spec((10**6, 4)), Spec((4, 10**3))) == Spec(
        (10**6, 10**3)
    )
    assert eval_shape(vmap(grad(f)), Spec((10**7, 4), np.float32)) == Spec((10**7, 4), np.float32)
    assert eval_shape(grad(lambda x: np.sum(vmap(f)(x))), Spec((10**7, 4))) == Spec((10**7, 4))
    close(vmap(lambda x: x * eval_shape(f, x).ndim)(X), 0 * X)


def test_a_trace_shows_the_operations_on_all_examples():
    found = trace(vmap(lambda x: np.tanh(x @ W)))(X)
    assert [(s.op.name, s.shape) for s in found.steps] == [("matmul", (3, 2)), ("tanh", (3, 2))]


def test_transposition():
    (back,) = linear_transpose(vmap(lambda x: x @ W), X)(np.ones((3, 2)))
    close(back, np.tile(W.sum(1), (3, 1)))


# -- no work that is not needed ------------------------------------------------------------------------------


def shapes_of(g, *args):
    return [(s.op.name, s.shape) for s in trace(g)(*args).steps]


def test_what_is_shared_stays_shared():
    cube = np.ones((3, 5, 4))
    once = lambda x: np.sum(np.exp(W)) * x  # the sum is not computed for each example
    assert shapes_of(lambda x, w: vmap(lambda v: np.sum(np.exp(w)) * v)(x), X, W) == [
        ("exp", (4, 2)), ("sum", ()), ("multiply", (3, 4)),
    ]  # fmt: skip
    close(vmap(once)(X), np.sum(np.exp(W)) * X)
    steps = shapes_of(vmap(lambda x, w: x @ w, (0, None)), cube, W)
    assert ("matmul", (15, 2)) in steps  # one product of 15 rows
    steps = shapes_of(vmap(lambda w, x: w.T @ x, (None, 0)), W, np.ones((3, 4, 5)))
    assert ("matmul", (2, 15)) in steps
    steps = shapes_of(vmap(lambda w, x: w.T @ x, (None, 0)), W, X)
    assert ("matmul", (3, 2)) in steps


def test_images_of_all_examples_are_images_of_one():
    x, w = np.ones((3, 2, 1, 6, 6)), np.ones((4, 1, 3, 3))
    steps = shapes_of(vmap(lambda x, w: ops.max_pool2d(ops.conv2d(x, w), 2), (0, None)), x, w)
    assert ("conv2d", (6, 4, 4, 4)) in steps
    assert ("max_pool2d", (6, 4, 2, 2)) in steps


def test_jacobians_in_parts_are_the_same(monkeypatch):
    module = __import__("autodiff.transforms.jacobian", fromlist=["MEMORY"])
    g = lambda x: {"a": np.sin(x @ W), "b": np.sum(x)}
    whole = jacfwd(g)(X), jacrev(g)(X)
    monkeypatch.setattr(module, "MEMORY", 100)
    for got, want in zip((jacfwd(g)(X), jacrev(g)(X)), whole, strict=True):
        close(got["a"], want["a"])
        close(got["b"], want["b"])


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


# -- networks ------------------------------------------------------------------------------------------------


def _loss(model, x, y):
    return ops.softmax_cross_entropy(model(x[None]), y[None])


def _networks():
    rng = np.random.default_rng(0)
    dense = nn.Sequential(nn.Dense(6, 5, activation="tanh", rng=rng), nn.Dense(5, 3, rng=rng))
    image = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding="same", rng=rng), nn.relu, nn.MaxPool2d(2), nn.Flatten(), nn.Dense(18, 3, rng=rng)
    )
    return [(dense, rng.normal(size=(4, 6))), (image, rng.normal(size=(4, 1, 6, 6)))]


@pytest.mark.parametrize("which", [0, 1], ids=["dense", "convolution"])
def test_gradients_of_a_network_for_each_example(which):
    model, x = _networks()[which]
    x, y = x.astype(np.float32), np.array([0, 2, 1, 1])
    got = tree.leaves(vmap(grad(_loss), (None, 0, 0))(model, x, y))
    for k in range(4):
        want = tree.leaves(grad(_loss)(model, x[k], y[k]))
        for g, w in zip(got, want, strict=True):
            assert g.dtype == np.float32
            np.testing.assert_allclose(g[k], w, rtol=2e-5, atol=2e-6)
    total = tree.leaves(grad(lambda m: np.sum(vmap(_loss, (None, 0, 0))(m, x, y)))(model))
    for g, t in zip(got, total, strict=True):
        np.testing.assert_allclose(g.sum(0), t, rtol=2e-4, atol=2e-5)


def test_models_of_an_ensemble():
    models = [nn.Dense(3, 2, rng=k) for k in range(4)]
    stacked = tree.map(lambda *w: np.stack(w), models[0], *models[1:])
    x = np.linspace(0.0, 1.0, 15, dtype=np.float32).reshape(5, 3)
    close(vmap(lambda m, x: m(x), (0, None))(stacked, x), np.stack([m(x) for m in models]), 1e-6)


def test_dropout_refuses_to_share_its_draws():
    layer = nn.Dropout(0.5)
    rng = np.random.default_rng(0)
    with pytest.raises(BatchingError, match=r"Dropout.*same for all examples"):
        vmap(lambda x: nn.apply(layer, x, train=True, rng=rng)[0])(X)
    with pytest.raises(BatchingError, match=r"Dropout.*same for all examples"):
        vmap(grad(lambda x: np.sum(nn.apply(layer, x, train=True, rng=rng)[0])))(X)
    close(vmap(layer)(X), X)


def test_class_numbers_are_checked_in_every_example():
    with pytest.raises(IndexError, match=r"class number 7 at position \(1, 0\)"):
        vmap(ops.softmax_cross_entropy)(np.zeros((2, 1, 4)), np.array([[0], [7]]))


def test_mapped_values_are_recognised():
    seen = []
    vmap(grad(lambda x: seen.append((mapped(x), mapped(W))) or np.sum(x)))(X)
    assert seen == [(True, False)]
