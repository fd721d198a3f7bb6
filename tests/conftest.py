"""Settings that all tests share: hypothesis profiles, a seeded generator, a guard against leaked transforms."""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from autodiff.core.level import active_levels

_common = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("dev", max_examples=20, **_common)
settings.register_profile("ci", max_examples=300, derandomize=True, **_common)
settings.register_profile("thorough", max_examples=2000, **_common)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(autouse=True)
def no_transform_left_open():
    """Fail a test after which a transform is still running."""
    before = active_levels()
    yield
    assert active_levels() == before == (), "a transform was left open"


@pytest.fixture
def rng():
    """A generator with the same numbers in every run."""
    return np.random.default_rng(20180218)
