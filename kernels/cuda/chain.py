"""Chains of elementwise functions in one kernel: each number is read once and written once.

`chain` writes the source of a kernel for the functions, the kinds of operands and the dtype that it is given, and keeps
it. The kernel walks over packs of 16 bytes in strides of the grid, with indices of 64 bits; what is left over, and
arrays that do not begin at a multiple of 16 bytes, are walked one by one. float16 is computed in float32.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import cuda, int64, types

from kernels.chains import BINARY, chain_dtype, check_out, check_steps
from kernels.cuda.arrays import contiguous, empty, give, modules, receive
from kernels.cuda.functions import NUMBERS, functions
from kernels.cuda.launch import SIMULATED, Kernel, blocks_for, ceil_div, device
from kernels.cuda.matmul import address
from kernels.cuda.packs import load_pack, store_pack

__all__ = ["apply", "chain", "chain_kernel"]

THREADS = 8 if SIMULATED else 256
PACKS = {"e": 8, "f": 4, "d": 2}  # numbers in 16 bytes
SHORT = {"e": "f2", "f": "f4", "d": "f8"}
WHOLE, SPREAD, NUMBER = "vcn"  # an array of the result's shape, one spread over it, and a plain number

SOURCE = """
def {name}({operands}, out, words, packs):
    first = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    step = int64(cuda.gridDim.x) * cuda.blockDim.x
    for pack in range(first, packs, step):
        i = pack * {width}
{loads}
        store(out, i, ({calls},))
    for i in range(packs * {width} + first, out.size, step):
        out[i] = result({singles})
"""


def quiet(function: Any) -> Any:
    """Return the function without NumPy's warnings, which the device does not know either."""

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*args)

    return call


@device
def spread_index(i, count, inner):
    """Return which of `count` numbers, each for `inner` neighbours, item i of the result takes."""
    return i // inner % count


@device
def following(at, rest, count, inner):
    """Return the same for the next item, and how many items of its number went before."""
    rest += 1
    if rest < inner:
        return at, rest
    return (at + 1 if at + 1 < count else at - at), rest - rest


def composed(steps: tuple[str, ...], number: Any) -> Any:
    """Return the function of one item of each operand that a chain of steps is."""
    table, takes = functions(number), 1
    lines = []
    for step in steps:
        if step in BINARY:
            lines.append(f"    x0 = {step}(x0, x{takes})")
            takes += 1
        else:
            lines.append(f"    x0 = {step}(x0)")
    head = f"def result({', '.join(f'x{k}' for k in range(takes))}):"
    names = {step: table[step] for step in steps}
    function = _defined("result", "\n".join([head, *lines, "    return x0"]), names)
    return quiet(function) if SIMULATED else device(function)


def _defined(name: str, source: str, names: dict[str, Any]) -> Any:
    """Return the function that a source defines."""
    exec(compile(source, f"<{name}>", "exec"), names)  # noqa: S102 - of names from our own tables
    return names[name]


@functools.cache
def chain_kernel(steps: tuple[str, ...], kinds: str, dtype: str) -> Kernel:
    """Return the kernel of a chain: `kinds` has a letter for each operand, `dtype` is a character of NumPy's."""
    number, width = NUMBERS[dtype], PACKS[dtype]
    name = f"chain_{'_'.join(steps)}_{kinds}_{SHORT[dtype]}"
    loads, singles = [], []
    for k, kind in enumerate(kinds):
        spread = f"words[{2 * k}], words[{2 * k + 1}]"
        if kind == WHOLE:
            loads.append(f"a{k} = load(x{k}, i)")
            singles.append(f"number(x{k}[i])")
        elif kind == SPREAD:
            loads += [f"at, rest = spread_index(i, {spread}), i % words[{2 * k + 1}]", f"c{k}_0 = x{k}[at]"]
            for lane in range(1, width):
                loads += [f"at, rest = following(at, rest, {spread})", f"c{k}_{lane} = x{k}[at]"]
            singles.append(f"number(x{k}[spread_index(i, {spread})])")
        else:
            singles.append(f"number(x{k})")
    lanes = [", ".join(_lane(k, kind, lane) for k, kind in enumerate(kinds)) for lane in range(width)]
    calls = [f"item(result({lane}))" for lane in lanes]
    operands = ", ".join(f"x{k}" for k in range(len(kinds)))
    source = SOURCE.format(
        name=name, operands=operands, width=width, loads="\n".join(f"        {line}" for line in loads),
        calls=", ".join(calls),
        singles=", ".join(singles),
    )  # fmt: skip
    names = {
        "cuda": cuda, "int64": int64, "number": number, "item": types.float16 if dtype == "e" else number,
        "load": load_pack(width), "store": store_pack(width), "spread_index": spread_index,
        "following": following, "result": composed(steps, number),
    }  # fmt: skip
    words = [("f8" if dtype == "d" else "f4") if kind == NUMBER else f"{SHORT[dtype]}[]" for kind in kinds]
    signature = " ".join([*words, f"{SHORT[dtype]}[]", f"{2 * len(kinds)}*i8", "i8"])
    function = _defined(name, source, names)
    # Not listed in KERNELS by itself: what is there does not depend on what was called.
    return Kernel(name, cuda.jit(function), function, signature, (7, 5), True, 64, 0, (SHORT[dtype],))


def _lane(k: int, kind: str, lane: int) -> str:
    return {WHOLE: f"number(a{k}[{lane}])", SPREAD: f"number(c{k}_{lane})", NUMBER: f"number(x{k})"}[kind]


def chain(steps: Any, x: Any, *operands: Any, out: Any = None) -> Any:
    """Return a chain of elementwise functions of arrays, computed in one kernel.

    Parameters
    ----------
    steps
        A name or names of functions, applied one after another to `x`. Those of two numbers (``"add"``, ``"divide"``,
        ``"gate"``, ``"maximum"``, ``"minimum"``, ``"multiply"``, ``"subtract"``) take the next of `operands` as their
        second; ``"gate"`` keeps the first where the second is positive, and is 0 elsewhere. Those of one:
        ``"absolute"``, ``"cos"``, ``"erf"``, ``"exp"``, ``"expm1"``, ``"log"``, ``"log1p"``, ``"negative"``,
        ``"reciprocal"``, ``"relu"``, ``"sigmoid"``, ``"sin"``, ``"softplus"``, ``"sqrt"``, ``"square"``, ``"tanh"``.
    x
        Array of any shape on the device: float16, float32 or float64.
    operands
        Arrays of the same dtype on the device, or numbers; all shapes broadcast.
    out
        Array of the result's shape and dtype for the result; it may be an operand. By default a new one.

    Returns
    -------
    array
        On the device, of the shape that the operands broadcast to, and of their dtype. float16 is computed in
        float32 and rounded once.

    Raises
    ------
    TypeError
        If an array lies on the host, or the dtypes differ or are none of the three.
    ValueError
        If a function is unknown, the number of operands is not what the functions take, shapes do not broadcast, or
        `out` does not fit.
    RuntimeError, MemoryError
        If there is no driver, no device or no room.

    Notes
    -----
    The first call with new functions, dtypes or kinds of operands waits for the compiler. An operand that covers
    neighbouring axes of the result (a bias of channels, a row, one number) is read where it lies; other ones are
    broadcast in memory first.
    """
    steps = (steps,) if isinstance(steps, str) else tuple(steps)
    check_steps(steps, 1 + len(operands))
    given = [x, *operands]
    arrays = [_operand("chain", k, v) for k, v in enumerate(given)]
    return apply("chain", steps, arrays, out)


def apply(name: str, steps: tuple[str, ...], operands: list[Any], out: Any = None) -> Any:
    """Run a chain on arrays of the library and numbers; return `out`, or a new array on the device."""
    dtype = chain_dtype(name, operands)
    shape = np.broadcast_shapes(*(a.shape for a in operands if hasattr(a, "dtype")))
    given = None
    if out is not None:
        given, out = out, receive(name, "out", out)
        check_out(name, shape, dtype, out)
    if out is None or not out.flags.c_contiguous:
        memory = empty(name, shape, dtype)
    else:
        memory = out
        operands = [_apart(a, out) for a in operands]
    if memory.size:
        _launch(name, steps, operands, dtype, memory)
    if given is None:
        return give(memory)
    if memory is not out:
        out[...] = memory
    return given


def _launch(name: str, steps: tuple[str, ...], operands: list[Any], dtype: Any, out: Any) -> None:
    found = [_kind(a, out.shape, dtype) for a in operands]
    kinds, arrays = "".join(kind for kind, _, _ in found), [array for _, array, _ in found]
    words = tuple(word for _, _, spread in found for word in spread)
    whole = [array for kind, array in zip(kinds, arrays, strict=True) if kind == WHOLE]
    width = PACKS[dtype.char]
    aligned = all(address(a) % 16 == 0 for a in (*whole, out))
    packs = out.size // width if aligned else 0
    blocks = blocks_for(ceil_div(out.size, width if aligned else 1), THREADS)
    kernel = chain_kernel(steps, kinds, dtype.char)
    kernel.launch(name, blocks, THREADS, *arrays, out.reshape(-1), words, packs)


def _kind(a: Any, shape: tuple[int, ...], dtype: Any) -> tuple[str, Any, tuple[int, int]]:
    """Return an operand's kind, what the kernel is given for it, and how it is spread: (count, inner)."""
    if not hasattr(a, "dtype"):
        narrow = dtype.char != "d" and not SIMULATED  # a plain number would be one of float64 to the compiler
        return NUMBER, np.float32(a) if narrow else a, (1, 1)
    if a.shape == shape:
        return WHOLE, contiguous(a), (1, 1)
    sizes = (1,) * (len(shape) - a.ndim) + a.shape
    axes = [k for k, n in enumerate(sizes) if n != 1]
    if not axes:
        return SPREAD, contiguous(a), (1, math.prod(shape))
    first, last = axes[0], axes[-1] + 1
    if sizes[first:last] == shape[first:last]:
        return SPREAD, contiguous(a), (math.prod(sizes), math.prod(shape[last:]))
    return WHOLE, contiguous(modules().broadcast_to(a, shape)), (1, 1)


def _operand(name: str, k: int, value: Any) -> Any:
    """Return an operand as an array of the library, or as a number."""
    if k and isinstance(value, int | float | np.integer | np.floating):
        return float(value)
    return receive(name, "x" if k == 0 else f"operand {k}", value)


def _apart(a: Any, out: Any) -> Any:
    """Return an operand that may be read while `out` is written: itself, unless other items of it are overwritten."""
    if not hasattr(a, "dtype") or not modules().may_share_memory(a, out):
        return a
    same = a.shape == out.shape and a.flags.c_contiguous and address(a) == address(out)
    return a if same else a.copy()
