"""Weights that other libraries wrote: read their files, without these libraries, and put them into a model.

Pickled files (of PyTorch, or of plain NumPy arrays) are read by an unpickler that knows arrays and dictionaries and
refuses all else, so a file can run no code.
"""

from __future__ import annotations

import math
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from autodiff import tree
from autodiff.core.errors import describe
from nn.checkpoint import CheckpointError
from nn.inspection import Leaf, named_leaves

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

__all__ = ["import_weights", "read_tensors"]

_LEGACY = 0x1950A86A20F9469CFC6C  # the number that begins PyTorch's files of before 2020
_STORAGES = {
    "FloatStorage": np.float32, "DoubleStorage": np.float64, "HalfStorage": np.float16, "LongStorage": np.int64,
    "IntStorage": np.int32, "ShortStorage": np.int16, "CharStorage": np.int8, "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}  # fmt: skip
_NUMPY = {"_reconstruct", "scalar", "ndarray", "dtype", "_frombuffer"}


# -- files ---------------------------------------------------------------------------------------------------


class _Storage:
    """A block of numbers of a PyTorch file, which may come after the tensors that are made of it."""

    def __init__(self, dtype: Any) -> None:
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.data: Any = None


class _Tensor:
    """A tensor as it is pickled: where its numbers lie in a storage."""

    def __init__(
        self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
    ) -> None:
        self.place = storage, offset, shape, strides

    def array(self) -> Any:
        """Copy the numbers out."""
        storage, offset, shape, strides = self.place
        size = storage.dtype.itemsize
        return np.ndarray(shape, storage.dtype, storage.data, offset * size, [s * size for s in strides]).copy()


def _parameter(data: Any, *_: Any) -> Any:
    return data


class _Unpickler(pickle.Unpickler):
    """Loads containers, numbers, NumPy arrays and PyTorch tensors, and nothing else."""

    def __init__(self, file: IO[bytes], name: str, storages: dict[str, _Storage], *, encoding: str = "ASCII") -> None:
        super().__init__(file, encoding=encoding)
        self.name, self.storages = name, storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name.startswith("_rebuild_tensor"):
            return _Tensor
        if module == "torch._utils" and name == "_rebuild_parameter":
            return _parameter
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if (module.split(".", maxsplit=1)[0] == "numpy" and name in _NUMPY) or (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise CheckpointError(f"{self.name}: it asks for {module}.{name}; only arrays and containers of them are read.")

    def persistent_load(self, pid: Any) -> Any:
        kind, dtype, key = pid[:3]
        if kind != "storage":
            raise CheckpointError(f"{self.name}: it holds a {kind!r}, which is no tensor.")
        return self.storages.setdefault(str(key), _Storage(dtype))


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        root = next((n[: -len("data.pkl")] for n in archive.namelist() if n.endswith("/data.pkl")), None)
        if root is None:
            raise CheckpointError(f"{path}: this archive has no data.pkl: it is not a file of PyTorch.")
        storages: dict[str, _Storage] = {}
        with archive.open(f"{root}data.pkl") as file:
            found = _Unpickler(file, str(path), storages).load()
        for key, storage in storages.items():
            storage.data = archive.read(f"{root}data/{key}")
    return found


def _read_pickle(path: Path) -> Any:
    storages: dict[str, _Storage] = {}
    with path.open("rb") as file:
        found = _Unpickler(file, str(path), storages).load()
        if not (isinstance(found, int) and found == _LEGACY):
            return found
        for _ in range(2):  # version and byte sizes of the machine
            _Unpickler(file, str(path), storages).load()
        found = _Unpickler(file, str(path), storages).load()
        for key in _Unpickler(file, str(path), storages).load():
            storage = storages[str(key)]
            count = int.from_bytes(file.read(8), "little")
            storage.data = file.read(count * storage.dtype.itemsize)
    return found


def _read_hdf5(path: Path) -> Any:
    try:
        import h5py
    except ImportError:
        raise ImportError(f"{path}: files of Keras need the package h5py: pip install h5py") from None
    found: dict[str, Any] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def _read_npz(path: Path) -> Any:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _read_safetensors(path: Path) -> Any:
    from safetensors.numpy import load_file

    return load_file(path)


_READERS: dict[str, Callable[[Path], Any]] = {
    ".npz": _read_npz, ".safetensors": _read_safetensors, ".h5": _read_hdf5, ".hdf5": _read_hdf5,
}  # fmt: skip


def _flat(value: Any, name: str, out: dict[str, Any]) -> dict[str, Any]:
    if isinstance(value, dict):
        for key, item in value.items():
            _flat(item, f"{name}.{key}" if name else str(key), out)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            _flat(item, f"{name}.{i}" if name else str(i), out)
    elif isinstance(value, _Tensor):
        out[name] = value.array()
    elif isinstance(value, (np.ndarray, np.generic)):
        out[name] = np.asarray(value)
    return out


def read_tensors(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the arrays of a file by name, in the file's order.

    Parameters
    ----------
    path
        A file by safetensors, numpy.savez, torch.save (both of its formats: .pth, .pt), Keras (.h5; needs h5py), or
        a pickle of containers of NumPy arrays.

    Returns
    -------
    dict
        Names to arrays. Names of nested containers are joined with dots; what is no array is left out.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If a pickle holds anything else than containers, numbers and arrays, or is damaged.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "weights.npz")
    >>> np.savez(path, w=np.eye(2))
    >>> read_tensors(path)
    {'w': array([[1., 0.],
           [0., 1.]])}
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        reader = _read_zip if zipfile.is_zipfile(path) else _read_pickle
    try:
        return _flat(reader(path), "", {})
    except (pickle.UnpicklingError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise CheckpointError(f"{path} is damaged, or no file of weights: {error}") from error


# -- models --------------------------------------------------------------------------------------------------


def import_weights(model: Any, tensors: Mapping[str, Any], *, layout: str = "pytorch") -> Any:
    """Return a model like this one with the arrays of another library, in order.

    Parameters
    ----------
    model
        A model of the same layers in the same order.
    tensors
        Names to arrays, in the order of the model's own arrays (`nn.named_leaves`): weight before bias, and for batch
        normalisation gamma, beta, mean, variance. Arrays without axes (counters) are left out.
    layout : {"pytorch", "keras"}
        PyTorch's dense weights are (out, in), and are transposed; Keras' filters are (height, width, in, out),
        depthwise ones (height, width, in, 1), and their axes are put into our order.

    Returns
    -------
    model
        With the tensors, converted to the dtypes that the model has.

    Raises
    ------
    CheckpointError
        If there are more or fewer arrays than the model has, or one has another shape; the message names both.

    Examples
    --------
    >>> import nn
    >>> model = nn.Dense(2, 3, rng=0)
    >>> theirs = {"fc.weight": np.ones((3, 2)), "fc.bias": np.zeros(3)}
    >>> import_weights(model, theirs).weight.shape
    (2, 3)
    """
    if layout not in ("pytorch", "keras"):
        raise ValueError(f"import_weights: layout must be 'pytorch' or 'keras', not {layout!r}.")
    leaves, structure = tree.flatten(model)
    ours = named_leaves(model)
    given = [(name, np.asarray(array)) for name, array in tensors.items() if np.ndim(array)]
    if len(given) != len(leaves):
        raise CheckpointError(f"import_weights: the model has {len(leaves)} arrays, but {len(given)} are given.")
    arrays = [_fitted(leaf, name, array, layout) for leaf, (name, array) in zip(ours, given, strict=True)]
    return tree.unflatten(structure, arrays)


def _fitted(leaf: Leaf, name: str, array: Any, layout: str) -> Any:
    want: Any = leaf.value
    if layout == "pytorch" and array.ndim == want.ndim == 2:
        turned = array.T
    elif layout == "keras" and array.ndim == want.ndim == 4:
        depthwise = want.shape[1] == 1 and array.shape[3] == 1 and array.shape[2] == want.shape[0]
        turned = array.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
    else:
        turned = array
    if turned.shape != want.shape:
        raise CheckpointError(
            f"import_weights: {name}, {describe(array)}, does not fit {leaf.name}, {describe(want)}"
            f"{' (both hold as many numbers)' if math.prod(array.shape) == math.prod(want.shape) else ''}."
        )
    return np.ascontiguousarray(turned, dtype=want.dtype)
