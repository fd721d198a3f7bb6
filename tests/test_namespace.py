"""Every public function of NumPy is differentiated, constant, or on a short list with a reason."""

from __future__ import annotations

import numpy as np
import pytest

import autodiff.numpy as anp
from autodiff import grad, jvp, vjp
from autodiff.core.tables import FUNCTIONS, UFUNCS
from autodiff.core.tracer import Tracer, concrete
from tests.namespace_calls import CALLS, CLASSES, CONSTANTS, FFT_CALLS, LINALG_CALLS, NEITHER, U
from tests.product_checks import check

#: Functions of numpy.linalg that have no rule yet.
PENDING_LINALG: frozenset[str] = frozenset()
#: Their values jump from order to order, or their second derivative is checked elsewhere.
FIRST_ORDER = frozenset({"nextafter"})
REASONS = {name: reason for reason, names in NEITHER.items() for name in names.split()}
#: Functions that newer versions of NumPy have, and functions that older versions have.
VERSIONED = frozenset(
    {"matvec", "vecmat", "cumulative_sum", "cumulative_prod", "unstack", "astype", "in1d", "trapz", "row_stack"}
)


def public(module):
    """Names of the functions of a module."""
    for name in dir(module):
        value = getattr(module, name)
        if name.startswith("_") or not callable(value):
            continue
        if not isinstance(value, type):
            yield name
        else:
            assert issubclass(value, np.generic) or name in CLASSES.split()


def tables(module):
    return {np: CALLS, np.fft: FFT_CALLS, np.linalg: LINALG_CALLS}[module]


@pytest.mark.parametrize("module", [np, np.fft, np.linalg], ids=lambda m: m.__name__)
def test_every_function_is_accounted_for(module):
    pending = PENDING_LINALG if module is np.linalg else frozenset()
    known = {*tables(module), *CONSTANTS, *REASONS, *pending}
    missing = [name for name in public(module) if name not in known]
    assert not missing, f"{module.__name__}: add to tests/namespace_calls.py (and give them rules): {missing}"


@pytest.mark.parametrize("module", [np, np.fft, np.linalg], ids=lambda m: m.__name__)
def test_what_is_differentiated_or_constant_has_a_rule(module):
    names = {*tables(module), *CONSTANTS} - {"fftfreq", "rfftfreq"}  # arithmetic on their spacing, without dispatch
    for name in names & set(public(module)):
        function = getattr(module, name)
        assert function in (UFUNCS if isinstance(function, np.ufunc) else FUNCTIONS), name


def test_the_lists_do_not_overlap_and_name_what_exists():
    assert not set(CALLS) & set(CONSTANTS) - {"sign"}
    assert not set(REASONS) & ({*CALLS, *CONSTANTS, *FFT_CALLS, *LINALG_CALLS})
    everything = {*public(np), *public(np.fft), *public(np.linalg), *VERSIONED}
    assert {*CALLS, *CONSTANTS, *FFT_CALLS, *LINALG_CALLS, *REASONS} <= everything


def all_calls():
    for prefix, table in (("np", CALLS), ("fft", FFT_CALLS), ("linalg", LINALG_CALLS)):
        module = {"np": np, "fft": np.fft, "linalg": np.linalg}[prefix]
        for name, calls in table.items():
            if hasattr(module, name):
                for i, (f, *args) in enumerate(calls if isinstance(calls, list) else [calls]):
                    yield pytest.param(name, f, args, id=f"{prefix}.{name}" + f"-{i}" * (i > 0))


@pytest.mark.parametrize(("name", "f", "args"), [*all_calls()])
def test_derivatives(name, f, args):
    check(f, *args, order=1 if name in FIRST_ORDER else 2)


@pytest.mark.parametrize(("name", "f", "args"), [*all_calls()])
def test_single_precision_has_numpys_dtype(name, f, args):
    single = [np.asarray(a, np.complex64 if a.dtype.kind == "c" else np.float32) for a in args]
    want = np.asarray(f(*single))
    y, t = jvp(f, tuple(single), tuple(single))
    assert (y.dtype, t.dtype) == (want.dtype, want.dtype)
    np.testing.assert_allclose(y, want, rtol=2e-4, atol=2e-5)
    y, pull = vjp(f, *single)
    assert [c.dtype for c in pull(y)] == [x.dtype for x in single]


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants(name):
    f, *args = CONSTANTS[name]
    seen = []
    grad(lambda *xs: seen.append(f(*xs)) or np.sum(xs[0]))(*args)
    jvp(lambda *xs: seen.append(f(*xs)) or np.sum(xs[0]), args, args)
    for got in seen:
        plain = concrete(got) if name in {"zeros_like", "ones_like"} else got  # these may be assigned into
        assert not isinstance(plain, Tracer)
        np.testing.assert_equal(plain, f(*args))


@pytest.mark.parametrize("name", REASONS)
def test_the_rest_is_reachable_in_our_namespace(name):
    assert not hasattr(np, name) or getattr(anp, name) is not None


def test_the_sample_is_fit():
    assert len(np.unique(U)) == U.size
