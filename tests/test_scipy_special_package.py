"""The package `autodiff.scipy`: loaded on first use, and errors that say what to do instead."""

import subprocess
import sys

import pytest

import autodiff.scipy
from autodiff.core.errors import MissingRuleError


def test_scipy_is_loaded_on_first_use():
    code = (
        "import sys, autodiff, autodiff.scipy; assert 'scipy' not in sys.modules;"
        "from autodiff.scipy import special; assert 'scipy.special' in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)


def test_submodules_are_listed():
    assert {"special", "stats", "linalg", "optimize"} <= set(dir(autodiff.scipy))


def test_missing_submodule():
    with pytest.raises(AttributeError, match=r"autodiff.scipy has no fft: .* numpy.fft"):
        _ = autodiff.scipy.fft
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = autodiff.scipy.nothing


def test_missing_function():
    with pytest.raises(MissingRuleError, match=r"autodiff.scipy.special has no kolmogorov: .*custom_jvp"):
        _ = autodiff.scipy.special.kolmogorov
    assert not hasattr(autodiff.scipy.special, "not_a_function")
