"""Errors of `numpy.linalg` on traced arrays: each names the function, the argument, its shape and what to do."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff
from autodiff import grad, jvp
from autodiff.core.errors import MissingRuleError

LINALG = np.linalg
SQUARE = ("inv", "det", "slogdet", "cholesky", "eigh", "eigvalsh", "eig", "eigvals")


@pytest.mark.parametrize("name", SQUARE)
def test_square_matrices_are_asked_for(name):
    f = getattr(LINALG, name)
    with pytest.raises(
        LINALG.LinAlgError, match=rf"np\.linalg\.{name}: .* must be square, not 2 x 3 \(float64\[2,3\]\)"
    ):
        jvp(f, (np.ones((2, 3)),), (np.ones((2, 3)),))
    with pytest.raises(LINALG.LinAlgError, match=rf"np\.linalg\.{name}: a must be a matrix .*two axes.* float64\[3\]"):
        jvp(f, (np.ones(3),), (np.ones(3),))
    with pytest.raises(LINALG.LinAlgError):  # as NumPy's own
        f(np.ones((2, 3)))


@pytest.mark.parametrize("name", ["svd", "qr", "pinv", "svdvals", "cond"])
def test_matrices_are_asked_for(name):
    with pytest.raises(LINALG.LinAlgError, match=rf"np\.linalg\.{name}: .* must be a matrix or a stack"):
        jvp(getattr(LINALG, name), (np.ones(3),), (np.ones(3),))


@pytest.mark.parametrize("name", [*SQUARE, "svd", "qr", "pinv"])
def test_float16_is_refused_as_numpy_refuses_it(name):
    x = np.eye(2, dtype=np.float16)
    with pytest.raises(TypeError, match="float16"):
        getattr(LINALG, name)(x)
    with pytest.raises(TypeError, match=rf"np\.linalg\.{name}: a has the dtype float16.*astype"):
        jvp(getattr(LINALG, name), (x,), (x,))
    with pytest.raises(TypeError, match="float16"):
        autodiff.eval_shape(getattr(LINALG, name), x)


def test_solve_says_what_does_not_fit():
    a = np.eye(3)
    with pytest.raises(ValueError, match=r"np\.linalg\.solve: a float64\[3,3\] and b float64\[2\] .* must have 3 rows"):
        grad(lambda a: np.sum(LINALG.solve(a, np.ones(2))))(a)
    with pytest.raises(ValueError, match=r"stack of vectors needs a last axis: b\[\.\.\., np\.newaxis\]"):
        grad(lambda b: np.sum(LINALG.solve(a, b)))(np.ones((5, 2, 2)))
    with pytest.raises(ValueError, match="b float64\\[\\]"):
        grad(lambda b: np.sum(LINALG.solve(a, b)))(1.0)


def test_tensor_solutions_say_what_is_not_square():
    with pytest.raises(
        LINALG.LinAlgError, match=r"np\.linalg\.tensorsolve: a float64\[2,3\] is not square .* float64\[2\]"
    ):
        grad(lambda a: np.sum(LINALG.tensorsolve(a, np.ones(2))))(np.ones((2, 3)))
    with pytest.raises(
        LINALG.LinAlgError, match=r"np\.linalg\.tensorinv: float64\[2,2,3\] with ind=1 is not square: 2 x 6"
    ):
        grad(lambda a: np.sum(LINALG.tensorinv(a, 1)))(np.ones((2, 2, 3)))
    with pytest.raises(ValueError, match="ind must be positive, not 0"):
        grad(lambda a: np.sum(LINALG.tensorinv(a, 0)))(np.ones((2, 2)))


def test_qr_without_a_derivative():
    with pytest.raises(ValueError, match="mode must be 'reduced', 'complete' or 'r', not 'full'"):
        grad(lambda a: np.sum(LINALG.qr(a, "full")[0]))(np.ones((3, 2)))
    with pytest.raises(MissingRuleError, match=r"mode='complete': for 3 x 2 matrices the last 1 columns .*'reduced'"):
        grad(lambda a: np.sum(LINALG.qr(a, "complete")[0]))(np.ones((3, 2)))
    with pytest.raises(MissingRuleError, match="mode='raw': Householder"):
        grad(lambda a: np.sum(LINALG.qr(a, "raw")[0]))(np.ones((3, 2)))


def test_other_arguments():
    with pytest.raises(ValueError, match=r"np\.linalg\.eigh: UPLO argument must be 'L' or 'U', not 'X'"):
        grad(lambda a: np.sum(LINALG.eigh(a, "X")[0]))(np.eye(2))
    with pytest.raises(ValueError, match=r"np\.linalg\.pinv: give rcond= or rtol=, not both"):
        grad(lambda a: np.sum(LINALG.pinv(a, 1e-3, rtol=1e-3)))(np.eye(2))
    with pytest.raises(LINALG.LinAlgError, match=r"np\.linalg\.lstsq: a must be a matrix.*float64\[2,2,2\]"):
        grad(lambda a: np.sum(LINALG.lstsq(a, np.ones(2))[0]))(np.ones((2, 2, 2)))
    with pytest.raises(
        LINALG.LinAlgError, match=r"np\.linalg\.lstsq: a float64\[3,2\] and b float64\[2\] differ in their rows"
    ):
        grad(lambda a: np.sum(LINALG.lstsq(a, np.ones(2))[0]))(np.ones((3, 2)))
    with pytest.raises(
        LINALG.LinAlgError, match=r"np\.linalg\.cond: not defined for empty arrays, such as float64\[0,0\]"
    ):
        grad(LINALG.cond)(np.zeros((0, 0)))
    with pytest.raises(ValueError, match=r"np\.linalg\.norm: invalid norm order 3 for matrices"):
        grad(lambda a: LINALG.norm(a, 3))(np.eye(2))


def test_singular_and_indefinite_matrices_raise_as_in_numpy():
    for f, message in (
        (LINALG.inv, "Singular"),
        (lambda a: LINALG.solve(a, a), "Singular"),
        (lambda a: LINALG.cholesky(-a), "not positive definite"),
        (lambda a: LINALG.matrix_power(a, -1), "Singular"),
    ):
        with pytest.raises(LINALG.LinAlgError, match=message):
            grad(lambda a, f=f: np.sum(f(a)))(np.ones((2, 2)))
