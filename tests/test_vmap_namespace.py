"""Every differentiable function of NumPy under `vmap`, as users call it, beside a Python loop over the examples."""

import numpy as np
import pytest

from autodiff import grad, tree, vmap
from autodiff.core.errors import BatchingError
from tests.namespace_calls import CALLS, FFT_CALLS, LINALG_CALLS

#: The shape of their result, or the course of their program, depends on values.
BY_VALUE = {
    *("intersect1d", "setdiff1d", "setxor1d", "trim_zeros", "union1d"),
    *("unique", "unique_all", "unique_counts", "unique_inverse", "unique_values"),
}


def calls():
    for prefix, module, table in (("np", np, CALLS), ("fft", np.fft, FFT_CALLS), ("linalg", np.linalg, LINALG_CALLS)):
        for name, listed in table.items():
            if hasattr(module, name):
                for i, (f, *args) in enumerate(listed if isinstance(listed, list) else [listed]):
                    yield pytest.param(name, f, args, id=f"{prefix}.{name}" + f"-{i}" * (i > 0))


def examples(args):
    """Arguments of three examples, close to those of the list, so that they stay in the domain."""
    return [
        [a if np.asarray(a).dtype.kind in "biu" else np.asarray(a) * (1 + 0.01 * k) for a in args] for k in range(3)
    ]


def close(got, wanted, rtol):
    assert tree.structure(got, strict=False) == tree.structure(wanted[0], strict=False)
    for k, want in enumerate(wanted):
        for g, w in zip(tree.leaves(got), tree.leaves(want), strict=True):
            assert (np.shape(g)[1:], g.dtype) == (np.shape(w), np.asarray(w).dtype)
            np.testing.assert_allclose(g[k], w, rtol=rtol, atol=rtol)


@pytest.mark.parametrize(("name", "f", "args"), [*calls()])
def test_function(name, f, args):
    rows = examples(args)
    many = [np.stack(column) for column in zip(*rows, strict=True)]
    if name in BY_VALUE:
        try:
            vmap(f)(*many)
        except BatchingError as error:
            assert "np.where" in str(error)  # noqa: PT017 - a call of some of them goes through
        return
    close(vmap(f)(*many), [f(*row) for row in rows], 1e-10)

    def scalar(*xs):
        parts = [y for y in tree.leaves(f(*xs)) if y.dtype.kind in "fc"]
        return sum(np.sum(np.real(y) * 0.7 + np.imag(y)) for y in parts)

    active = [i for i, a in enumerate(rows[0]) if np.asarray(a).dtype.kind in "fc"]
    close(vmap(grad(scalar, active))(*many), [grad(scalar, active)(*row) for row in rows], 1e-8)
