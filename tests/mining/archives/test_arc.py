import gzip
import io

import pytest

from mining.archives.arc import read_arc
from mining.archives.inputs import list_inputs
from mining.archives.read import read_record_at, read_records
from mining.archives.records import Damage, Limits, Record

VERSION = b"1 1 InternetArchive\nURL IP-address Archive-date Content-type Archive-length\n"
HEAD = b"filedesc://a.arc 0.0.0.0 20080430204825 text/plain " + str(len(VERSION)).encode() + b"\n" + VERSION + b"\n"


def document(url: bytes, body: bytes, mime: bytes = b"text/html") -> bytes:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: " + mime + b"\r\n\r\n" + body
    return url + b" 1.2.3.4 20080430204825 " + mime + b" " + str(len(block)).encode() + b"\n" + block + b"\n"


def read(data: bytes, **more):
    return list(
        read_arc(io.BytesIO(data), "a.arc", "", more.get("limits", Limits()), lambda key: None, more.get("lost", {}))
    )


ARC = HEAD + document(b"http://a.example/", b"<p>one") + document(b"http://a.example/2", b"<p>two")


def test_documents_come_with_their_answers():
    records = read(ARC)
    assert [(one.url, one.status, one.mime, one.body) for one in records] == [
        ("http://a.example/", 200, "text/html", b"<p>one"),
        ("http://a.example/2", 200, "text/html", b"<p>two"),
    ]
    assert records[0].date.isoformat() == "2008-04-30T20:48:25+00:00"


def test_compressed_whole_or_by_member_reads_the_same():
    members = gzip.compress(HEAD) + gzip.compress(ARC[len(HEAD) :])
    assert (
        [one.body for one in read(gzip.compress(ARC))] == [one.body for one in read(members)] == [b"<p>one", b"<p>two"]
    )


def test_a_broken_line_is_damage_and_the_next_document_is_found():
    first = document(b"http://a.example/", b"<p>one").replace(b" 1.2.3.4 ", b" broken ")
    found = read(HEAD + first + document(b"http://a.example/2", b"<p>two"))
    assert [one.url for one in found if isinstance(one, Record)] == ["http://a.example/2"]
    assert len([one for one in found if isinstance(one, Damage)]) == 1


def test_a_cut_file_keeps_the_beginning_of_the_last_document():
    cut = gzip.compress(ARC)[:-12]
    assert [one.url for one in read(cut) if isinstance(one, Record)][:1] == ["http://a.example/"]


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_document_is_found_again(tmp_path, compress):
    path = tmp_path / "a.arc"
    path.write_bytes(compress(ARC))
    for record in read_records(list_inputs([str(path)])[0], Limits(), lambda key: None, {}):
        assert read_record_at(record.place, record.url, Limits()).body == record.body


def test_limits_and_quarantine():
    assert [one.too_large for one in read(ARC, limits=Limits(record_bytes=10))] == [True, True]
    lost = {read(ARC)[0].place.key: "timed_out"}
    assert [type(one) for one in read(ARC, lost=lost)] == [Damage, Record]


def urls(found) -> list[str]:
    return [one.url for one in found if isinstance(one, Record)]


def test_a_date_that_is_missing_costs_no_document():
    first = document(b"http://a.example/", b"<p>one").replace(b"20080430204825", b"null")
    [record] = read(HEAD + first)
    assert (record.url, record.date, record.body) == ("http://a.example/", None, b"<p>one")


def test_version_2_lines_are_read():
    line = b"http://a.example/ 1.2.3.4 20080430204825 text/html 200 checksum location 42 name.arc 2\nhi\n"
    assert urls(read(HEAD + line)) == ["http://a.example/"]


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("length", [500, 10**9, 10**30])
def test_a_length_that_is_a_lie_costs_no_other_document(compress, length):
    lie = document(b"http://a.example/lie", b"<p>").replace(b"text/html 47\n", b"text/html %d\n" % length)
    assert str(length).encode() in lie
    parts = [HEAD + lie, *(document(b"http://a.example/%d" % number, b"<p>") for number in range(4))]
    found = read(b"".join(map(compress, parts)))
    assert urls(found)[-4:] == [f"http://a.example/{number}" for number in range(4)]
    assert len(found) == 5


def test_a_broken_member_costs_that_document_alone():
    members = [gzip.compress(HEAD)] + [
        gzip.compress(document(b"http://a.example/%d" % number, b"<p>" * 100)) for number in range(4)
    ]
    broken = bytearray(b"".join(members))
    start = len(members[0]) + len(members[1])
    broken[start + 20 : start + 40] = b"\xff" * 20
    found = read(bytes(broken))
    assert urls(found) == [f"http://a.example/{number}" for number in (0, 2, 3)]
    assert [one.error for one in found if isinstance(one, Damage)] == ["broken_record"]


def test_headers_without_end_are_damage():
    flood = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000
    line = b"http://a.example/ 1.2.3.4 20080430204825 text/html %d\n" % len(flood)
    found = read(HEAD + line + flood + b"\n" + document(b"http://a.example/2", b"<p>"))
    assert [type(one) for one in found] == [Damage, Record]
