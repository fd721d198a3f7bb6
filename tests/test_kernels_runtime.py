"""What kernels stand on: the pool of threads, the cache of compiled code, views of memory."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from numba.core import config

from kernels.cpu import matmul, num_threads, parallel_for, set_num_threads, threads
from kernels.cpu.jit import kernel, source_digest
from kernels.cpu.memory import flat
from kernels.cpu.spinning import spin

ROOT = Path(__file__).resolve().parents[1]


def mark(start, stop, seen, failing=-1):
    for i in range(start, stop):
        if i == failing:
            raise ZeroDivisionError(f"chunk with {i}")
        seen[i] += 1


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("grain", [1, 3, 1000])
@pytest.mark.parametrize("portion", [None, 1, 5, 1000])
def test_chunks_cover_the_range_once(count, workers, grain, portion):
    seen = np.zeros(100, int)
    with threads(workers):
        parallel_for(mark, count, seen, grain=grain, portion=portion)
    np.testing.assert_array_equal(seen, np.arange(100) < count)


@pytest.mark.parametrize("failing", [0, 60, 99])
def test_errors_reach_the_caller_after_all_chunks_ended(failing):
    seen = np.zeros(100, int)
    with threads(4), pytest.raises(ZeroDivisionError, match=f"chunk with {failing}"):
        parallel_for(mark, 100, seen, failing)
    assert seen.sum() >= 75
    with threads(4):
        parallel_for(mark, 100, seen)  # the pool is still there


def test_portions_are_taken_by_whoever_is_free():
    """One thread waits in its first portion until the others have done all the rest."""
    seen, held, lock = np.zeros(24, int), [], threading.Lock()
    rest = threading.Event()

    def work(start, stop):
        with lock:
            first = not held
            held.append(start)
        if first:
            assert rest.wait(10)
        seen[start:stop] += 1
        if seen.sum() == 23:
            rest.set()

    with threads(4):
        parallel_for(work, 24, portion=1)
    np.testing.assert_array_equal(seen, 1)
    with threads(4), pytest.raises(ZeroDivisionError, match="chunk with 60"):
        parallel_for(mark, 100, np.zeros(100, int), 60, portion=1)


def test_nested_loops_and_user_threads():
    a = np.random.default_rng(0).standard_normal((200, 300))
    expected = a @ a.T
    outcomes = []

    def outer(start, stop):
        for _ in range(start, stop):
            outcomes.append(np.allclose(matmul(a, a.T), expected))

    with threads(3):
        users = [threading.Thread(target=parallel_for, args=(outer, 6)) for _ in range(4)]
        for user in users:
            user.start()
        for user in users:
            user.join()
    assert outcomes == [True] * 24


def test_number_of_threads():
    before = num_threads()
    with threads(3):
        assert num_threads() == 3
    assert num_threads() == before
    for wrong in (0, -1, 1.5, True, None):
        with pytest.raises(ValueError, match="must be a positive integer, got"):
            set_num_threads(wrong)


def test_environment_sets_the_number_of_threads():
    program = "from kernels.cpu import num_threads; print(num_threads())"
    for environment, expected in (
        ({"AUTODIFF_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"}, "3"),
        ({"OMP_NUM_THREADS": "2"}, "2"),
    ):
        clean = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
        out = subprocess.run(
            [sys.executable, "-c", program],
            env=clean | environment,
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
        )
        assert out.stdout.strip() == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own():
    seen = np.zeros(10, int)
    with threads(2):
        parallel_for(mark, 10, seen)
        child = os.fork()
        if child == 0:
            other = np.zeros(10, int)
            parallel_for(mark, 10, other)
            os._exit(0 if (other == 1).all() else 1)
        assert os.waitpid(child, 0)[1] == 0


def test_views_do_not_say_that_they_are_read_only():
    x = np.arange(6.0).reshape(2, 3)
    assert np.shares_memory(flat(x), x)
    x.flags.writeable = False
    view = flat(x)
    assert view.flags.writeable
    assert np.shares_memory(view, x)
    np.testing.assert_array_equal(view, np.arange(6.0))


PROBE = """
from kernels.cpu.jit import kernel
from kernels.cpu.factor import FACTOR


@kernel
def triple(x):
    return FACTOR * x
"""

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from kernels.cpu.jit import kernel
from kernels.cpu.probe import triple
print(triple(np.arange(3.0))[2], sum(triple.stats.cache_hits.values()))
"""


def copy_package(folder):
    for source in (ROOT / "kernels").rglob("*.py"):
        target = folder / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    (folder / "kernels/cpu/probe.py").write_text(PROBE)
    (folder / "kernels/cpu/factor.py").write_text("FACTOR = 3.0\n")


def run_probe(folder, **environment):
    clean = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "NUMBA_CACHE_DIR"}}
    command = [sys.executable, "-P", "-c", PROGRAM, str(folder)]
    out = subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    return out.stdout.split()


def test_the_cache_sees_an_edit_in_another_file(tmp_path):
    copy_package(tmp_path)
    assert run_probe(tmp_path) == ["6.0", "0"]
    assert run_probe(tmp_path) == ["6.0", "1"]  # from the cache
    (tmp_path / "kernels/cpu/factor.py").write_text("FACTOR = 5.0\n")
    assert run_probe(tmp_path) == ["10.0", "0"]  # compiled again


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    copy_package(tmp_path)
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder is wanted")
    (tmp_path / "kernels/cpu/__pycache__").write_text("another")
    environment = {"NUMBA_CACHE_DIR": str(blocked), "HOME": str(blocked), "XDG_CACHE_HOME": str(blocked),
                   "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
    assert run_probe(tmp_path, **environment) == ["6.0", "0"]


def test_kernels_can_be_read_and_run_without_the_compiler():
    @kernel
    def double(x):
        return 2 * x

    assert double.py_func(21) == 42
    assert len(source_digest()) == 64


@kernel(inline=True)
def rounding_error(a, b):
    return (a - (a + b)) + b


@kernel(fast=True)
def error_in_a_fast_kernel(a, b):
    return rounding_error(a, b)


@pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled")
def test_a_fast_kernel_does_not_make_what_it_calls_fast():
    assert error_in_a_fast_kernel(1.0, 1e-20) == 1e-20


@pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled")
def test_waiting_awake_ends_with_the_change_or_with_patience():
    cells = np.zeros(1, np.int64)
    assert not spin(cells, 0, 10, 0)
    assert spin(cells, 1, 10, 0)
    outcome = []
    waiting = threading.Thread(target=lambda: outcome.append(bool(spin(cells, 0, 10**11, 1))))
    waiting.start()
    cells[0] = 1  # seen by compiled code that is already in its loop
    waiting.join(timeout=60)
    assert outcome == [True]
