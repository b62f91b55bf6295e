"""Archives made to cost time, memory or trust: each ends soon, with a counted reason, and costs no other record."""

import gzip
import io
import time
import tracemalloc
import zipfile
import zlib

import pytest

from mining.archives.inputs import list_inputs
from mining.extraction import ExtractConfig, extract_archive
from mining.pages.page import detected_language
from schemas.outcomes import CollectedOutcomes

MEGABYTE = 1 << 20
CONFIG = ExtractConfig(record_bytes=4 * MEGABYTE, body_bytes=4 * MEGABYTE)


def record(url: str, body: bytes, length: int | None = None, http: bytes = b"Content-Type: text/html\r\n") -> bytes:
    block = b"HTTP/1.1 200 OK\r\n" + http + b"\r\n" + body
    return (
        b"WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http; msgtype=response\r\n"
        b"WARC-Target-URI: %b\r\nContent-Length: %d\r\n\r\n%b\r\n\r\n"
        % (url.encode(), len(block) if length is None else length, block)
    )


GOOD = gzip.compress(record("http://a.example/good", b"<title>good</title>"))


def zeros(megabytes: int, head: bytes = b"", fill: bytes = b"\0") -> bytes:
    """A gzip member of so many megabytes, made without holding them."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [deflater.compress(head)]
    block = fill * (MEGABYTE // len(fill))
    parts += [deflater.compress(block) for _ in range(megabytes)]
    return b"".join([*parts, deflater.compress(b"\r\n\r\n"), deflater.flush()])


def extract(path, config: ExtractConfig = CONFIG) -> CollectedOutcomes:
    """Read an archive; the peak of Python's memory and the time are bounded."""
    outcomes = CollectedOutcomes()
    [archive] = list_inputs([str(path)])
    # The detector's model is loaded once, and is no part of what an archive costs.
    detected_language("words " * 20)
    tracemalloc.start()
    began = time.process_time()
    extract_archive(archive, config, outcomes, mark=lambda key: None, quarantine={})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert outcomes.counts.unbalanced() == []
    assert peak < 100 * MEGABYTE
    # Seconds on a busy machine; what it guards against takes minutes.
    assert time.process_time() - began < 60
    return outcomes


def reasons(found: CollectedOutcomes) -> dict[str, int]:
    count = found.counts.units["record"]
    return dict(count.rejected) | dict(count.failed)


def head_of(length: int) -> bytes:
    return record("http://a.example/bomb", b"", length=length).removesuffix(b"\r\n\r\n")


BOMBS = {
    "a record of a gigabyte": (zeros(1024, head_of(1 << 30)), {"too_large": 1}),
    "a record that says a petabyte": (zeros(64, head_of(1 << 50)), {"too_large": 1}),
    "a record that says less than it holds": (zeros(512, head_of(200)), {}),
    "a member of zeros": (zeros(512), {}),
    "a header without end": (zeros(64, b"WARC/1.0\r\nX: ", b"a"), {"broken_record": 1}),
    "a flood of headers": (zeros(64, b"WARC/1.0\r\n", b"X-A: b\r\n"), {"broken_record": 1}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_members_that_inflate(tmp_path, name):
    bomb, expected = BOMBS[name]
    path = tmp_path / "a.warc.gz"
    path.write_bytes(GOOD + bomb + GOOD)
    found = extract(path)
    assert [row["title"] for row in found.rows("pages")][-1] == "good"
    assert len([row for row in found.rows("pages") if row["title"] == "good"]) == 2
    assert {name: count for name, count in reasons(found).items() if name in expected} == expected


def test_an_answer_that_floods_headers(tmp_path):
    path = tmp_path / "a.warc.gz"
    flood = record("http://a.example/flood", b"<p>", http=b"X-A: b\r\n" * 400_000)
    path.write_bytes(gzip.compress(flood) + GOOD)
    found = extract(path)
    assert reasons(found) == {"broken_record": 1}
    assert len(found.rows("pages")) == 1


@pytest.mark.parametrize(
    ("chunks", "title"),
    [
        (b"1\r\nx\r\n" * 100_000, None),
        (b"7fffffffffffffff\r\n<title>endless</title>", "endless"),
        (b"ffffffffffffffffffffff\r\n<title>endless</title>", "endless"),
        (b"-1\r\n<title>endless</title>", "endless"),
        (b"5\r\n" * 100_000, None),
        (b"18;" + b"a=b;" * 500 + b"\r\n<title>endless</title>\r\n", "endless"),
    ],
    ids=["tiny", "huge", "beyond", "negative", "sizes", "extensions"],
)
def test_chunked_bodies_without_end(tmp_path, chunks, title):
    path = tmp_path / "a.warc.gz"
    http = b"Content-Type: text/html\r\nTransfer-Encoding: chunked\r\n"
    path.write_bytes(gzip.compress(record("http://a.example/", chunks, http=http)) + GOOD)
    found = extract(path)
    assert [row["title"] for row in found.rows("pages")] == [title, "good"]


def bomb_zip(path, members: int, megabytes: int) -> None:
    """A container of deflated archives that hold zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as container:
        for number in range(members):
            with container.open(f"archive/{number}.warc", "w") as member:
                for _ in range(megabytes):
                    member.write(b"\0" * MEGABYTE)
        container.writestr("archive/a.warc.gz", GOOD)


def test_containers_that_inflate(tmp_path, monkeypatch):
    """The budget is for all members together: many small bombs are one large one."""
    monkeypatch.setattr("mining.archives.read._FLOOR", 33 * MEGABYTE)
    monkeypatch.setattr("mining.archives.read._RATIO", 1)
    path = tmp_path / "a.wacz"
    bomb_zip(path, 10, 8)
    found = extract(path)
    assert reasons(found) == {"broken_record": 4, "decompression_bomb": 6}
    assert len(found.rows("pages")) == 1


def test_a_container_that_lies_about_sizes(tmp_path):
    path = tmp_path / "a.wacz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as container:
        container.writestr("archive/a.warc.gz", GOOD)
        container.writestr("archive/b.warc", b"\0" * 5000)
    data = path.read_bytes()
    path.write_bytes(data.replace((5000).to_bytes(4, "little"), (0xF0000000).to_bytes(4, "little")))
    found = extract(path)
    assert reasons(found) == {"decompression_bomb": 1}
    assert len(found.rows("pages")) == 1


@pytest.mark.parametrize(
    "name", ["../a.warc.gz", "/etc/a.warc.gz", "archive/../../a.warc.gz", "..\\..\\a.warc.gz", "archive\\..\\a.warc.gz"]
)
def test_members_with_tricks_in_their_names_are_not_read(tmp_path, name):
    path = tmp_path / "in" / "a.wacz"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as container:
        container.writestr(name, GOOD)
        container.writestr("archive/b.warc.gz", GOOD)
    found = extract(path)
    assert found.counts.units["record"].rejected == {"unsafe_member_name": 1}
    assert len(found.rows("pages")) == 1
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["a.wacz", "in"]


def test_a_container_whose_member_is_broken_or_encrypted(tmp_path):
    path = tmp_path / "a.wacz"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as container:
        container.writestr("archive/a.warc.gz", GOOD)
        container.writestr("archive/b.warc.gz", GOOD)
    data = bytearray(buffer.getvalue())
    # The flag of encryption in the first member's entries.
    data[data.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    found = extract(path)
    assert reasons(found) == {"broken_member": 1}
    assert len(found.rows("pages")) == 1


def test_a_page_of_a_hundred_megabytes_and_one_of_a_hundred_thousand_pictures(tmp_path):
    path = tmp_path / "a.warc.gz"
    large = record("http://a.example/large", b"<title>large</title>" + b"<p>words</p>" * (100 * MEGABYTE // 12))
    many = record("http://a.example/many", b"<img src=a.png>" * 100_000)
    path.write_bytes(gzip.compress(large, 1) + gzip.compress(many, 1) + GOOD)
    found = extract_plainly(path, CONFIG)
    assert reasons(found) == {"too_large": 1}
    place = found.counts.units["place"].to_json()
    assert (place["in"], place["kept"], place["rejected"]) == (100_000, 5000, {"page_place_cap": 95_000})
    whole = extract_plainly(path, ExtractConfig(record_bytes=200 * MEGABYTE, body_bytes=200 * MEGABYTE))
    assert [row["title"] for row in whole.rows("pages")] == ["large", None, "good"]


def extract_plainly(path, config: ExtractConfig) -> CollectedOutcomes:
    outcomes = CollectedOutcomes()
    [archive] = list_inputs([str(path)])
    extract_archive(archive, config, outcomes, mark=lambda key: None, quarantine={})
    return outcomes
