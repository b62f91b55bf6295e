import gzip
import io

from mining.archives.arc import read_arc, read_arc_at
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


def test_read_at_finds_the_document_again():
    for record in read(ARC):
        assert read_arc_at(io.BytesIO(ARC), record.place, Limits()).body == record.body


def test_limits_and_quarantine():
    assert [one.too_large for one in read(ARC, limits=Limits(record_bytes=10))] == [True, True]
    lost = {read(ARC)[0].place.key: "timed_out"}
    assert [type(one) for one in read(ARC, lost=lost)] == [Damage, Record]
