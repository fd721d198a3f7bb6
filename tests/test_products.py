"""Products: matmul and its kin, einsum, cross, kron."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from autodiff import grad, jvp, vjp
from autodiff.core import FUNCTIONS, UFUNCS
from autodiff.core.errors import AssignmentError, MissingRuleError
from tests.product_checks import check, check_float32, draw

RNG = np.random.default_rng(7)

MATMUL = [
    ((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((1, 1), (1, 1)),
    ((5, 2, 3), (3, 2)), ((4, 5, 2, 3), (3, 2)), ((2, 3), (5, 3, 2)), ((2, 3), (2, 5, 3, 2)),
    ((5, 2, 3), (5, 3, 2)), ((5, 1, 2, 3), (4, 3, 2)), ((1, 2, 3), (4, 3, 2)), ((4, 2, 3), (1, 3, 2)),
    ((3,), (4, 3, 2)), ((3,), (5, 4, 3, 2)), ((4, 2, 3), (3,)), ((5, 4, 2, 3), (3,)),
]  # fmt: skip
EMPTY = [((0, 3), (3, 4)), ((2, 0), (0, 4)), ((2, 3), (3, 0)), ((0,), (0,)), ((0,), (0, 2)), ((0, 2, 3), (3, 2)),
         ((2, 3), (0, 3, 2)), ((4, 2, 0), (0, 2)), ((4, 2, 0), (4, 0, 2)), ((0, 3), (3,)),
         ((3,), (0, 3, 2))]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), MATMUL)
def test_matmul(a, b):
    check(np.matmul, RNG.normal(size=a), RNG.normal(size=b))


@pytest.mark.parametrize(("a", "b"), EMPTY)
def test_empty_products_are_zeros(a, b):
    check(np.matmul, np.ones(a), np.ones(b))


@pytest.mark.parametrize(("a", "b"), MATMUL[:8] + MATMUL[12:14])
def test_operator_in_each_argument(a, b):
    a, b = RNG.normal(size=a), RNG.normal(size=b)
    check(lambda x, y: x @ y, a, b, order=1)
    check(lambda x: x @ b, a)
    check(lambda y: a @ y, b)


def test_operator_with_lists():
    x = RNG.normal(size=(2, 2))
    check(lambda x: x @ [[1.0, 2.0], [3.0, 4.0]], x)
    check(lambda x: [[1.0, 2.0], [3.0, 4.0]] @ x, x)
    check(lambda x: np.matmul(x, [1.0, 2.0]), x)
    check(lambda x: np.dot([1.0, 2.0], x), x)


def test_integer_operand():
    check(lambda x: np.arange(6).reshape(2, 3) @ x, RNG.normal(size=(3, 2)))
    check(lambda x: x @ np.arange(6).reshape(2, 3), RNG.normal(size=(3, 2)))


def test_noncontiguous_operands():
    a, b = RNG.normal(size=(6, 4))[::2, ::-1], np.asfortranarray(RNG.normal(size=(4, 3)))
    check(np.matmul, a, b)
    check(lambda x: x.T @ x, RNG.normal(size=(3, 2)))
    check(lambda x: x @ x, RNG.normal(size=(3, 3)))


def test_transposes_are_the_textbook_ones():
    a, b, ct = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 4)), RNG.normal(size=(2, 4))
    _, pull = vjp(np.matmul, a, b)
    left, right = pull(ct)
    np.testing.assert_array_equal(left, ct @ b.T)
    np.testing.assert_array_equal(right, a.T @ ct)


@pytest.mark.parametrize("kinds", list(itertools.product("fc", repeat=2)))
def test_complex_products_are_transposed_without_conjugation(kinds):
    a, b = (
        draw(RNG, s, np.complex128 if k == "c" else np.float64) for s, k in zip(((2, 3), (3, 2)), kinds, strict=True)
    )
    check(np.matmul, a, b)
    check(np.vdot, a, b)
    check(lambda a, b: np.einsum("ij,jk->", a, b), a, b)
    check(lambda a, b: np.vecdot(a, b.T), a, b)
    check(np.kron, a, b, order=1)
    if kinds == ("c", "c"):
        ct = draw(RNG, (2, 2), np.complex128)
        np.testing.assert_allclose(vjp(np.matmul, a, b)[1](ct)[0], ct @ b.T)


def test_float32_stays_float32():
    a, b, v = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 2)), RNG.normal(size=3)
    for f in (
        np.matmul,
        np.dot,
        np.kron,
        np.outer,
        lambda a, b: np.einsum("ij,jk", a, b),
        lambda a, b: np.tensordot(a, b, 1),
    ):
        check_float32(f, a, b)
    check_float32(np.cross, v, v)
    check_float32(np.inner, v, v)
    check_float32(lambda a, b: np.einsum("ij,ij->i", a, b.T), a, b)


def test_mixed_precision_gradients_have_their_argument_s_dtype():
    a, b = np.ones((2, 3), np.float32), np.ones((3, 2))
    y, pull = vjp(np.matmul, a, b)
    assert y.dtype == np.float64
    assert [c.dtype.name for c in pull(y)] == ["float32", "float64"]


def test_shape_mismatch_names_the_shapes():
    with pytest.raises(ValueError, match="mismatch in its core dimension"):
        grad(lambda a: np.sum(a @ np.ones((2, 2))))(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"tensordot: shape-mismatch.*float64\[2,3\]"):
        grad(lambda a: np.sum(np.tensordot(a, np.ones((2, 2)), 1)))(np.ones((2, 3)))


# -- dot, vdot, inner, outer, tensordot, kron ------------------------------------------------------------------

RANKS = {0: (), 1: (3,), 2: (2, 3), 3: (4, 2, 3)}
RIGHT = {0: (), 1: (3,), 2: (3, 2), 3: (5, 3, 2)}


@pytest.mark.parametrize(("i", "j"), list(itertools.product(range(4), repeat=2)))
def test_dot_of_every_rank(i, j):
    a, b = RNG.normal(size=RANKS[i]), RNG.normal(size=RIGHT[j])
    check(np.dot, a, b)
    check(lambda a: a.dot(b) if i else np.dot(a, b), a, order=1)
    check(lambda b: np.dot(a, b), b, order=1)
    check(np.kron, a, b, order=1)
    check(np.outer, a, b, order=1)


@pytest.mark.parametrize(("i", "j"), list(itertools.product(range(4), repeat=2)))
def test_inner_of_every_rank(i, j):
    check(np.inner, RNG.normal(size=RANKS[i]), RNG.normal(size=(*RANKS[j][:-1], 3) if j else ()))


def test_vdot_flattens():
    check(np.vdot, RNG.normal(size=(2, 3)), RNG.normal(size=(2, 3)))
    check(np.vdot, RNG.normal(size=(2, 3)), RNG.normal(size=6))
    check(np.vdot, 3.0, RNG.normal(size=1), order=1)


@pytest.mark.parametrize(
    ("a", "b", "axes"),
    [
        ((2, 3), (3, 4), 1), ((2, 3), (4, 3), (1, 1)), ((2, 3, 4), (4, 3, 5), ([1, 2], [1, 0])),
        ((2, 3), (3, 2), ([0, 1], [1, 0])),
        ((2, 3), (4,), 0), ((2, 3, 4), (3, 4), 2), ((2, 3), (2, 3), ((0, 1), (0, 1))), ((2, 0), (0, 3), 1),
        ((2, 3), (3, 4), (-1, 0)),
        ((3,), (3, 4), 1), ((2,), (), 0),
    ],
)  # fmt: skip
def test_tensordot(a, b, axes):
    a, b = RNG.normal(size=a), RNG.normal(size=b)
    check(lambda a, b: np.tensordot(a, b, axes=axes), a, b)
    check(lambda a, b: np.linalg.tensordot(a, b, axes=axes), a, b, order=1)


def test_out_is_refused():
    for f in (np.dot, np.outer):
        with pytest.raises((MissingRuleError, AssignmentError), match="out="):
            grad(lambda a, f=f: np.sum(f(a, a, out=np.empty((3, 3)))))(np.ones((3, 3)))


# -- generalised ufuncs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize(
    ("a", "b"), [((3,), (3,)), ((2, 3), (3,)), ((2, 3), (2, 3)), ((2, 1, 3), (4, 3)), ((2, 0), (2, 0))]
)
def test_vecdot(a, b, dtype):
    a, b = draw(RNG, a, dtype), draw(RNG, b, dtype)
    check(np.vecdot, a, b)
    check(np.linalg.vecdot, a, b, order=1)


def test_vecdot_axis_and_keepdims():
    a, b = RNG.normal(size=(3, 2, 4)), RNG.normal(size=(3, 2, 4))
    for axis in (0, 1, -2, -1):
        check(lambda a, b, axis=axis: np.vecdot(a, b, axis=axis), a, b, order=1)
        check(lambda a, b, axis=axis: np.linalg.vecdot(a, b, axis=axis), a, b, order=1)
        check(lambda a, b, axis=axis: np.vecdot(a, b, axis=axis, keepdims=True), a, b, order=1)
    check(lambda a, b: np.vecdot(a, b, axes=[0, 0]), a, b, order=1)


@pytest.mark.skipif(not hasattr(np, "matvec"), reason="NumPy 2.2 added it")
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize(
    ("a", "x"), [((2, 3), (3,)), ((4, 2, 3), (3,)), ((2, 3), (4, 3)), ((4, 2, 3), (4, 3)), ((5, 1, 2, 3), (4, 3))]
)
def test_matvec_and_vecmat(a, x, dtype):
    a, x = draw(RNG, a, dtype), draw(RNG, x, dtype)
    check(np.matvec, a, x)
    check(lambda x, a: np.vecmat(x, np.linalg.matrix_transpose(a)), x, a)


def test_matmul_axes():
    a, b = RNG.normal(size=(3, 5, 2)), RNG.normal(size=(3, 4, 5))
    check(lambda a, b: np.matmul(a, b, axes=[(2, 0), (0, 1), (0, 1)]), a, b, order=1)
    check(lambda a, b: np.matmul(a, b, axes=[(2, 0), (0, 1), (0, 2)]), a, b, order=1)


def test_every_product_ufunc_is_registered():
    assert {np.matmul, *(getattr(np, n) for n in ("vecdot", "matvec", "vecmat") if hasattr(np, n))} <= set(UFUNCS)
    assert {np.linalg.matmul, np.linalg.outer, np.linalg.cross, np.linalg.multi_dot, np.linalg.matrix_power} <= set(
        FUNCTIONS
    )


def test_linalg_names():
    a, b, v = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 2)), RNG.normal(size=3)
    check(np.linalg.matmul, a, b, order=1)
    check(np.linalg.outer, v, v, order=1)
    check(np.linalg.cross, a, a, order=1)
    with pytest.raises(ValueError, match="one-dimensional"):
        grad(lambda a: np.sum(np.linalg.outer(a, a)))(a)


# -- cross -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b"), [((3,), (3,)), ((2, 3), (2, 3)), ((2, 3), (3,)), ((4, 1, 3), (2, 3)), ((0, 3), (3,))]
)
def test_cross(a, b):
    check(np.cross, RNG.normal(size=a), RNG.normal(size=b))


def test_cross_axes():
    a, b = RNG.normal(size=(3, 2, 4)), RNG.normal(size=(2, 3, 4))
    check(lambda a, b: np.cross(a, b, axisa=0, axisb=1, axisc=1), a, b)
    check(lambda a: np.cross(a, a[:, ::-1] * 2, axis=0), a)


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) >= "2.5.0", reason="NumPy 2.5 takes vectors of three only")
def test_cross_of_pairs_warns_as_numpy_does():
    a, b, c = RNG.normal(size=2), RNG.normal(size=2), RNG.normal(size=3)
    with pytest.warns(DeprecationWarning, match="2-dimensional"):
        check(np.cross, a, b, order=1)
    with pytest.warns(DeprecationWarning, match="2-dimensional"):
        check(np.cross, a, c, order=1)


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.5.0", reason="NumPy 2.5 takes vectors of three only")
def test_cross_of_pairs_is_refused_as_numpy_does():
    for c in (RNG.normal(size=2), RNG.normal(size=3)):
        with pytest.raises(ValueError, match="3-dimensional"):
            vjp(lambda a: np.cross(a, c), RNG.normal(size=2))  # noqa: B023


# -- einsum ------------------------------------------------------------------------------------------------------

EINSUM = [
    ("ij,jk->ik", ((2, 3), (3, 4))), ("ij,jk", ((2, 3), (3, 4))), ("ij,jk->ki", ((2, 3), (3, 4))),
    ("ji,kj->ik", ((3, 2), (4, 3))),
    ("ij,ij->", ((2, 3), (2, 3))), ("ij,ij->i", ((2, 3), (2, 3))), ("ij,ij->ij", ((2, 3), (2, 3))),
    ("i,j->ij", ((2,), (3,))),
    ("i,j->ji", ((2,), (3,))), ("ij->ji", ((2, 3),)), ("ba", ((2, 3),)), ("ij->", ((2, 3),)),
    ("ij->j", ((2, 3),)),
    ("ii", ((3, 3),)), ("ii->i", ((3, 3),)), ("iij->j", ((3, 3, 2),)), ("iji->ij", ((3, 2, 3),)),
    ("iii->i", ((3, 3, 3),)),
    ("iijj->ij", ((3, 3, 2, 2),)), ("ii,i->i", ((3, 3), (3,))), ("ii,jj->ij", ((3, 3), (2, 2))),
    ("ij,kl->ik", ((2, 3), (4, 2))),
    ("i,ij,j->", ((2,), (2, 3), (3,))), ("ij,jk,kl->il", ((2, 3), (3, 2), (2, 4))),
    ("i,i,i->i", ((3,), (3,), (3,))),
    ("ij,j,k->ik", ((2, 3), (3,), (4,))), ("bij,bjk->bik", ((2, 2, 3), (2, 3, 2))),
    ("bhqd,bhkd->bhqk", ((2, 2, 3, 2), (2, 2, 4, 2))),
    ("bij,bj->bi", ((2, 2, 3), (2, 3))), ("ijb,jb->ib", ((2, 3, 2), (3, 2))),
    ("...ij,...jk->...ik", ((4, 2, 3), (3, 2))),
    ("...i,...i", ((4, 3), (4, 3))), ("...,...", ((2, 3), (3,))), ("i...->...", ((2, 3, 4),)),
    ("...ii->...i", ((2, 3, 3),)),
    ("i...,j...->ij...", ((2, 3), (4, 2, 3))), ("ijk,ilk->jl", ((2, 3, 4), (2, 3, 4))),
    ("abc,cd,bd->a", ((2, 3, 4), (4, 2), (3, 2))),
    (",ij->ij", ((), (2, 3))), (",", ((), ())), ("ij,jk->ik", ((2, 1), (3, 4))),
    ("ij,ij->ij", ((1, 3), (2, 1))),
    ("...ij,...jk->...ik", ((1, 2, 3), (4, 3, 2))), ("ij,jk->ik", ((2, 0), (0, 3))),
    ("ij,jk->ik", ((0, 2), (2, 3))),
    ("ij,ij->i", ((2, 0), (2, 0))), ("ij->i", ((0, 2),)), ("ij,kj->ik", ((2, 1), (3, 0))),
    (" i j , j k -> i k ", ((2, 3), (3, 4))),
    ("", ((),)), ("jk,ijk,i->", ((3, 4), (2, 3, 4), (2,))), ("ijkl,jl->ki", ((2, 3, 2, 3), (3, 3))),
]  # fmt: skip


@pytest.mark.parametrize(("subscripts", "shapes"), EINSUM)
def test_einsum(subscripts, shapes):
    check(lambda *xs: np.einsum(subscripts, *xs), *(RNG.normal(size=s) for s in shapes))


@pytest.mark.parametrize("optimize", [True, "greedy", "optimal", ("greedy", 1000)])
@pytest.mark.parametrize(("subscripts", "shapes"), [e for e in EINSUM if len(e[1]) > 2] + [EINSUM[0], EINSUM[13]])
def test_einsum_optimize(subscripts, shapes, optimize):
    check(lambda *xs: np.einsum(subscripts, *xs, optimize=optimize), *(RNG.normal(size=s) for s in shapes), order=1)


def test_einsum_along_a_given_path():
    xs = [RNG.normal(size=s) for s in ((2, 3), (3, 2), (2, 4), (4, 2))]
    path = ["einsum_path", (1, 2), (0, 2), (0, 1)]
    check(lambda *xs: np.einsum("ij,jk,kl,lm->im", *xs, optimize=path), *xs)
    check(lambda *xs: np.einsum("ij,jk,kl,lm->im", *xs, optimize=True), *xs)
    check(lambda *xs: np.einsum("ij,jk,kl,lm->im", *xs, optimize=["einsum_path", (0, 1, 2), (0, 1)]), *xs)


def test_einsum_interleaved():
    a, b = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 4))
    check(lambda a, b: np.einsum(a, [0, 1], b, [1, 2]), a, b)
    check(lambda a, b: np.einsum(a, [0, 1], b, [1, 30], [30, 0]), a, b)
    check(lambda a, b: np.einsum(a, [30, 1], b, [1, 0]), a, b)  # the result's order is that of the integers
    check(lambda a, b: np.einsum(a, [Ellipsis, 1], b, [1, 2], [2, Ellipsis]), a, b)
    with pytest.raises(ValueError, match="list of labels"):
        grad(lambda a: np.einsum(a, [0, 99]))(a)


def test_einsum_same_array_twice():
    a = RNG.normal(size=(3, 3))
    check(lambda a: np.einsum("ij,jk,kl->il", a, a, a), a)
    check(lambda a: np.einsum("ij,ij->", a, a), a)
    check(lambda a: np.einsum("ij,ji", a, a.T), a)


@pytest.mark.parametrize("traced", [0, 1, 2])
def test_einsum_one_operand_traced(traced):
    xs = [RNG.normal(size=s) for s in ((2,), (2, 3), (3,))]
    check(lambda x: np.einsum("i,ij,j->", *xs[:traced], x, *xs[traced + 1 :]), xs[traced])


def test_einsum_dtype():
    x = np.ones((2, 3), np.float32)
    y, pull = vjp(lambda x: np.einsum("ij->i", x, dtype=np.float64), x)
    assert y.dtype == np.float64
    assert pull(y)[0].dtype == np.float32
    with pytest.raises(TypeError, match="cannot cast"):
        vjp(lambda x: np.einsum("ij->i", x, dtype=np.float32), np.ones((2, 3)))


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("ij,jk->ik", ((2, 3), (4, 2))), ("ii", ((2, 3),)), ("ii", ((1, 3),)), ("ij", ((2,),)),
        ("i->ij", ((2,),)), ("i,j->ii", ((2,), (2,))),
        ("ij,jk", ((2, 3),)), ("i", ((2, 3),)), ("...i->i", ((2, 3),)), ("i.j", ((2, 3),)), ("i$", ((2, 3),)),
    ],
)  # fmt: skip
def test_einsum_errors_are_numpy_s(subscripts, shapes):
    xs = [np.ones(s) for s in shapes]
    with pytest.raises(ValueError):  # noqa: PT011 - NumPy's own words vary
        np.einsum(subscripts, *xs)
    with pytest.raises(ValueError, match=r"np\.einsum"):
        vjp(lambda *xs: np.einsum(subscripts, *xs), *xs)


def test_diagonal_of_einsum_does_not_reach_what_it_leaves_out():
    """Off the diagonal sqrt has an infinite slope, which must not become NaN."""
    g = grad(lambda x: np.einsum("ii", np.sqrt(x)))(np.eye(2))
    np.testing.assert_array_equal(g, [[0.5, 0], [0, 0.5]])


def test_infinite_entries_stay_where_they_are():
    g = grad(lambda x: np.einsum("ii->i", x)[0] * np.inf)(np.ones((2, 2)))
    np.testing.assert_array_equal(g, [[np.inf, 0], [0, 0]])


JAX = [e for e in EINSUM if all(np.prod(s) for s in e[1])][:30:2]


@pytest.mark.parametrize(("subscripts", "shapes"), JAX)
def test_einsum_against_jax(subscripts, shapes):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    xs = tuple(RNG.normal(size=s) for s in shapes)
    ts = tuple(RNG.normal(size=s) for s in shapes)

    def program(xp):
        return lambda *xs: xp.sum(xp.sin(xp.einsum(subscripts, *xs)))

    ours, theirs = program(np), program(jax.numpy)
    numbers = tuple(range(len(xs)))
    for a, b in zip(grad(ours, numbers)(*xs), jax.grad(theirs, numbers)(*xs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(jvp(ours, xs, ts)[1], jax.jvp(theirs, xs, ts)[1], rtol=1e-10)
    second = jvp(grad(ours, numbers), xs, ts)[1]
    other = jax.jvp(jax.grad(theirs, numbers), xs, ts)[1]
    for a, b in zip(second, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


def test_third_derivative_of_a_product_chain():
    """f(s) = (s A) (s A) (s A): third derivative 6 A A A, in mixtures of the modes."""
    a = RNG.normal(size=(2, 2))

    def f(s):
        return np.sum((s * a) @ (s * a) @ (s * a))

    want = 6 * np.sum(a @ a @ a)
    np.testing.assert_allclose(grad(grad(grad(f)))(0.7), want)

    def d(g):
        return lambda s: jvp(g, (s,), (1.0,))[1]

    np.testing.assert_allclose(d(d(d(f)))(0.7), want)
    np.testing.assert_allclose(d(grad(d(f)))(0.7), want)
    np.testing.assert_allclose(grad(d(grad(f)))(0.7), want)
