import errno
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from schemas import storage
from schemas.errors import ConfigurationError
from schemas.storage import Folder


@pytest.fixture(params=["local", "memory"])
def folder(request, tmp_path):
    """A folder on a disk, and one on a store without folders of its own."""
    if request.param == "local":
        yield Folder(str(tmp_path / "out"))
    else:
        one = Folder(f"memory://{tmp_path}")
        yield one
        one.remove("", recursive=True)


def test_create_makes_a_file_once(folder):
    assert folder.create("a/one.json", b"first")
    assert not folder.create("a/one.json", b"second")
    assert folder.read("a/one.json") == b"first"
    assert folder.list("a") == ["one.json"]


def test_replace_puts_a_file_in_the_place_of_another(folder):
    folder.replace("a/one.json", b"[1]")
    folder.replace("a/one.json", b"[2]")
    assert folder.read_json("a/one.json") == [2]


def test_what_is_absent_is_empty_and_can_be_removed(folder):
    assert folder.list("none") == []
    assert not folder.exists("none")
    folder.remove("none/file")
    with pytest.raises(FileNotFoundError):
        folder.read("none/file")


def test_opening_for_writing_makes_the_folders_above(folder):
    with folder.open("a/b/c.bin", "wb") as sink:
        sink.write(b"bytes")
    with folder.open("a/b/c.bin") as source:
        assert source.read() == b"bytes"
    folder.remove("a", recursive=True)
    assert not folder.exists("a/b/c.bin")


def test_of_many_that_create_at_once_one_wins(tmp_path):
    folder = Folder(str(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda number: folder.create("one", str(number).encode() * 1000), range(32)))
    assert won.count(True) == 1
    assert folder.read("one") == str(won.index(True)).encode() * 1000
    assert os.listdir(tmp_path) == ["one"]


def test_what_a_kill_left_half_made_is_not_seen_and_can_be_found(tmp_path):
    folder = Folder(str(tmp_path))
    folder.create("a/one.json", b"1")
    half = f"one.json.{'0' * 32}.part"
    (tmp_path / "a" / half).write_bytes(b"")
    assert folder.list("a") == ["one.json"]
    assert folder.half_made("a") == [f"a/{half}"]


def test_a_write_that_fails_leaves_the_old_file_and_no_new_one(tmp_path, monkeypatch):
    folder = Folder(str(tmp_path))
    folder.replace("one", b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        folder.replace("one", b"new")
    with pytest.raises(OSError, match="No space"):
        folder.create("two", b"new")
    assert os.listdir(tmp_path) == ["one"]
    assert folder.read("one") == b"old"


def test_a_disk_without_hard_links_is_refused_with_a_sentence(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(ConfigurationError, match="choose another --output"):
        Folder(str(tmp_path)).create("one", b"1")
    assert os.listdir(tmp_path) == []


def test_an_unknown_scheme_is_refused_with_a_sentence():
    with pytest.raises(ConfigurationError, match="cannot open gopher://host"):
        Folder("gopher://host/run").list("")


def test_a_parquet_file_whose_writer_fails_is_removed(folder):
    import pyarrow as pa

    schema = pa.schema([("a", pa.int32())])
    with folder.parquet_writer("t/one.parquet", schema) as writer:
        writer.write_table(pa.table({"a": [1]}, schema=schema))
    with pytest.raises(RuntimeError), folder.parquet_writer("t/two.parquet", schema):
        raise RuntimeError("in the middle")
    assert folder.list("t") == ["one.parquet"]


def test_digest_and_size_of_a_stream():
    import hashlib
    import io

    data = bytes(range(256)) * 9000
    assert storage.file_digest(io.BytesIO(data).read) == (hashlib.sha256(data).hexdigest(), len(data))
