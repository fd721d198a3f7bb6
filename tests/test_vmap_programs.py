"""Random programs of all families under `vmap`, beside a Python loop: values, and derivatives inside and around."""

import numpy as np
import pytest

from autodiff import checkpoint, grad, hessian, hvp, jacrev, jvp, vjp, vmap
from autodiff.core.errors import BatchingError
from autodiff.scipy import linalg
from tests.oracle import differs
from tests.oracle_programs import NUMPY, draw, run
from tests.oracle_steps import ASSIGNMENT

SLICES = 8
COUNT = 64
B = 3
FORBIDDEN = {"branch"}  # branches on a value that is different in each example


def programs(part):
    for seed in range(20_000 + part, 20_000 + COUNT, SLICES):
        steps, xs, ts, _, _ = draw(seed, 3, 9)
        steps = [s for s in steps if s[0] not in FORBIDDEN]
        weights = np.cos(np.arange(len(steps) + len(xs)))
        rng = np.random.default_rng(seed)
        batch = [np.stack([x + 0.3 * rng.uniform(-1, 1, x.shape) for _ in range(B)]) for x in xs]
        directions = [np.stack([t * (k + 1) for k in range(B)]) for t in ts]
        program = lambda *xs, s=steps: run(NUMPY, s, *xs)
        scalar = lambda *xs, p=program, w=weights: np.sum(p(*xs) * w)
        yield seed, program, scalar, batch, directions


def writes(seed):
    """Whether a program assigns."""
    return any(kind in ASSIGNMENT or kind == "map of assignments" for kind, *_ in draw(seed, 3, 9)[0])


def rows(f, *batches):
    """The results of a loop over the examples, each a tuple of arrays, as arrays of all examples."""
    found = [f(*[b[k] for b in batches]) for k in range(B)]
    return [np.stack(parts) for parts in zip(*found, strict=True)]


def check(seed, got, want, tolerance=1e-8):
    for g, w in zip(got, want, strict=True):
        assert g.shape == w.shape
        assert differs(g, w, tolerance) is None, seed


@pytest.mark.parametrize("part", range(SLICES))
def test_values_and_both_modes(part):
    for seed, program, scalar, xs, ts in programs(part):
        check(seed, [vmap(program)(*xs)], rows(lambda *x, p=program: (p(*x),), *xs))
        slopes = rows(lambda *x, s=scalar: grad(s, (0, 1, 2))(*x), *xs)
        check(seed, vmap(grad(scalar, (0, 1, 2)))(*xs), slopes)
        check(seed, grad(lambda *x, s=scalar: np.sum(vmap(s)(*x)), (0, 1, 2))(*xs), slopes)
        tangents = rows(lambda a, b, c, s, t, u, p=program: (jvp(p, (a, b, c), (s, t, u))[1],), *xs, *ts)
        check(seed, [jvp(vmap(program), tuple(xs), tuple(ts))[1]], tangents)
        inside = vmap(lambda x, t, p=program: jvp(p, x, t)[1])(tuple(xs), tuple(ts))
        check(seed, [inside], tangents)


@pytest.mark.parametrize("part", range(SLICES))
def test_second_order_and_what_is_shared(part):
    for seed, program, scalar, xs, ts in list(programs(part))[:6]:
        one = lambda a, b, c, s, t, u, f=scalar: hvp(f, (a, b, c), (s, t, u))
        curved = rows(one, *xs, *ts)
        check(seed, vmap(one)(*xs, *ts), curved)
        around = hvp(lambda *x, f=scalar: np.sum(vmap(f)(*x)), tuple(xs), tuple(ts))
        check(seed, around, curved)
        between = grad(lambda *x, f=scalar, t=ts: np.sum(vmap(lambda x, t: jvp(f, x, t)[1])(x, tuple(t))), (0, 1, 2))
        check(seed, between(*xs), curved)
        if writes(seed):
            continue  # a mapped value does not go into an array that all examples share: see test_assignment
        # The second argument is shared and the third mapped along its last axis; the first is held by a checkpoint.
        mixed = [xs[0], xs[1][0], np.moveaxis(xs[2], 0, -1)]
        axes = (0, None, -1)
        repeated = [xs[0], np.stack([xs[1][0]] * B), xs[2]]
        want = rows(lambda *x, p=program: (p(*x),), *repeated)
        got = vmap(checkpoint(program), axes, out_axes=1)(*mixed)
        check(seed, [np.moveaxis(got, 1, 0)], want)
        _, pull = vjp(lambda *x, p=program: vmap(checkpoint(p), axes)(*x), *mixed)  # noqa: B023 - called at once
        cts = np.cos(np.arange(got.size)).reshape(got.T.shape)
        pulled = rows(lambda a, b, c, ct, p=program: vjp(p, a, b, c)[1](ct), *repeated, cts)
        check(seed, pull(cts), [pulled[0], pulled[1].sum(0), np.moveaxis(pulled[2], 0, -1)])


@pytest.mark.parametrize("part", range(SLICES))
def test_one_example_and_maps_of_maps(part):
    for seed, program, scalar, xs, _ in list(programs(part))[:6]:
        check(seed, [vmap(program)(*[x[:1] for x in xs])], [program(*[x[0] for x in xs])[None]])
        outer, shared = xs[0], xs[1:]
        twice = vmap(lambda a, p=program, r=shared: vmap(lambda b, c: p(a, b, c), (0, 0), 1)(*r))(outer)
        want = np.array([[program(a, y, z) for y, z in zip(*shared, strict=True)] for a in outer])
        check(seed, [np.swapaxes(twice, 1, 2)], [want])
        if writes(seed):
            continue
        # A gradient outside, a map, a gradient inside that closes over the outer traced value.
        closed = lambda a, s=scalar, r=shared: np.sum(vmap(grad(lambda b, c: s(a, b, c)), (0, 0))(*r) ** 2)
        loop = lambda a, s=scalar, r=shared: sum(
            np.sum(grad(lambda b, c: s(a, b, c))(b, c) ** 2) for b, c in zip(*r, strict=True)
        )
        check(seed, [grad(closed)(outer[0])], [grad(loop)(outer[0])])
        check(seed, [vmap(jacrev(closed))(outer)], [np.stack([grad(loop)(a) for a in outer])])


def test_a_branch_on_a_mapped_value_is_refused():
    with pytest.raises(BatchingError, match="branches on a value that differs between the 3 examples"):
        vmap(lambda x: run(NUMPY, [("branch", 0, 0, 0)], x, x, x))(np.ones((3, 2)))


def none(*shape):
    return np.zeros((0, *shape))


EMPTY = [
    (lambda x: np.sin(x) * 2, none(3), (0, 3)),
    (grad(lambda x: np.sum(np.sin(x) * x)), none(3), (0, 3)),
    (hessian(lambda x: np.sum(np.sin(x) * x)), none(3), (0, 3, 3)),
    (grad(checkpoint(lambda x: np.sum(np.sin(x) * x))), none(3), (0, 3)),
    (np.linalg.inv, none(2, 2), (0, 2, 2)),
    (linalg.expm, none(2, 2), (0, 2, 2)),
    (lambda a: np.linalg.svd(a)[1], none(2, 2), (0, 2)),
    (lambda x: x[np.argmax(x)], none(3), (0,)),
    (lambda x: NUMPY.assign(x, slice(1, None), x[0]), none(3), (0, 3)),
    (lambda x: np.convolve(x, np.ones(2)), none(3), (0, 4)),
    (lambda x: np.quantile(x, 0.3), none(3), (0,)),
    (vmap(np.sin), none(3), (0, 3)),
    (vmap(np.sin), np.zeros((3, 0)), (3, 0)),
]


@pytest.mark.parametrize(("f", "x", "shape"), EMPTY)
def test_no_examples(f, x, shape):
    y = vmap(f)(x)
    assert y.shape == shape
    assert jvp(vmap(f), (x,), (x,))[1].shape == shape
    (ct,) = vjp(vmap(f), x)[1](y)
    np.testing.assert_array_equal(ct, np.zeros(x.shape))
