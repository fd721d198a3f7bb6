"""Schedules: every formula at points worked out by hand, composition, bad input."""

import math
import pickle

import numpy as np
import pytest

from nn import schedules
from nn.schedules import rate_at


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (schedules.constant(0.3), {0: 0.3, 10**9: 0.3}),
        (schedules.step_decay(1.0, 10), {0: 1.0, 9: 1.0, 10: 0.1, 19: 0.1, 20: 0.01}),
        (schedules.step_decay(8.0, 3, 0.5), {2: 8.0, 3: 4.0, 8: 2.0, 9: 1.0}),
        (schedules.exponential(2.0, 10, 0.5), {0: 2.0, 5: math.sqrt(2), 10: 1.0, 20: 0.5}),
        (schedules.inverse_time(1.0, 10, 3.0), {0: 1.0, 10: 0.25, 30: 0.1}),
        (schedules.inverse_time(0.5), {0: 0.5, 1: 0.25, 9: 0.05}),
        (schedules.robbins_monro(0.5), {0: 0.5, 1: 0.25, 4: 0.1}),
        (schedules.robbins_monro(1.0, power=0.75), {0: 1.0, 15: 0.125}),
        (schedules.cosine(1.0, 60), {0: 1.0, 20: 0.75, 30: 0.5, 40: 0.25, 60: 0.0, 61: 0.0}),
        (schedules.cosine(1.0, 10, final=0.5), {0: 1.0, 5: 0.75, 10: 0.5, 99: 0.5}),
        (schedules.piecewise([5], [0.1, 0.01]), {0: 0.1, 4: 0.1, 5: 0.01, 6: 0.01}),
        (schedules.piecewise((), (0.2,)), {0: 0.2}),
        (schedules.warmup(0.4, 4), {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4, 4: 0.4, 100: 0.4}),
        (schedules.warmup(schedules.cosine(1.0, 10), 2, start=0.5), {0: 0.75, 1: 1.0, 2: 1.0, 7: 0.5, 12: 0.0}),
        (schedules.warmup(lambda k: 1 / (1 + k), 1), {0: 1.0, 1: 1.0, 2: 0.5}),
        (schedules.warmup(schedules.warmup(0.8, 2), 2), {0: 0.2, 1: 0.4, 2: 0.4, 3: 0.8, 4: 0.8}),
    ],
)
def test_values(schedule, expected):
    found = {k: schedule(k) for k in expected}
    assert found == pytest.approx(expected, rel=1e-14, abs=1e-16)
    assert all(type(rate) is float for rate in found.values())


def test_robbins_monro_converges_where_a_constant_rate_does_not():
    # The lecture's example: L(theta) = (x - theta)^2 for one of the points -10 ... 10 at a time, rate 0.5.
    rng = np.random.default_rng(1)
    points = rng.integers(-10, 11, size=4000)
    theta, bouncing = -20.0, -20.0
    rate = schedules.robbins_monro(0.5)
    for k, x in enumerate(points):
        theta -= rate(k) * 2 * (theta - x)
        bouncing -= 0.5 * 2 * (bouncing - x)
    assert theta == pytest.approx(points.mean(), abs=1e-12)
    assert abs(theta) < 0.4
    assert bouncing == points[-1]


def test_schedules_are_values():
    rate = schedules.warmup(schedules.cosine(0.1, 100, final=0.01), 10)
    assert repr(rate) == "warmup(then=cosine(rate=0.1, steps=100, final=0.01), steps=10, start=0.0)"
    assert rate == schedules.warmup(schedules.cosine(0.1, 100, final=0.01), 10)
    assert rate != schedules.warmup(schedules.cosine(0.1, 100), 10)
    assert hash(rate) == hash(pickle.loads(pickle.dumps(rate)))
    assert schedules.warmup(0.1, 5) == schedules.warmup(schedules.constant(0.1), 5)


def test_numpy_steps():
    assert schedules.cosine(1.0, np.int64(10))(np.int64(5)) == pytest.approx(0.5)


def test_bad_arguments():
    for make in (schedules.constant, lambda rate: schedules.cosine(rate, 10), lambda rate: schedules.warmup(rate, 5)):
        with pytest.raises(ValueError, match="must be finite and at least 0, not -1"):
            make(-1)
        with pytest.raises(ValueError, match="must be finite and at least 0, not nan"):
            make(math.nan)
        with pytest.raises(TypeError, match="must be a number, not str"):
            make("fast")
    with pytest.raises(ValueError, match=r"step_decay: factor must be finite and positive, not 0"):
        schedules.step_decay(0.1, 10, 0)
    with pytest.raises(ValueError, match=r"cosine: steps must be at least 1, not 0"):
        schedules.cosine(0.1, 0)
    with pytest.raises(TypeError, match=r"exponential: every must be a whole number, not 2\.5"):
        schedules.exponential(0.1, 2.5, 0.5)
    for power in (0.5, 1.01):
        with pytest.raises(ValueError, match="robbins_monro: power must be greater than 1/2 and at most 1"):
            schedules.robbins_monro(0.1, power)
    with pytest.raises(ValueError, match=r"piecewise: boundaries must increase, not \[5, 5\]"):
        schedules.piecewise([5, 5], [1, 2, 3])
    with pytest.raises(ValueError, match="piecewise: 1 boundaries need 2 rates, not 1"):
        schedules.piecewise([5], [1])


def test_a_rate_that_is_no_rate():
    assert rate_at("SGD", lambda k: 1 / k, 4) == 0.25
    for value in (-1.0, math.inf, math.nan):
        with pytest.raises(
            ValueError, match=f"SGD: the learning rate of step 7 must be finite and at least 0, not {value}"
        ):
            rate_at("SGD", lambda _, value=value: value, 7)
