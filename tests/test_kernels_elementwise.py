"""Elementary functions of the CPU: errors against mpmath, limits, hosts, results in place, inlining.

What every backend does is in tests/kernels/test_elementwise.py.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
import scipy.special
from numba.core import config

from benchmarks import fit_polynomials
from kernels.cpu import elementary, elementary_plain, elementwise, polynomials, threads
from kernels.cpu.elementary_llvm import (
    constant,
    exponent,
    is_single,
    magnitude,
    mantissa,
    multiply_add,
    polynomial,
    polynomial_of,
    power_of_two,
    scale,
    select,
    with_sign,
)
from kernels.cpu.host import host
from kernels.cpu.jit import kernel
from tests import elementary_checks as checks

ROOT = Path(__file__).resolve().parents[1]
NAMES = sorted(checks.EXACT)

both_dtypes = pytest.mark.parametrize("dtype", checks.DTYPES)
each = pytest.mark.parametrize("name", NAMES)
compiled = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="needs the compiler")

REFERENCES = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": scipy.special.expit,
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "erf": scipy.special.erf,
}


# -- accuracy ------------------------------------------------------------------------------------------------


@each
@both_dtypes
def test_two_units_in_the_last_place(name, dtype):
    x = np.concatenate([checks.edges(name, dtype), checks.samples(name, dtype, 600)])
    worst, where = checks.largest_error(name, x)
    assert worst <= checks.LIMIT, where


@each
def test_every_binade_of_float32(name):
    patterns = np.arange(0, 2**32, 1000003 if config.DISABLE_JIT else 20011, np.uint64).astype(np.uint32)
    x = checks.in_domain(name, patterns.view(np.float32))
    with np.errstate(over="ignore"):
        want = REFERENCES[name](x.astype(np.float64))
        rounded = want.astype(np.float32)
    got = getattr(elementwise, name)(x)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(got[~finite], rounded[~finite])
    error = np.abs(got[finite] - want[finite]) / np.abs(np.spacing(rounded[finite]))
    assert error.max() <= checks.LIMIT


@each
@both_dtypes
def test_zeros_infinities_and_nan(name, dtype):
    checks.check_special(name, dtype)


@both_dtypes
def test_results_that_underflow_are_subnormal(dtype):
    smallest = np.finfo(dtype).smallest_subnormal
    last = np.log(np.float64(smallest)) - 0.69
    x = np.array([last, last - 0.01], dtype)
    assert elementwise.exp(x).tolist() == [smallest, 0.0]
    assert elementwise.sigmoid(x).tolist() == [smallest, 0.0]
    assert elementwise.softplus(x).tolist() == [smallest, 0.0]
    few = np.arange(-8, 9).astype(dtype) * smallest
    for name in ("expm1", "log1p", "tanh"):
        np.testing.assert_array_equal(getattr(elementwise, name)(few), few)


@pytest.mark.parametrize(
    ("settings", "count"),
    [({"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}, "100"), ({"NUMBA_DISABLE_JIT": "1"}, "20")],
    ids=["without fused multiply-add", "without compilation"],
)
def test_other_hosts(settings, count, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path), **settings}
    command = [sys.executable, "-W", "error", "-m", "tests.elementary_checks", count]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 2 * len(NAMES)


# -- compiled code -------------------------------------------------------------------------------------------


@compiled
@pytest.mark.skipif(not host().vectorised, reason="no vector unit that we know")
@pytest.mark.parametrize(("dtype", "kind"), [(np.float32, "float"), (np.float64, "double")])
def test_loops_are_vectorised(dtype, kind):
    loop = kernel(elementwise.exp_loop.py_func)
    loop._cache.disable()  # code that comes from the cache cannot be read
    loop(0, 4, np.zeros(4, dtype), np.zeros(4, dtype))
    code = loop.inspect_llvm(loop.signatures[0])
    lanes = [int(n) for n in re.findall(rf"<(\d+) x {kind}>", code)]
    assert max(lanes, default=1) >= 16 // np.dtype(dtype).itemsize
    assert f"llvm.fmuladd.v{max(lanes)}f{8 * np.dtype(dtype).itemsize}" in code


@kernel(fast=True)
def loosely(x, out):
    for i in range(x.size):
        out[i] = elementary.expm1(x[i])
        out[i] += elementary.tanh(x[i])


@both_dtypes
def test_fast_math_of_callers_stays_outside(dtype):
    x = checks.samples("tanh", dtype, 300)
    x = x[np.abs(x) < 80]
    out = np.empty_like(x)
    loosely(x, out)
    np.testing.assert_array_equal(out, elementwise.expm1(x) + elementwise.tanh(x))


CONSTANT, CUBIC = (1.1, 2.1), ((1.0, 2.0, 3.0, 4.0), (5.0, 6.0, 7.0, 8.0))
SEVEN = tuple(float(k) for k in range(7))
number, cubic, long = constant(*CONSTANT), polynomial(*CUBIC), polynomial(SEVEN, SEVEN[::-1])
choice = polynomial_of(*CUBIC, *CUBIC[::-1])


@kernel
def instructions(x, y, shifted, out):
    out[0], out[1], out[2] = number(x), cubic(x), long(x)
    out[3], out[4] = choice(x > y, x), choice(x < y, x)
    out[5], out[6], out[7], out[8] = select(x < y, x, y), magnitude(y), with_sign(x, y), multiply_add(x, y, x)
    out[9], out[10] = power_of_two(shifted), scale(x, shifted)
    out[11], out[12] = exponent(x), mantissa(x)
    out[13] = 1 if is_single(x) else 2


@compiled
@both_dtypes
@pytest.mark.parametrize("n", [-140, -126, -1, 0, 1, 127])
@pytest.mark.parametrize("x", [1.0, 0.75, 2.0**0.5, 2.0**-0.5, 0.7071, 1e-30, 3e30])
def test_instructions_do_what_their_plain_forms_say(x, n, dtype):
    plain = elementary_plain
    x, y = dtype(x), dtype(-0.3)
    n = max(n, -126) if dtype == np.float32 else n
    shifted = dtype(plain.FORMATS[8 * x.itemsize].shift) + dtype(n)
    out = np.empty(14, dtype)
    instructions(x, y, shifted, out)
    with np.errstate(over="ignore"):
        chosen = plain.polynomial_of(*CUBIC, *CUBIC[::-1])
        want = [
            plain.constant(*CONSTANT)(x), plain.polynomial(*CUBIC)(x), plain.polynomial(SEVEN, SEVEN[::-1])(x),
            chosen(x > y, x), chosen(x < y, x), plain.select(x < y, x, y), plain.magnitude(y), plain.with_sign(x, y),
            plain.multiply_add(x, y, x), plain.power_of_two(shifted), plain.scale(x, shifted), plain.exponent(x),
            plain.mantissa(x), 1 if plain.is_single(x) else 2,
        ]  # fmt: skip
    finite = np.isfinite(want) & np.isfinite(out)  # x^6 overflows on the way in one order and not in the other
    np.testing.assert_allclose(out[finite], np.array(want)[finite], rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(out[[0, 5, 6, 7, 9, 10, 11, 12, 13]], np.array(want)[[0, 5, 6, 7, 9, 10, 11, 12, 13]])


# -- polynomials ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "bits"),
    [
        ("EXP_F32", 26.0), ("EXP_F64", 55.5), ("LOG_RATIO_F32", 30.0), ("LOG_RATIO_F64", 59.0), ("ERF_SMALL_F32", 29.0),
        ("ERF_SMALL_F64", 56.0), ("ERF_LARGE_F32", 29.5), ("ERF_LARGE_F64", 55.5),
    ],
)  # fmt: skip
def test_polynomials_are_as_close_as_they_say(table, bits):
    name, kind = table.rsplit("_", 1)
    work = fit_polynomials.FITS[name]
    points = fit_polynomials.chebyshev_points(*work.interval(kind.lower()), 57)
    coefficients = [fit_polynomials.rounded(c, kind.lower()) for c in getattr(polynomials, table)]
    errors = [work.weight(x) * (fit_polynomials.evaluate(coefficients, x) - work.function(x)) for x in points]
    assert max(map(abs, errors)) < mp.mpf(2) ** -bits


@pytest.mark.parametrize("name", ["EXP", "LOG_RATIO"])
def test_the_script_derives_the_coefficients(name):
    coefficients, _ = fit_polynomials.fit(name, "f32")
    table = getattr(polynomials, f"{name}_F32")
    assert [np.float32(c) for c in coefficients] == [np.float32(c) for c in table]


# -- arrays --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [5, 203])
def test_results_may_replace_arguments(size, rng, monkeypatch):
    monkeypatch.setattr(elementwise, "BLOCK", 64)
    x = rng.standard_normal(size)
    y, whole = elementwise.tanh(x), np.concatenate([x, np.zeros(1)])
    assert elementwise.tanh(whole[:-1], out=whole[1:]).base is whole  # overlapping, not in place
    np.testing.assert_array_equal(whole[1:], y)
    assert elementwise.tanh(x, out=x) is x
    np.testing.assert_array_equal(x, y)


def test_threads_agree(rng, monkeypatch):
    monkeypatch.setattr(elementwise, "GRAIN", 4096)
    x = rng.standard_normal(5001)
    with threads(1):
        one = elementwise.exp(x)
    with threads(3):
        np.testing.assert_array_equal(elementwise.exp(x), one)
        np.testing.assert_array_equal(elementwise.exp(x, out=x), one)


# -- errors --------------------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("x", [[1.0], 1.0, np.float64(1.0), None])
def test_arguments_are_arrays(name, x):
    message = (
        f"{name}: expected an array of float32 or float64, got an object of type {type(x).__name__}; use np.asarray"
    )
    with pytest.raises(TypeError, match=message):
        getattr(elementwise, name)(x)


def test_out_is_an_array_to_write_to():
    x = np.ones((2, 3))
    with pytest.raises(TypeError, match="exp: out must be an array of the argument's dtype, float64, got list"):
        elementwise.exp(x, out=[0.0])
    fixed = np.ones((2, 3))
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match="exp: out is read-only; pass a writeable array"):
        elementwise.exp(x, out=fixed)
