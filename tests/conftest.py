"""Settings that all tests share: hypothesis profiles, seeded generators, a guard against leaked transforms."""

import os
import signal

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from autodiff.core.level import active_levels

_common = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("dev", max_examples=20, **_common)
settings.register_profile("ci", max_examples=300, derandomize=True, **_common)
settings.register_profile("thorough", max_examples=2000, **_common)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))

# A shell that starts the tests in the background has Ctrl-C ignored in them and in the programs that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_transform_left_open():
    """Fail a test after which a transform is still running."""
    before = active_levels()
    yield
    assert active_levels() == before == (), "a transform was left open"


@pytest.fixture(autouse=True)
def same_numbers_in_any_order(request):
    """Seed a file's own generator anew: what a test draws from it does not depend on the tests that ran before."""
    generator = getattr(getattr(request.node, "module", None), "RNG", None)
    if generator is not None:
        generator.bit_generator.state = np.random.default_rng(2018).bit_generator.state


@pytest.fixture
def rng():
    """A generator with the same numbers in every run."""
    return np.random.default_rng(20180218)
