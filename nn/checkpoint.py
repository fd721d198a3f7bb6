"""Weights and checkpoints in safetensors files that are whole or absent.

A file holds trees of arrays, each under a name, and a small state as JSON. It is written under another name, forced
to disk and renamed: whenever the process is killed, the file is the old one or the new one. A checksum over all
tensors is verified on reading. Any program that reads safetensors can read the weights.
"""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff import device_put, tree
from autodiff.core.backend import is_array, made
from autodiff.core.spec import dtype_of, shape_of
from nn._files import write_atomically

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    PathLike = str | os.PathLike[str]

__all__ = [
    "CheckpointError",
    "generator_from_state",
    "generator_state",
    "load_checkpoint",
    "load_weights",
    "save_checkpoint",
    "save_weights",
]

_KEY = "autodiff"
_VERSION = 1
_TENSORS = {"float64", "float32", "float16", "bool"} | {f"{sign}int{n}" for sign in ("", "u") for n in (8, 16, 32, 64)}


class CheckpointError(ValueError):
    """A file that is no whole checkpoint, or one of another model."""


# -- trees to named tensors ----------------------------------------------------------------------------------


def tensor_names(prefix: str, structure: tree.Structure) -> list[str]:
    """Name the leaves of a tree as other libraries do: ``model.layers.0.weight``."""
    paths = structure.paths()
    names = [re.sub(r"\['?(.*?)'?\]", r".\1", path).strip(".") for path in paths]
    if len(set(names)) < len(names):  # keys such as "a.b" beside "a": {"b": ...}
        names = paths
    return [f"{prefix}.{name}" if name else prefix for name in names]


def _encode(name: str, leaf: Any, tensors: dict[str, Any], kinds: dict[str, Any]) -> None:
    if isinstance(leaf, (bool, int, float, complex)) and not isinstance(leaf, np.generic):
        kinds[name] = [type(leaf).__name__, [leaf.real, leaf.imag] if isinstance(leaf, complex) else leaf]
        return
    array = np.asarray(device_put(leaf, "cpu"))
    if isinstance(leaf, np.generic):
        kinds[name] = ["scalar", array.dtype.name]
    if array.dtype.name in {"complex64", "complex128"}:
        kinds.setdefault(name, ["complex", array.dtype.name])
        array = np.stack([array.real, array.imag], axis=-1)
    if array.dtype.name not in _TENSORS:
        raise CheckpointError(f"{name} has the dtype {array.dtype}, which a safetensors file cannot hold.")
    native = array.dtype.newbyteorder("=")
    tensors[name] = np.array(array, dtype=native, order="C", copy=None)


def _decode(name: str, like: Any, tensors: Mapping[str, Any], kinds: Mapping[str, Any]) -> Any:
    kind, value = kinds.get(name, (None, None))
    if kind == "complex" or (kind == "scalar" and value.startswith("complex")):
        array = np.asarray(tensors[name].view(value)[..., 0])
    elif kind in {"bool", "int", "float"}:
        return _check_number(name, like, value)
    elif kind is not None and kind != "scalar":
        raise CheckpointError(f"{name} has the unknown kind {kind!r}: it was written by a newer version.")
    else:
        array = tensors[name]
    want = (shape_of(like), dtype_of(like).name)
    if (array.shape, array.dtype.name) != want:
        raise CheckpointError(
            f"{name} is {array.dtype.name}{list(array.shape)} in the file, and {want[1]}{list(want[0])} here."
        )
    return array[()] if kind == "scalar" else made(np.array, like, array)


def _check_number(name: str, like: Any, value: Any) -> Any:
    if isinstance(like, np.generic) or is_array(like):
        raise CheckpointError(f"{name} is the number {value} in the file, and an array here.")
    return value


def _checksum(tensors: Mapping[str, Any]) -> int:
    value = 0
    for name in sorted(tensors):
        value = zlib.crc32(tensors[name].reshape(-1).view(np.uint8).data, zlib.crc32(name.encode(), value))
    return value


# -- files ---------------------------------------------------------------------------------------------------


def save_checkpoint(path: PathLike, trees: Mapping[str, Any], state: Mapping[str, Any] | None = None) -> None:
    """Write trees of arrays and a state to a file, in one step: after a crash it is the old file or the new one.

    Parameters
    ----------
    path
        The file; usually named ``.safetensors``. Its folder is made if need be.
    trees
        Trees of arrays and numbers by name.
    state
        Anything that JSON can hold.

    Raises
    ------
    CheckpointError
        If a leaf has a dtype that safetensors cannot hold.
    OSError
        If the file cannot be written; an older one is left as it was.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "last.safetensors")
    >>> save_checkpoint(path, {"model": {"w": np.ones(3)}}, {"step": 7})
    >>> trees, state = load_checkpoint(path, {"model": {"w": np.zeros(3)}})
    >>> trees["model"], state
    ({'w': array([1., 1., 1.])}, {'step': 7})
    """
    from safetensors.numpy import save

    tensors: dict[str, Any] = {}
    kinds: dict[str, Any] = {}
    for prefix, value in trees.items():
        leaves, structure = tree.flatten(value)
        for name, leaf in zip(tensor_names(prefix, structure), leaves, strict=True):
            _encode(name, leaf, tensors, kinds)
    header = {
        "version": _VERSION,
        "kinds": kinds,
        "trees": list(trees),
        "crc32": _checksum(tensors),
        "state": dict(state or {}),
    }
    write_atomically(path, [save(tensors, {_KEY: json.dumps(header)})])


def _read(path: PathLike) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the tensors and our header of a file (an empty one for files of other programs)."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    raw = Path(path).read_bytes()
    try:
        tensors = load(raw)
        size = int.from_bytes(raw[:8], "little")
        metadata = json.loads(raw[8 : 8 + size]).get("__metadata__", {})
        header = json.loads(metadata.get(_KEY, "{}"))
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is no whole safetensors file ({error}).") from error
    if header and header["version"] > _VERSION:
        raise CheckpointError(f"{path} was written by a newer version of this package (format {header['version']}).")
    if header and _checksum(tensors) != header["crc32"]:
        raise CheckpointError(f"{path} was damaged after it was written: its checksum is wrong.")
    return tensors, header


def load_checkpoint(path: PathLike, like: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what `save_checkpoint` wrote.

    Parameters
    ----------
    path
        The file.
    like
        By name, trees of the same structure, shapes and dtypes as those that were saved; of the trees in the file,
        only these are read.

    Returns
    -------
    trees : dict
        The trees by name; static data comes from `like`.
    state : dict
        The state.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If it is damaged, or a tree is not like the one that was saved; the message names the tensors.
    """
    tensors, header = _read(path)
    kinds = header.get("kinds", {})
    trees = {}
    for prefix, template in like.items():
        leaves, structure = tree.flatten(template)
        names = tensor_names(prefix, structure)
        _compare(path, prefix, names, {*tensors, *kinds})
        found = [_decode(name, leaf, tensors, kinds) for name, leaf in zip(names, leaves, strict=True)]
        trees[prefix] = tree.unflatten(structure, found)
    return trees, header.get("state", {})


def _compare(path: PathLike, prefix: str, names: list[str], present: set[str]) -> None:
    there = {name for name in present if name == prefix or name.startswith((f"{prefix}.", f"{prefix}["))}
    missing, extra = sorted(set(names) - present), sorted(there - set(names))
    if missing or extra:
        parts = [f"{word} {_some(what)}" for word, what in (("lacks", missing), ("also has", extra)) if what]
        raise CheckpointError(f"{path} is of another {prefix}: it {' and '.join(parts)}.")


def _some(names: list[str], count: int = 5) -> str:
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def save_weights(path: PathLike, model: Any) -> None:
    """Write a model's arrays (parameters and state) to a safetensors file, in one step.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "model.safetensors")
    >>> save_weights(path, {"w": np.ones(2), "b": 0.5})
    >>> load_weights(path, {"w": np.zeros(2), "b": 0.0})
    {'w': array([1., 1.]), 'b': 0.5}
    """
    save_checkpoint(path, {"model": model})


def load_weights(path: PathLike, model: Any) -> Any:
    """Return a model like this one with the arrays of a file by `save_weights`, or of a checkpoint by `nn.fit`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If it is damaged, or of a model with other tensors.
    """
    return load_checkpoint(path, {"model": model})[0]["model"]


# -- generators ----------------------------------------------------------------------------------------------


def generator_state(rng: np.random.Generator) -> dict[str, Any]:
    """Return everything about a generator as numbers, lists and strings, for JSON.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> copy = generator_from_state(json.loads(json.dumps(generator_state(rng))))
    >>> copy.random() == rng.random()
    True
    """
    bits = rng.bit_generator
    state: dict[str, Any] = {"state": _plain(bits.state)}
    seeds = bits.seed_seq
    if isinstance(seeds, np.random.SeedSequence):  # for `rng.spawn`
        state["seeds"] = {**seeds.state, "entropy": _plain(seeds.entropy), "spawn_key": list(seeds.spawn_key)}
    return state


def generator_from_state(state: Mapping[str, Any]) -> np.random.Generator:
    """Return a generator that goes on where the one of `generator_state` was.

    Raises
    ------
    CheckpointError
        If the state is of a kind of generator that NumPy does not have.
    """
    name = state["state"]["bit_generator"]
    kind = getattr(np.random, name, None)
    if not (isinstance(kind, type) and issubclass(kind, np.random.BitGenerator)):
        raise CheckpointError(f"numpy.random has no bit generator {name!r}.")
    seeds = np.random.SeedSequence(**state["seeds"]) if "seeds" in state else None
    bits: Any = kind(seeds)
    bits.state = _arrays(state["state"])
    return np.random.Generator(bits)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": value.dtype.name}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value.item() if isinstance(value, np.generic) else value


def _arrays(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"array", "dtype"}:
            return np.array(value["array"], value["dtype"])
        return {key: _arrays(entry) for key, entry in value.items()}
    return value
