import gzip
import io

import pytest

from mining.archives.records import Damage, Limits, Record, dechunk
from mining.archives.warc import read_warc, read_warc_at


def read(data: bytes, quarantine=None, limits=None):
    return list(read_warc(io.BytesIO(data), "a.warc.gz", "", limits or Limits(), lambda key: None, quarantine or {}))


@pytest.fixture
def members(site_warc):
    """The file, and where its records begin."""
    data = site_warc.read_bytes()
    starts = [one.place.offset for one in read(data)]
    return data, starts


def test_reads_records_with_url_status_date_and_body(site_warc):
    records = read(site_warc.read_bytes())
    assert all(isinstance(one, Record) for one in records)
    page = next(one for one in records if one.url.endswith("page0.html"))
    assert (page.status, page.mime, page.date.year) == (200, "text/html", 2026)
    assert page.body.startswith(b"<html lang=en>")


def test_a_record_is_read_again_at_its_place(site_warc):
    data = site_warc.read_bytes()
    for record in read(data):
        again = read_warc_at(io.BytesIO(data), record.place, Limits())
        assert (again.url, again.body) == (record.url, record.body)


def test_angle_brackets_around_an_address_are_removed(site_warc):
    data = gzip.decompress(site_warc.read_bytes()).replace(
        b"WARC-Target-URI: http://site.example/page0.html", b"WARC-Target-URI: <http://site.example/page0.html>"
    )
    assert "http://site.example/page0.html" in [one.url for one in read(data)]


@pytest.mark.parametrize("damaged", [1, 4, 7])
def test_garbage_in_one_member_costs_that_record_alone(members, damaged):
    data, starts = members
    broken = bytearray(data)
    broken[starts[damaged] + 20 : starts[damaged] + 60] = b"\xff" * 40
    found = read(bytes(broken))
    assert len([one for one in found if isinstance(one, Record)]) >= len(starts) - 1
    assert len([one for one in found if isinstance(one, Damage)]) <= 1
    kept = {one.url for one in found if isinstance(one, Record)}
    assert len(kept) >= len(starts) - 1


def test_garbage_between_members_costs_no_record(members):
    data, starts = members
    broken = data[: starts[3]] + b"not a member at all" * 50 + data[starts[3] :]
    found = read(broken)
    assert len([one for one in found if isinstance(one, Record)]) == len(starts)
    assert len([one for one in found if isinstance(one, Damage)]) <= 1


def test_a_cut_file_keeps_what_stands_before_the_cut(members):
    data, starts = members
    found = read(data[: starts[-1] + 100])
    assert [one.place.offset for one in found if isinstance(one, Record)][: len(starts) - 1] == starts[:-1]


def test_an_uncompressed_file_goes_on_after_a_broken_header(site_warc):
    plain = gzip.decompress(site_warc.read_bytes())
    whole = read(plain)
    assert len(whole) == len(read(site_warc.read_bytes()))
    position = plain.find(b"WARC/1.0", whole[3].place.offset)
    found = read(plain[:position] + b"XXXX/1.0" + plain[position + 8 :])
    assert len([one for one in found if isinstance(one, Record)]) >= len(whole) - 2


def test_an_empty_file_is_damage():
    assert [type(one) for one in read(b"")] == [Damage]


def test_a_quarantined_record_is_not_touched_and_the_next_ones_are(members):
    data, starts = members
    found = read(data, {f"a.warc.gz@{starts[2]}": "crashed_sigsegv"})
    assert [one.error for one in found if isinstance(one, Damage)] == ["crashed_sigsegv"]
    assert len([one for one in found if isinstance(one, Record)]) == len(starts) - 1


def test_a_record_over_the_limit_is_not_read(site_warc):
    found = read(site_warc.read_bytes(), limits=Limits(record_bytes=100))
    large = [one for one in found if one.too_large]
    assert large
    assert all(one.body == b"" for one in large)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world"),
        (b"5;name=value\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5\r\nhello\r\n6\r\n wor", b"hello wor"),
        (b"<html>not chunked</html>", b"<html>not chunked</html>"),
        (b"", b""),
        (b"-5\r\nhello", b"-5\r\nhello"),
        (b"5\r\nhello\r\nzz\r\n", b"hello"),
    ],
)
def test_dechunk(body, expected):
    assert dechunk(body) == expected


@pytest.mark.parametrize("compression", ["zst", "lz4"])
def test_other_compressions(site_warc, compression):
    plain = gzip.decompress(site_warc.read_bytes())
    if compression == "zst":
        import zstandard

        data = zstandard.ZstdCompressor().compress(plain)
    else:
        import lz4.frame

        data = lz4.frame.compress(plain)
    assert [one.url for one in read(data)] == [one.url for one in read(plain)]
