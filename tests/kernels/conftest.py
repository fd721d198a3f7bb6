"""One file for each kernel, run for the backend of this process (see tests/backends.py)."""

import pytest

from tests.backends import BACKEND, SIMULATED


def pytest_configure(config):
    config.addinivalue_line("markers", "only_cpu: what the kernels of the device do not have, such as threads")


def pytest_collection_modifyitems(config, items):
    """Leave out what the backend does not have. The simulator's numbers are NumPy's, which warn; a device's do not."""
    left, out = [], []
    for item in items:
        (out if BACKEND != "cpu" and item.get_closest_marker("only_cpu") else left).append(item)
        if SIMULATED:
            item.add_marker(pytest.mark.filterwarnings("ignore::RuntimeWarning"))
    if out:
        items[:] = left
        config.hook.pytest_deselected(items=out)


@pytest.fixture(autouse=True, scope="session", params=[BACKEND])
def backend(request):
    """The backend, in the name of each test; skips all where its device is missing."""
    if request.param == "cuda":
        from numba import cuda

        if not cuda.is_available():
            pytest.skip("there is no CUDA device")
    return request.param
