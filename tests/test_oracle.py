"""Fixed random programs of all families: against the naive engine, and against answers stored from a peer."""

from functools import partial

import numpy as np
import pytest

from autodiff import grad, hvp, jvp, linearize, vjp
from tests import naive
from tests.oracle import COUNT, QUANTITIES, STORED, TABLE, differs, known, ours, stored
from tests.oracle_naive_more import NAIVE
from tests.oracle_programs import FAMILIES, NUMPY, SHAPES, draw, run

SLICES = 10


@pytest.fixture(scope="module")
def answers():
    return list(stored())


@pytest.mark.parametrize("part", range(SLICES))
def test_programs_against_stored_answers(part, answers):
    for seed in range(part, COUNT, SLICES):
        got = ours(*draw(seed))
        for quantity in QUANTITIES:
            assert differs(got[quantity], answers[seed][quantity]) is None, (seed, quantity)


@pytest.mark.parametrize("part", range(SLICES))
def test_programs_against_the_naive_engine(part):
    for seed in range(part, COUNT, SLICES):
        steps, xs, _, _, weights = draw(seed)
        weighted = lambda f, *xs, s=steps, w=weights: f.sum(f.multiply(run(f, s, *xs), w), 0)
        want = naive.gradient(partial(weighted, NAIVE), *xs)
        got = grad(partial(weighted, NUMPY), (0, 1, 2))(*xs)
        for g, w in zip(got, want, strict=True):
            assert differs(g, w, 1e-9) is None, seed


@pytest.mark.parametrize("seed", range(0, COUNT, 15))
def test_the_modes_agree(seed):
    steps, xs, ts, us, weights = draw(seed)
    f = lambda *xs: run(NUMPY, steps, *xs)
    scalar = lambda *xs: np.sum(f(*xs) * weights)
    slope = jvp(f, xs, ts)[1]
    pulled = vjp(f, *xs)[1](weights)
    np.testing.assert_allclose(sum(np.sum(p * t) for p, t in zip(pulled, ts, strict=True)), slope @ weights, rtol=1e-9)
    np.testing.assert_allclose(linearize(f, *xs)[1](*ts), slope, rtol=1e-10, atol=1e-12)
    seconds = jvp(grad(scalar, (0, 1, 2)), xs, us)[1]
    for got, want in zip(hvp(scalar, xs, us), seconds, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-9 * max(1, np.max(np.abs(want))))


def test_programs_hold_every_kind_of_step():
    programs = [draw(seed) for seed in range(COUNT)]
    assert {step[0] for steps, *_ in programs for step in steps} == {kind for family in FAMILIES for kind in family}
    assert {len(steps) for steps, *_ in programs} == set(range(5, 16))
    assert [x.shape for x in programs[0][1]] == list(SHAPES)


def test_programs_are_the_same_everywhere():
    steps, xs, *_ = draw(7)
    again, ys, *_ = draw(7)
    assert steps == again
    assert all(np.array_equal(x, y) for x, y in zip(xs, ys, strict=True))
    np.testing.assert_allclose(xs[0], FIRST, rtol=1e-15)


FIRST = [-0.5992526443631241, -0.014650921334233402, -0.4695729301248801]


def test_differences_are_told():
    one = np.array([1.0, 2.0])
    assert differs(one, one * (1 + 1e-12)) is None
    assert differs(one, one + 1e-6) == "number"
    assert differs(np.array([np.nan, 2.0]), one) == "NaN in ours"
    assert differs(one, np.array([np.nan, 2.0])) == "NaN in the peer"


def test_the_table_of_disagreements_can_be_read():
    assert STORED.stat().st_size < 400_000
    assert known() or "no class" in TABLE.read_text(encoding="utf-8")
