"""Two calls give the same bits: sums of parts, trees and sorted rows have one order; no kernel adds atomically."""

import numpy as np
import pytest

from kernels import cuda as kernels


def calls(rng):
    """Each: kernel and arguments that take several parts, blocks or groups of threads."""
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    x, g = normal(3, 1, 6, 6), normal(3, 2, 5, 5)
    images, numbers = normal(2, 3, 4, 5), normal(3)
    return {
        "conv2d_weight_gradient": (x, g, (2, 1, 2, 2)),
        "reduce_sum": (normal(3, 70), -1),
        "reduce_mean": (normal(70, 3), 0),
        "embedding_scatter_add": (normal(20, 3), rng.integers(0, 3, 20), 3),
        "batch_norm_statistics": (images,),
        "batch_norm_sums": (images, images + 1, numbers),
        "batch_norm_gradient": (images, images + 1, numbers, numbers, numbers, numbers),
        "conv2d": (x, normal(2, 1, 2, 2)),
        "conv2d_input_gradient": (g, normal(2, 1, 2, 2), x.shape),
        "max_pool2d_gradient": (normal(3, 1, 3, 3), rng.integers(0, 36, (3, 1, 3, 3)).astype(np.int32), x.shape),
        "avg_pool2d_gradient": (normal(3, 1, 4, 4), x.shape, (3, 3), (1, 1)),
        "matmul": (normal(5, 40), normal(40, 18)),
        "chain": (("multiply", "tanh"), images, images),
        "softmax": (normal(3, 11),),
    }


@pytest.mark.parametrize("name", calls(np.random.default_rng(0)))
def test_two_calls_agree(gpu, rng, name):
    args = calls(rng)[name]
    found, again = (gpu.call(getattr(kernels, name), *args) for _ in range(2))
    for one, other in zip(*((a if isinstance(a, tuple) else (a,)) for a in (found, again)), strict=True):
        assert one.tobytes() == other.tobytes()


def test_equal_rows_give_equal_bits(gpu, rng):
    x = np.repeat(rng.standard_normal((1, 11)).astype(np.float32), 5, axis=0)
    found = gpu.call(kernels.softmax, x)
    assert (found == found[0]).all()


def test_sums_in_parts_lose_no_more_than_pairwise_ones(gpu):
    """300 ones and a large number: sums one by one would lose each of them."""
    x = np.ones(301, np.float32)
    x[0] = 2.0**24
    assert gpu.call(kernels.reduce_sum, x) >= 2.0**24 + 292


def test_many_equal_indices_are_added_in_order(gpu):
    """A row that occurs often is added up chunk by chunk, one that occurs seldom item by item."""
    index = np.array([1] * 10 + [0, 2] + [1] * 7)
    g = 2.0 ** np.arange(19)[:, None]
    found = gpu.call(kernels.embedding_scatter_add, g, index, 4)
    np.testing.assert_array_equal(found[:, 0], [g[10, 0], g[:10].sum() + g[12:].sum(), g[11, 0], 0])
