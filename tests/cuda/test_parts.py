"""How sums are cut into parts, at every size: all items are covered, no part is empty, additions in a row are few."""

import pytest

from kernels.cuda.launch import ceil_div, power_of_two

SIZES = [1, 2, 3, 31, 255, 256, 257, 7919, 2**20, 2**31 - 1, 2**31, 2**31 + 11, 2**40 + 1]


@pytest.fixture(params=["simulated", "device"])
def reductions(request, monkeypatch):
    """The module with the numbers of the simulator and with those of a device."""
    from kernels.cuda import reductions

    if request.param == "device":
        for name, value in (("ROW_LANES", 256), ("CHAIN", 64), ("SHORT", 8), ("COLUMN_CHAIN", 256)):
            monkeypatch.setattr(reductions, name, value)
        monkeypatch.setattr(reductions, "ENOUGH_THREADS", 1 << 17)
    return reductions


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("outer", [1, 5, 2**20])
@pytest.mark.parametrize("inner", [1, 3, 2**16])
def test_parts_of_reductions(reductions, outer, count, inner):
    parts, part = reductions.parts_of(outer, count, inner)
    assert (parts - 1) * part < count <= parts * part
    threads = power_of_two(part, reductions.ROW_LANES) if inner == 1 else 1
    most = reductions.CHAIN if inner == 1 else reductions.COLUMN_CHAIN
    assert ceil_div(part, threads) <= most
    rest, passes = parts, 1
    while rest > 1:  # what is left is cut again, until one part is left
        smaller, _ = reductions.parts_of(outer, rest, inner)
        assert smaller < rest
        rest, passes = smaller, passes + 1
    assert passes <= (10 if reductions.CHAIN == 64 else 25)


@pytest.fixture(params=["simulated", "device"])
def sizes_of(request, monkeypatch):
    """The words of the kernels of batch normalisation, and how many threads a block and items a chain have."""
    import importlib

    module = importlib.import_module("kernels.cuda.batch_norm")
    if request.param == "device":
        for name, value in (("THREADS", 256), ("WIDEST", 32), ("CHAIN", 64), ("SHORT", 8), ("ENOUGH_BLOCKS", 1024)):
            monkeypatch.setattr(module, name, value)
    return module


@pytest.mark.parametrize("outer", [1, 7, 2**31 + 11])
@pytest.mark.parametrize("channels", [1, 3, 64, 257])
@pytest.mark.parametrize("inner", [1, 2, 49, 2**20])
def test_parts_of_channels(sizes_of, outer, channels, inner):
    *given, lanes, parts, part = sizes_of._sizes(outer, channels, inner)
    assert given == [outer, channels, inner]
    assert (parts - 1) * part < outer * inner <= parts * part
    assert lanes == (power_of_two(channels, sizes_of.WIDEST) if inner == 1 else 1)
    assert sizes_of.THREADS % lanes == 0
    assert part <= sizes_of.THREADS // lanes * sizes_of.CHAIN
