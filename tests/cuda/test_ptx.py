"""Every kernel and dtype compiled to PTX for three generations of devices, and assembled: no device is needed.

The compiler NVVM comes with the extra `cuda`, the assembler `ptxas` with the package nvidia-cuda-nvcc; `make test-cuda`
installs both, and fails without them on Linux, where AUTODIFF_REQUIRE_PTX is set. Elsewhere these tests are skipped.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kernels.cuda.launch import KERNELS

TARGETS = ["75", "80", "90"]
PRODUCTS = ("matrix_product", "convolution", "convolution_input_gradient", "convolution_weight_gradient")
SHARED = 48 * 1024  # bytes that a block has without asking for more


def assembler():
    """Return the path of ptxas, or None."""
    spec = importlib.util.find_spec("nvidia")
    folders = [Path(place) for place in spec.submodule_search_locations] if spec else []
    return next(
        (str(path) for folder in folders for path in sorted(folder.glob("*/bin/ptxas*"))), shutil.which("ptxas")
    )


def missing():
    """Return what these tests lack, or None."""
    if importlib.util.find_spec("numba_cuda") is None:
        return 'NVVM is not installed: pip install "autodiff-engine[cuda-test]"'
    if assembler() is None:
        return "ptxas is not installed: pip install nvidia-cuda-nvcc"
    return None


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """One compiling process for each target, all at once, with the file that it writes."""
    if (reason := missing()) is not None:
        assert not os.environ.get("AUTODIFF_REQUIRE_PTX"), reason
        pytest.skip(reason)
    program = Path(__file__).with_name("compile_kernels.py")
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_ENABLE_CUDASIM"}
    found = {}
    for target in TARGETS:
        out = tmp_path_factory.mktemp("ptx") / f"{target}.json"
        command = [sys.executable, str(program), target, str(out), assembler()]
        found[target] = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment), out
    yield found
    for process, _ in found.values():
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture(scope="module", params=TARGETS)
def compiled(request, processes):
    """The target and {kernel and dtype: its PTX and what ptxas said}."""
    process, out = processes[request.param]
    process.wait()
    assert process.returncode == 0, process.stderr.read()
    return request.param, json.loads(out.read_text())


def used(log):
    """Return the registers of a thread, the shared memory of a block and the bytes spilled."""
    shared = re.search(r"(\d+) bytes smem", log)
    spills = re.findall(r"(\d+) bytes spill", log)
    assert spills
    return int(re.search(r"Used (\d+) registers", log)[1]), int(shared[1]) if shared else 0, sum(map(int, spills))


def loops(ptx):
    """Return the basic blocks of a kernel."""
    return re.split(r"^\$L.*:", ptx, flags=re.MULTILINE)


def main_loop(ptx, instruction):
    """Return the basic block with the most of an instruction: the inner loop, unrolled."""
    return max(loops(ptx), key=lambda block: block.count(instruction))


def test_all_kernels_compile(compiled):
    target, kernels = compiled
    capability = int(target[:-1]), int(target[-1])
    wanted = {f"{k.name} {dtype}" for k in KERNELS.values() if k.capability <= capability for dtype in k.dtypes}
    assert set(kernels) == wanted
    assert wanted >= {f"{name} {dtype}" for name in PRODUCTS for dtype in ("f4", "f8")}
    for name, found in kernels.items():
        assert f".target sm_{target}" in found["ptx"]
        assert re.search(r"\b(atom|red)\.", found["ptx"]) is None, f"{name} has atomics"


def test_ptxas_accepts_all_within_bounds(compiled):
    _, kernels = compiled
    wrong = []
    for name, found in kernels.items():
        assert not found["failed"], f"{name}: {found['log']}"
        registers, shared, spills = used(found["log"])
        if registers > found["registers"]:
            wrong.append(f"{name}: {registers} registers, declared are {found['registers']}")
        if shared > min(found["shared"], SHARED):
            wrong.append(f"{name}: {shared} bytes of shared memory, declared are {found['shared']}")
        if spills:
            wrong.append(f"{name}: {spills} bytes of registers are spilled")
    assert wrong == []


@pytest.mark.parametrize(("dtype", "lanes"), [("f4", "v4"), ("f8", "v2")])
def test_products_read_vectors_and_fuse(compiled, dtype, lanes):
    _, kernels = compiled
    assert len(re.findall(rf"ld\.global\.{lanes}", kernels[f"matrix_product {dtype}"]["ptx"])) >= 2
    for name in PRODUCTS:
        ptx = kernels[f"{name} {dtype}"]["ptx"]
        assert len(re.findall(rf"ld\.shared\.{lanes}", ptx)) >= 4
        assert len(re.findall(rf"fma\.rn\.f{8 * int(dtype[1])}", ptx)) >= 64


def test_chains_move_packs_of_16_bytes(compiled):
    _, kernels = compiled
    chains = [name for name in kernels if name.startswith("chain_")]
    assert {name.split()[1] for name in chains} == {"f2", "f4", "f8"}
    for name in chains:
        lanes = "v2" if name.endswith("f8") else "v4"  # of float16 two lie in each of four registers
        whole = name.split("_")[-2].count("v")
        assert len(re.findall(rf"ld\.global\.{lanes}", kernels[name]["ptx"])) >= whole, name
        assert f"st.global.{lanes}" in kernels[name]["ptx"], name


def test_places_in_a_grid_have_64_bits(compiled):
    """What is computed of the number of a block is never a product of 32 bits, which 2^31 items would overflow."""
    _, kernels = compiled
    for name, found in kernels.items():
        numbers = re.findall(r"mov\.u32\s+(%r\d+), %n?ctaid\.x;", found["ptx"])
        if name.split()[0] not in ("first_wrong_index", "first_wrong_label"):  # which are one block
            assert numbers, name
        for number in numbers:
            short = re.findall(rf"(?:mul|mad)\.lo\.[su]32[^;]*{number}\b[^;]*;", found["ptx"])
            assert short == [], f"{name}: {short}"


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_sums_stay_in_registers(compiled, dtype):
    _, kernels = compiled
    instruction = f"fma.rn.f{8 * int(dtype[1])}"
    for name in PRODUCTS:
        main = main_loop(kernels[f"{name} {dtype}"]["ptx"], instruction)
        assert main.count(instruction) >= 64
        assert ".local" not in main
    if dtype == "f4":  # two blocks of 256 threads have room on a multiprocessor
        assert used(kernels["matrix_product f4"]["log"])[0] <= 128


TENSOR = ("f16", "bf16", "tf32")


@pytest.mark.parametrize("kind", TENSOR)
def test_tensor_cores_are_fed_as_intended(compiled, kind):
    """The main loop has 64 products of a warp for 16 reads of fragments, 8 copies, and no memory of its own."""
    target, kernels = compiled
    names = [name for name in kernels if name.startswith(f"tensor_product_{kind}_")]
    if int(target) < 80:
        assert names == []
        return
    assert len(names) == 4
    shape = "m16n8k8" if kind == "tf32" else "m16n8k16"
    for name in names:
        ptx, log = kernels[name]["ptx"], kernels[name]["log"]
        main = main_loop(ptx, "mma.sync")
        products = f"mma.sync.aligned.{shape}.row.col.f32.{kind}.{kind}.f32"
        assert main.count("mma.sync") == main.count(products) == 64
        assert ".local" not in main
        assert ptx.count("cp.async.cg.shared.global") == 8
        assert re.findall(r"cp\.async\.wait_group (\d);", ptx) == ["1", "0"]
        along = [word == "terms" for word in name.split()[0].split("_")[-2:]]
        turned = main.count("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16")
        if kind == "tf32":
            assert (turned, main.count("ldmatrix")) == (0, 8 * sum(along))
            assert main.count("ld.shared.b32") == 32 * (2 - sum(along))
            assert main.count("cvt.rna.tf32.f32") == 64
        else:
            assert (turned, main.count("ldmatrix")) == (8 * (2 - sum(along)), 16)
        # Two blocks of 128 threads have room on a multiprocessor.
        registers, shared, spills = used(log)
        assert registers <= 255
        assert shared == SHARED
        assert spills == 0
