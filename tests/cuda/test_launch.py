"""Arithmetic of grids at every size, and the errors of launches and of missing devices."""

import threading
import time

import numpy as np
import pytest

from kernels.cuda import arrays, gemm, launch
from kernels.cuda.conv2d import _parts
from kernels.cuda.launch import blocks_for, ceil_div, power_of_two

SIZES = [0, 1, 2, 255, 256, 257, 7919, 2**31 - 1, 2**31, 2**31 + 11, 2**40 + 1]
MOST = 2**31 - 1


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("size", [1, 7, 128, 256])
def test_blocks_cover_all_items_and_fit_a_grid(count, size):
    tiles = ceil_div(count, size)
    assert (tiles - 1) * size < count <= tiles * size or count == tiles == 0
    blocks = blocks_for(count, size, MOST)
    assert 1 <= blocks <= MOST
    assert blocks == min(max(tiles, 1), MOST)
    # The loop of the last block over its tiles, in strides of the grid, ends at the last tile.
    if tiles:
        assert max(range(b, tiles, blocks)[-1] for b in {0, (tiles - 1) % blocks}) == tiles - 1


@pytest.mark.parametrize("count", SIZES)
def test_lanes_of_a_row_are_a_power_of_two(count):
    lanes = power_of_two(count, 256)
    assert lanes & (lanes - 1) == 0
    assert min(max(count, 1), 256) <= lanes <= 256
    assert lanes == 1 or lanes < 2 * max(count, 1)


@pytest.mark.parametrize("tiles", [1, 3, 1000])
@pytest.mark.parametrize("terms", SIZES)
def test_parts_of_the_weight_gradient_cover_its_terms(tiles, terms):
    parts = _parts(tiles, terms)
    assert parts >= 1
    assert parts * max(1, ceil_div(terms, parts)) >= terms
    assert tiles < 4 or parts == 1


def test_every_item_of_a_panel_is_read_once_in_both_directions(gpu):
    place = getattr(gemm.place, "fn", None) or getattr(gemm.place, "py_func", gemm.place)
    for along in (0, 1):
        found = np.zeros((gemm.ROWS, gemm.DEPTH), int)
        for t in range(gemm.THREADS):
            for quad in range(gemm.QUADS):
                row, term = place(t, quad, along)
                for i in range(4):
                    found[(row, term + i) if along else (row + i, term)] += 1
        assert (found == 1).all()


def test_tiles_of_the_device_divide_evenly():
    for rows, depth in ((16, 4), (128, 8)):
        threads = (rows // gemm.SIDE) ** 2
        assert rows * depth % (4 * threads) == 0
        assert depth % 4 == 0
        assert threads <= launch.MAX_THREADS


def test_each_kernel_says_what_it_needs():
    import kernels.cuda  # noqa: F401

    assert {"matrix_product", "softmax_rows", "maximum", "convolution"} <= set(launch.KERNELS)
    for kernel in launch.KERNELS.values():
        assert kernel.capability >= (7, 5)
        assert kernel.simulable
        assert len(kernel.types("f4")) == kernel.source.__code__.co_argcount


def test_a_kernel_that_the_simulator_cannot_run_says_so(gpu):
    if not launch.SIMULATED:
        pytest.skip("no simulator here")
    kernel = launch.Kernel("copy", None, None, "", (8, 0), simulable=False, registers=32, shared=0)
    with pytest.raises(RuntimeError, match="matmul: the simulator cannot run the kernel copy"):
        kernel.launch("matmul", 1, 1)


class Function:
    """A kernel whose launch fails."""

    def __getitem__(self, geometry):
        raise ValueError("too many resources requested")


class OldDevice:
    compute_capability = (7, 5)


def test_simulated_threads_share_the_arrays_of_their_block(gpu, monkeypatch):
    if not launch.SIMULATED:
        pytest.skip("the hardware has one")
    from numba import float32
    from numba.cuda.simulator import kernelapi

    def slow(*args, empty=np.empty):
        time.sleep(0.01)  # long enough for all threads to look before the first has made it
        return empty(*args)

    shared, found = kernelapi.FakeCUDAShared(0), []
    monkeypatch.setattr(kernelapi.np, "empty", slow)
    threads = [threading.Thread(target=lambda: found.append(shared.array(4, float32))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(array is found[0] for array in found)


def test_launch_failures_name_the_operation_and_the_kernel(monkeypatch):
    monkeypatch.setattr(launch, "SIMULATED", False)
    monkeypatch.setattr(launch.cuda, "get_current_device", OldDevice, raising=False)
    monkeypatch.setattr(arrays, "stream", lambda: 0)
    kernel = launch.Kernel("tiles", Function(), None, "", (7, 5), simulable=True, registers=32, shared=0)
    with pytest.raises(RuntimeError, match=r"matmul: the kernel tiles was not launched on 3 blocks of 64 threads: too"):
        kernel.launch("matmul", 3, 64)
    kernel = launch.Kernel("tiles", Function(), None, "", (9, 0), simulable=True, registers=32, shared=0)
    with pytest.raises(RuntimeError, match=r"the kernel tiles needs compute capability 9\.0, the device has 7\.5"):
        kernel.launch("matmul", 3, 64)


def test_no_driver_and_no_device(monkeypatch):
    class NoDriver:
        def __len__(self):
            raise OSError("libcuda.so not found")

    monkeypatch.setattr(arrays, "SIMULATED", False)
    monkeypatch.setattr(arrays.cuda, "gpus", NoDriver(), raising=False)
    with pytest.raises(RuntimeError, match=r"softmax: no CUDA driver was found \(libcuda.so not found\)"):
        arrays.require_device("softmax")
    monkeypatch.setattr(arrays.cuda, "gpus", [], raising=False)
    with pytest.raises(RuntimeError, match="softmax: the CUDA driver sees no device"):
        arrays.require_device("softmax")


def test_no_room_names_the_bytes(monkeypatch):
    class Full:
        @staticmethod
        def empty(shape, dtype):
            raise MemoryError

    monkeypatch.setattr(arrays, "modules", lambda: Full)
    with pytest.raises(MemoryError, match=r"matmul: a result of shape \(3, 5\) takes 60 bytes on the device"):
        arrays.empty("matmul", (3, 5), np.float32)


@pytest.mark.parametrize("host", [np.ones(3), [1.0], 2.0, None])
def test_host_arrays_are_refused(gpu, host):
    with pytest.raises(TypeError, match=r"relu: x must be an array on the device, got .* in the host.s memory"):
        arrays.receive("relu", "x", host)
