"""Sparse codes and damaged inputs."""

import numpy as np
import pytest

from autodiff import check_grads, grad, jvp
from nn.coding import corrupt, keep_largest, sparsity_penalty

X = np.random.default_rng(0).uniform(0.1, 0.9, (4, 5))


def test_keep_largest_is_a_selection():
    y = keep_largest(X, 2)
    assert ((y != 0).sum(axis=1) == 2).all()
    np.testing.assert_array_equal(np.sort(y, axis=1)[:, 3:], np.sort(X, axis=1)[:, 3:])
    np.testing.assert_array_equal(grad(lambda x: np.sum(keep_largest(x, 2)))(X), y != 0)
    np.testing.assert_array_equal(jvp(lambda x: keep_largest(x, 2), (X,), (X,))[1], y)
    check_grads(lambda x: np.sum(keep_largest(x, 3) ** 2), (X,), order=2)
    np.testing.assert_array_equal(keep_largest(X, 5), X)
    assert keep_largest(X.astype(np.float32), 1).dtype == np.float32


def test_sparsity_penalty_is_the_divergence():
    target, mean = 0.1, X.mean(axis=0)
    expected = sum(target * np.log(target / m) + (1 - target) * np.log((1 - target) / (1 - m)) for m in mean)
    assert sparsity_penalty(X, 0.1) == pytest.approx(expected, rel=1e-14)
    check_grads(lambda x: sparsity_penalty(x, 0.1), (X,), order=2)
    assert sparsity_penalty(X.astype(np.float32)).dtype == np.float32


def test_corrupt_loses_a_share():
    x = np.ones((100, 100), np.float32)
    y = corrupt(x, np.random.default_rng(1), 0.3)
    assert y.dtype == np.float32
    assert set(np.unique(y)) == {0.0, 1.0}
    assert y.mean() == pytest.approx(0.7, abs=0.02)


def test_errors():
    with pytest.raises(ValueError, match=r"keep_largest: k must be from 1 to 5, the length .* \(4, 5\), got 6"):
        keep_largest(X, 6)
    with pytest.raises(ValueError, match="sparsity_penalty: target must be between 0 and 1, got 0"):
        sparsity_penalty(X, 0)
    with pytest.raises(ValueError, match=r"sparsity_penalty: code must have shape \(batch, units\), got \(5,\)"):
        sparsity_penalty(X[0])
    with pytest.raises(ValueError, match="corrupt: rate must be from 0 to 1, got 2"):
        corrupt(X, np.random.default_rng(0), 2)
