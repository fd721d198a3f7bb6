"""Convolution and its two gradients: every implementation of the contract against explicit loops."""

import importlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from kernels import reference
from kernels.cpu import threads
from kernels.cpu.host import host
from tests import backends
from tests.backends import SIMULATED
from tests.convolution_cases import (
    CASES,
    IMPLEMENTATIONS,
    arranged,
    check_equal,
    every_case,
    every_dtype,
    every_implementation,
    every_layout,
    expected,
    loops,
    params,
    run,
    some,
    whole_numbers,
)

# -- values --------------------------------------------------------------------------------------------------


def test_the_loops_agree_with_scipy():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 7, 6)), rng.standard_normal((4, 3, 3, 2))
    y, *_ = loops(x, w, np.ones, (1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    for n, o in itertools.product(range(2), range(4)):
        want = sum(signal.correlate(x[n, c], w[o, c], mode="valid") for c in range(3))
        np.testing.assert_allclose(y[n, o], want, rtol=1e-12, atol=1e-12)
    y, *_ = loops(x[:, :1], w[:, :1], np.ones, (1, 1), ((2, 2), (1, 1)), (1, 1), 1)
    np.testing.assert_allclose(y[0, 0], signal.correlate(x[0, 0], w[0, 0]), rtol=1e-12, atol=1e-12)


@every_case
@every_layout
@every_dtype
@every_implementation
def test_whole_numbers_come_out_exactly(kernels, dtype, layout, name):
    args, (y, gx, gw) = expected(name)
    found = run(kernels, name, layout, *[a.astype(dtype) for a in args])
    for a, want in zip(found, (y, y + args[2][:, None, None], gx, gw), strict=True):
        check_equal(a, want, dtype)


@some("5x5", "dilation and stride", "wide groups", "channels 33 to 33", "1x1", "few, groups")
@every_layout
@every_dtype
@every_implementation
def test_rounding_is_that_of_a_sum(kernels, dtype, layout, name):
    args, (y, gx, gw) = expected(name, exact=False)
    found = run(kernels, name, layout, *[a.astype(dtype) for a in args])
    rounding = 4 * np.finfo(dtype).eps
    for a, want in zip(found, (y, y + args[2][:, None, None], gx, gw), strict=True):
        terms = (args[0].size * args[1].size / a.size) ** 0.5
        np.testing.assert_allclose(a, want, rtol=0, atol=rounding * terms * np.abs(want).max())


@every_implementation
@every_dtype
def test_the_default_parameters(kernels, dtype):
    args, (y, gx, gw) = expected("two images, 1x1" if SIMULATED else "even kernel")
    x, w, bias, g = (a.astype(dtype) for a in args)
    check_equal(kernels.conv2d(x, w), y, dtype)
    check_equal(kernels.conv2d(x, w, bias), y + args[2][:, None, None], dtype)
    check_equal(kernels.conv2d_input_gradient(g, w, x.shape), gx, dtype)
    check_equal(kernels.conv2d_weight_gradient(x, g, w.shape), gw, dtype)


@pytest.mark.only_cpu
def test_larger_problems_agree():
    """Sizes at which the compiled kernels cut rows, channels and pixels into blocks and hand parts to threads."""
    rng = np.random.default_rng(1)
    shapes = [
        ((3, 40, 30, 31), (70, 40, 3, 3), {"padding": ((1, 1), (1, 1))}),
        ((2, 3, 64, 70), (33, 3, 7, 7), {"stride": (2, 2), "padding": ((3, 2), (3, 3))}),
        ((5, 128, 14, 13), (130, 64, 3, 3), {"groups": 2, "padding": ((1, 1), (1, 1))}),
        ((4, 300, 9, 8), (20, 300, 1, 1), {}),
        ((2, 1, 40, 450), (8, 1, 5, 5), {"dilation": (2, 3)}),
    ]
    for (x_shape, w_shape, more), layout in itertools.product(shapes, ("NCHW", "NHWC")):
        x = arranged(whole_numbers(rng, x_shape).astype(np.float32), layout)
        w, bias = (whole_numbers(rng, s).astype(np.float32) for s in (w_shape, w_shape[:1]))
        y = reference.conv2d(x, w, bias, layout=layout, **more)
        g = whole_numbers(rng, y.shape).astype(np.float32)
        wanted = (
            y,
            reference.conv2d_input_gradient(g, w, x.shape, layout=layout, **more),
            reference.conv2d_weight_gradient(x, g, w.shape, layout=layout, **more),
        )
        for name, kernels in IMPLEMENTATIONS.items():
            if name == "reference":
                continue
            for count in (1, 3):
                with threads(count):
                    found = (
                        kernels.conv2d(x, w, bias, layout=layout, **more),
                        kernels.conv2d_input_gradient(g, w, x.shape, layout=layout, **more),
                        kernels.conv2d_weight_gradient(x, g, w.shape, layout=layout, **more),
                    )
                for a, want in zip(found, wanted, strict=True):
                    np.testing.assert_array_equal(a, want, err_msg=f"{name}: {x_shape}, {w_shape}, {more}, {layout}")


PROGRAM = """
import numpy as np
from kernels import cpu, reference
from kernels.cpu.host import host
assert host().vector_bytes == {vector_bytes}, host()
rng = np.random.default_rng(0)
for shape, layout, more in (
    ((2, 6, 9, 40), "NCHW", dict(padding=((1, 1), (0, 2)))),
    ((2, 6, 5, 32), "NCHW", dict(padding=((1, 1), (1, 0)), groups=2)),
    ((2, 9, 40, 6), "NHWC", dict(padding=((0, 1), (1, 0)), stride=(2, 3), dilation=(2, 1), groups=2)),
):
    more["layout"] = layout
    x, w, b = (rng.integers(-3, 4, s).astype("f") for s in (shape, (20, 6 // more.get("groups", 1), 3, 2), (20,)))
    y = reference.conv2d(x, w, b, **more)
    np.testing.assert_array_equal(cpu.conv2d(x, w, b, **more), y)
    for function, args in (("conv2d_input_gradient", (y, w, x.shape)), ("conv2d_weight_gradient", (x, y, w.shape))):
        want = getattr(reference, function)(*args, **more)
        np.testing.assert_array_equal(getattr(cpu, function)(*args, **more), want)
"""


@pytest.mark.only_cpu
def test_where_vectors_run_along_the_pixels():
    planar = importlib.import_module("kernels.cpu.conv2d")._is_planar
    planes, pixels = (4096, 1024, 32, 1), (4096, 1, 128, 4)
    few, many = {"channels_out": 5, "lanes": 16, "image_bytes": 10**9}, {"channels_out": 40, "lanes": 16}
    assert planar(planes, planes, (2, 1), 32, 3, **few) == (True, False)
    assert planar(planes, planes, (1, 1), 33, 2, **few) == (True, True)
    assert not planar(planes, planes, (2, 1), 33, 2, **few)[0]  # rows apart cannot flow
    assert not planar(planes, planes, (1, 1), 10, 3, **few)[0]
    assert not planar(planes, planes, (1, 2), 32, 3, **few)[0]
    assert not planar(pixels, planes, (1, 1), 32, 3, **few)[0]
    assert not planar(planes, pixels, (1, 1), 32, 3, **few)[0]
    assert planar(planes, planes, (1, 1), 32, 3, **many, image_bytes=4096) == (True, False)
    assert not planar(planes, planes, (1, 1), 16, 3, **many, image_bytes=4096)[0]
    assert not planar(planes, planes, (1, 1), 32, 3, **many, image_bytes=10**6)[0]


@pytest.mark.only_cpu
@pytest.mark.parametrize(
    ("name", "features", "vector_bytes"), [("generic", "", 0), ("haswell", "+avx2,+fma", 32)], ids=["plain", "avx2"]
)
def test_other_processors(name, features, vector_bytes, tmp_path):
    if vector_bytes > host().vector_bytes:
        pytest.skip(f"this processor has no vectors of {vector_bytes} bytes")
    environment = os.environ | {
        "NUMBA_CPU_NAME": name,
        "NUMBA_CPU_FEATURES": features,
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
    program = PROGRAM.replace("{vector_bytes}", str(vector_bytes))
    outcome = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stderr


# -- memory --------------------------------------------------------------------------------------------------


def fortran(a):
    return np.asfortranarray(a)


def reversed_and_spaced(a):
    wide = np.repeat(a, 2, axis=-1)[..., ::-1]
    return np.ascontiguousarray(wide)[..., ::-1][..., ::2]


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


@pytest.mark.parametrize("change", [fortran, reversed_and_spaced, read_only])
@some("unequal padding", "groups", "1x1", "stride 2", "few, unequal padding")
@every_layout
@every_implementation
def test_arguments_of_any_order_in_memory(kernels, layout, name, change):
    (x, w, bias, g), (y, gx, gw) = expected(name)
    more = params(name, layout)
    x, g = arranged(x, layout), arranged(g, layout)
    before = [a.copy() for a in (x, w, bias, g)]
    check_equal(kernels.conv2d(change(x), change(w), change(bias), **more),
                arranged(y + bias[:, None, None], layout), float)  # fmt: skip
    check_equal(kernels.conv2d_input_gradient(change(g), change(w), x.shape, **more), arranged(gx, layout), float)
    check_equal(kernels.conv2d_weight_gradient(change(x), change(g), w.shape, **more), gw, float)
    for a, kept in zip((x, w, bias, g), before, strict=True):
        np.testing.assert_array_equal(a, kept)


@every_implementation
def test_arguments_without_memory_of_their_own(kernels):
    """The adjoint of a sum is one number that was broadcast."""
    name = "few, unequal padding" if SIMULATED else "unequal padding"
    (x, w, _, g), _ = expected(name)
    more = params(name)
    one = np.broadcast_to(np.float64(1.0), g.shape)
    for found, want in (
        (kernels.conv2d_input_gradient(one, w, x.shape, **more),
         kernels.conv2d_input_gradient(one.copy(), w, x.shape, **more)),
        (kernels.conv2d_weight_gradient(x, one, w.shape, **more),
         kernels.conv2d_weight_gradient(x, one.copy(), w.shape, **more)),
        (kernels.conv2d(np.broadcast_to(x[:1], x.shape), w, **more),
         kernels.conv2d(np.repeat(x[:1], len(x), 0), w, **more)),
    ):  # fmt: skip
        np.testing.assert_array_equal(found, want)


@some("unequal padding", "dilation and stride", "wide groups", "stride 3 beyond the kernel", "few, dilation and stride")
@every_layout
@every_implementation
def test_nan_reaches_what_it_must_and_nothing_else(kernels, layout, name):
    """Nothing is read outside the arrays, and no pixel that a stride skips; the padding may or may not be read."""
    (x, w, _, g), _ = expected(name)
    _, _, stride, padding, dilation, groups = CASES[name]
    more, ones = params(name, layout), np.ones_like
    x, g = x.copy(), g.copy()
    x[0, 0, 1, 1] = g[0, -1, 0, 0] = np.nan
    y, _, _, from_x = loops(x, ones(w), np.ones, stride, padding, dilation, groups)
    _, _, gx, _ = loops(ones(x), ones(w), lambda shape: g, stride, padding, dilation, groups)
    padded = np.pad(ones(x), ((0, 0), (0, 0), *padding))
    _, _, _, most = loops(padded, ones(w), lambda shape: g, stride, ((0, 0), (0, 0)), dilation, groups)
    one_pixel = np.isnan(g).astype(g.dtype)
    _, _, _, least = loops(ones(x), ones(w), lambda shape: one_pixel, stride, padding, dilation, groups)
    _, _, _, rest = loops(ones(x), ones(w), lambda shape: np.nan_to_num(g), stride, padding, dilation, groups)
    x, g, y, gx = (arranged(a, layout) for a in (x, g, y, gx))
    check_equal(kernels.conv2d(x, ones(w), **more), y, float)
    check_equal(kernels.conv2d_weight_gradient(x, ones(g), w.shape, **more), from_x, float)
    check_equal(kernels.conv2d_input_gradient(g, ones(w), x.shape, **more), gx, float)
    from_g = kernels.conv2d_weight_gradient(ones(x), g, w.shape, **more)
    assert np.isnan(from_g[least != 0]).all()
    check_equal(np.where(np.isnan(most), 0, from_g), np.where(np.isnan(most), 0, rest), float)


# -- dtypes that have no compiled kernel ---------------------------------------------------------------------


@pytest.mark.only_cpu
@pytest.mark.parametrize("name", ["unequal padding", "groups", "dilation and stride"])
@every_layout
def test_complex_numbers(layout, name):
    """Linear in each argument, without conjugation."""
    parts = [expected(name, exact=exact)[0] for exact in (True, False)]
    x, w, bias, g = (a + 1j * b for a, b in zip(*parts, strict=True))
    y, _, gx, gw = loops(x, w, lambda shape: g, *CASES[name][2:])
    found = run(reference, name, layout, x, w, bias, g)
    for a, want in zip(found, (y, y + bias[:, None, None], gx, gw), strict=True):
        assert a.dtype == np.complex128
        np.testing.assert_allclose(a, want, rtol=1e-12, atol=1e-12)
    single = run(reference, name, layout, *[a.astype(np.complex64) for a in (x, w, bias, g)])
    assert {a.dtype for a in single} == {np.dtype(np.complex64)}


@pytest.mark.only_cpu
def test_half_precision_is_summed_in_single():
    """3,000 ones and halves: sums in float16 would stop growing at 2,048."""
    x, w = np.ones((1, 3000, 2, 2), np.float16), np.full((2, 3000, 1, 1), 0.5, np.float16)
    y = reference.conv2d(x, w, np.array([0.25, 1.0], np.float16))
    check_equal(y, np.array([1500.0, 1501.0])[None, :, None, None] * np.ones((1, 2, 2, 2)), np.float16)
    g = np.ones((1, 2, 2, 2), np.float16)
    check_equal(reference.conv2d_input_gradient(g, w, x.shape), np.ones(x.shape), np.float16)
    check_equal(reference.conv2d_weight_gradient(x, g, w.shape), np.full(w.shape, 4.0), np.float16)
    long = np.ones((3000, 1, 1, 1), np.float16)
    check_equal(reference.conv2d_weight_gradient(long, long, (1, 1, 1, 1)), np.full((1, 1, 1, 1), 3000.0), np.float16)


@pytest.mark.only_cpu
@pytest.mark.parametrize(
    ("first", "second", "result"),
    [
        ("f4", "f8", "f8"),
        ("f2", "f4", "f4"),
        ("f4", "c8", "c8"),
        ("f8", "c8", "c16"),
        (">f8", "f8", "f8"),
        ("g", "f4", "g"),
    ],
)
def test_mixed_dtypes_are_promoted(first, second, result):
    (x, w, bias, g), (y, gx, gw) = expected("stride 1, 3")
    more = params("stride 1, 3")
    check_equal(reference.conv2d(x.astype(first), w.astype(second), **more), y, result)
    biased = reference.conv2d(x.astype(first), w.astype(first), bias.astype(second), **more)
    check_equal(biased, y + bias[:, None, None], result)
    check_equal(reference.conv2d_input_gradient(g.astype(first), w.astype(second), x.shape, **more), gx, result)
    check_equal(reference.conv2d_weight_gradient(x.astype(first), g.astype(second), w.shape, **more), gw, result)


# -- another oracle ------------------------------------------------------------------------------------------


@pytest.mark.only_cpu
@pytest.mark.parametrize("name", [n for n in CASES if not n.startswith("no ")])
def test_pytorch_agrees(name):
    torch = pytest.importorskip("torch")
    args, _ = expected(name, exact=False)
    _, _, stride, ((top, bottom), (left, right)), dilation, groups = CASES[name]
    x, w, bias, g = (torch.tensor(a, requires_grad=True) for a in args)
    padded = torch.nn.functional.pad(x, (left, right, top, bottom))
    y = torch.nn.functional.conv2d(padded, w, bias, stride=stride, dilation=dilation, groups=groups)
    gx, gw = torch.autograd.grad(y, (x, w), g)
    for kernels in IMPLEMENTATIONS.values():
        _, *found = run(kernels, name, "NCHW", *args)
        for a, want in zip(found, (y, gx, gw), strict=True):
            np.testing.assert_allclose(a, want.detach().numpy(), rtol=1e-11, atol=1e-11)


# -- errors --------------------------------------------------------------------------------------------------

WRONG = {
    "rank of x": (((3, 5, 5), (2, 3, 3, 3), {}), r"4 (axes|dimensions).*got shapes? .*\(3, 5, 5\)"),
    "rank of w": (((1, 3, 5, 5), (2, 3, 3), {}), r"4 .*got shapes? .*\(2, 3, 3\)"),
    "channels": (((1, 3, 5, 5), (2, 4, 3, 3), {}), r"3 channels.*\(2, 4, 3, 3\)"),
    "groups of channels": (((1, 3, 5, 5), (2, 1, 3, 3), {"groups": 2}), r"groups.*3 channels|3 channels.*groups"),
    "groups of filters": (((1, 4, 5, 5), (3, 2, 3, 3), {"groups": 2}), r"\(3, 2, 3, 3\)"),
    "layout of x": (((1, 3, 5, 5), (2, 3, 3, 3), {"layout": "NHWC"}), r"5 channels"),
    "large kernel": (((1, 3, 5, 5), (2, 3, 6, 3), {}), r"spans 6 pixels.* 5"),
    "large dilated kernel": (((1, 3, 5, 5), (2, 3, 3, 3), {"dilation": (1, 3)}), r"spans 7 pixels.* 5"),
    "zero stride": (((1, 3, 5, 5), (2, 3, 3, 3), {"stride": (0, 1)}), r"stride .*must be positive"),
    "negative dilation": (((1, 3, 5, 5), (2, 3, 3, 3), {"dilation": (1, -1)}), r"dilation .*must be positive"),
    "negative padding": (((1, 3, 5, 5), (2, 3, 3, 3), {"padding": ((0, 0), (-1, 2))}), r"padding must be at least 0"),
    "empty kernel": (((1, 3, 5, 5), (2, 3, 0, 3), {}), r"must be positive"),
    "unknown layout": (((1, 3, 5, 5), (2, 3, 3, 3), {"layout": "CHWN"}), r"layout .*\"NCHW\" or \"NHWC\""),
}


@pytest.mark.parametrize("what", WRONG)
@every_implementation
def test_errors_name_the_kernel_and_what_does_not_fit(kernels, what):
    (x, w, more), message = WRONG[what]
    g = np.ones((1, w[0], 3, 3))
    with pytest.raises(ValueError, match=f"^conv2d: .*{message}"):
        kernels.conv2d(np.ones(x), np.ones(w), **more)
    with pytest.raises(ValueError, match=f"^conv2d_input_gradient: .*{message}"):
        kernels.conv2d_input_gradient(g, np.ones(w), x, **more)
    with pytest.raises(ValueError, match=f"^conv2d_weight_gradient: .*{message}"):
        kernels.conv2d_weight_gradient(np.ones(x), g, w, **more)


@every_implementation
def test_errors_of_bias_and_adjoint(kernels):
    x, w = np.ones((1, 3, 5, 5)), np.ones((2, 3, 3, 3))
    with pytest.raises(
        ValueError, match=r"^conv2d: bias must have shape \(2,\), one number for each filter, got \(3,\)"
    ):
        kernels.conv2d(x, w, np.ones(3))
    with pytest.raises(ValueError, match=r"^conv2d_input_gradient: .*\(1, 2, 3, 3\), got \(1, 2, 4, 3\)"):
        kernels.conv2d_input_gradient(np.ones((1, 2, 4, 3)), w, x.shape)
    with pytest.raises(ValueError, match=r"^conv2d_weight_gradient: .*\(1, 2, 3, 3\), got \(2, 2, 3, 3\)"):
        kernels.conv2d_weight_gradient(x, np.ones((2, 2, 3, 3)), w.shape)


def test_compiled_kernels_take_one_dtype():
    compiled = backends.kernels
    x, w = np.ones((1, 3, 5, 5)), np.ones((2, 3, 3, 3))
    with pytest.raises(TypeError, match=r"^conv2d: .*x: float64, w: float32; convert with \.astype"):
        compiled.conv2d(x, w.astype("f"))
    with pytest.raises(TypeError, match=r"^conv2d: .*x: int64, w: int64"):
        compiled.conv2d(x.astype(int), w.astype(int))
    with pytest.raises(TypeError, match=r"^conv2d_weight_gradient: .*x: float64, g: float32"):
        compiled.conv2d_weight_gradient(x, np.ones((1, 2, 3, 3), "f"), w.shape)


@some("unequal padding", "groups", "1x1", "no channels", "no pixels", "few, groups")
@every_layout
def test_relu_on_the_way_out(layout, name):
    compiled = backends.kernels
    (x, w, bias, _), (y, _, _) = expected(name)
    x, y, more = arranged(x, layout), arranged(y + bias[:, None, None], layout), params(name, layout)
    check_equal(compiled.conv2d(x, w, bias, activation="relu", **more), np.maximum(y, 0), float)
    with pytest.raises(ValueError, match=r"^conv2d: activation must be None or .relu., got 'tanh'"):
        compiled.conv2d(x, w, activation="tanh", **more)
