"""Ensembles: what they say, how they learn, dtypes, and what they refuse."""

import numpy as np
import pytest

import nn
from autodiff import check_grads, grad

WAYS = pytest.mark.parametrize("combine", ["mean", "probability", "vote"])


def members(count=3, dtype=np.float64):
    return [nn.Dense(4, 3, dtype=dtype, rng=seed) for seed in range(count)]


def inputs(dtype=np.float64):
    return np.random.default_rng(9).normal(size=(5, 4)).astype(dtype)


def test_what_they_say():
    parts, x = members(), inputs()
    scores = np.array([m(x) for m in parts])
    chances = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    np.testing.assert_allclose(nn.Ensemble(parts)(x), scores.mean(0), rtol=1e-14)
    np.testing.assert_allclose(np.exp(nn.Ensemble(parts, "probability")(x)), chances.mean(0), rtol=1e-12)
    votes = [np.bincount(column, minlength=3) / 3 for column in scores.argmax(-1).T]
    np.testing.assert_allclose(nn.Ensemble(parts, "vote")(x), votes)


def test_a_mean_is_as_good_as_its_members_less_their_spread():
    parts, x = members(5), inputs()
    y = np.random.default_rng(1).normal(size=(5, 3))
    outputs = np.array([m(x) for m in parts])
    together = nn.Ensemble(parts)(x)
    errors, spread = np.mean((outputs - y) ** 2), np.mean((outputs - together) ** 2)
    np.testing.assert_allclose(np.mean((together - y) ** 2), errors - spread, rtol=1e-12)


@pytest.mark.parametrize("combine", ["mean", "probability"])
def test_derivatives(combine):
    check_grads(nn.Ensemble(members(), combine), (inputs(),), order=2)
    gradient = grad(lambda m: np.sum(m(inputs()) ** 2))(nn.Ensemble(members(), combine))
    assert all(np.abs(g).max() > 0 for g in nn.parameters(gradient).values())


def test_votes_have_no_slope():
    gradient = grad(lambda x: np.sum(nn.Ensemble(members(), "vote")(x) ** 2))(inputs())
    np.testing.assert_array_equal(gradient, np.zeros((5, 4)))


@WAYS
def test_extreme_scores_and_dtypes(combine):
    parts = members(2, np.float32)
    assert nn.Ensemble(parts, combine)(inputs(np.float32)).dtype == np.float32
    far = nn.Ensemble([lambda x: 1000 * x, lambda x: -1000 * x], combine)(np.array([[1.0, -1.0, 0.0]]))
    assert np.all(np.isfinite(far))


def test_members_keep_their_state():
    model = nn.Ensemble([nn.BatchNorm(4), nn.Dropout(0.5)])
    y, new = nn.apply(model, inputs(np.float32), train=True, rng=np.random.default_rng(0))
    assert y.shape == (5, 4)
    assert model.differs_in_training()
    assert np.abs(new.members[0].mean).max() > 0
    assert nn.count_parameters(model) == 8


def test_refusals():
    with pytest.raises(ValueError, match="Ensemble: there must be at least one member"):
        nn.Ensemble([])
    with pytest.raises(ValueError, match="Ensemble: combine must be one of mean, probability, vote, not 'sum'"):
        nn.Ensemble(members(), "sum")
    with pytest.raises(ValueError, match=r"Ensemble: member 1 says float64\[5,2\], member 0 float64\[5,4\]"):
        nn.Ensemble([lambda x: x, lambda x: x[:, :2]])(inputs())
