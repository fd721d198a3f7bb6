"""Logistic regression, with the interface of scikit-learn's estimators and the gradient of the penalised likelihood.

>>> rng = np.random.default_rng(0)
>>> x = rng.normal(size=(200, 3))
>>> y = (x @ np.array([2.0, -1.0, 0.0]) + 0.5 * rng.logistic(size=200) > 0).astype(int)
>>> model = LogisticRegression(C=1.0).fit(x, y)
>>> bool(model.score(x, y) > 0.85), bool(abs(model.coef_[2]) < 0.5)
(True, True)

At the optimum the gradient is zero; elsewhere it is the one that is known, ``C x^T (p - y) + w``:

>>> w = np.array([0.3, -0.2, 0.1, 0.4])
>>> p = 1 / (1 + np.exp(-(x @ w[:3] + w[3])))
>>> known = np.append(x.T @ (p - y) + w[:3], np.sum(p - y))
>>> bool(np.allclose(grad(loss)(w, x, y, 1.0), known))
True
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize

from autodiff import grad, value_and_grad


def loss(w: Any, x: Any, y: Any, c: float) -> Any:
    """Penalised negative log-likelihood; the last weight is the intercept, which is not penalised."""
    score = x @ w[:-1] + w[-1]
    return c * np.sum(np.logaddexp(0, score) - y * score) + 0.5 * np.sum(w[:-1] ** 2)


class LogisticRegression:
    """Two classes, 0 and 1; `C` is the inverse strength of the penalty."""

    def __init__(self, C: float = 1.0) -> None:  # noqa: N803 - scikit-learn's name
        self.C = C
        self.coef_ = self.intercept_ = np.zeros(0)

    def fit(self, x: Any, y: Any) -> LogisticRegression:
        """Find the weights."""
        w = np.zeros(x.shape[1] + 1)
        found = scipy.optimize.minimize(value_and_grad(loss), w, args=(x, y, self.C), jac=True, method="L-BFGS-B")
        assert np.max(np.abs(grad(loss)(found.x, x, y, self.C))) < 1e-2
        self.coef_, self.intercept_ = found.x[:-1], found.x[-1]
        return self

    def predict_proba(self, x: Any) -> Any:
        """Probabilities of the two classes, (n, 2)."""
        p = 1 / (1 + np.exp(-(x @ self.coef_ + self.intercept_)))
        return np.stack([1 - p, p], axis=1)

    def predict(self, x: Any) -> Any:
        """The class that is more probable."""
        return (self.predict_proba(x)[:, 1] > 0.5).astype(int)

    def score(self, x: Any, y: Any) -> float:
        """Fraction of the examples that are classified rightly."""
        return float(np.mean(self.predict(x) == y))
