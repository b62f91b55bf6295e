import gzip
import io
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining.archives.inputs import list_inputs
from mining.archives.read import read_record_at, read_records
from mining.archives.records import Damage, Limits, Record
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


def lz4_frame(data: bytes) -> bytes:
    import lz4.frame

    return lz4.frame.compress(data, content_checksum=True)


def zstd_frame(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor().compress(data)


COMPRESSIONS = {"plain": bytes, "gz": gzip.compress, "zst": zstd_frame, "lz4": lz4_frame}


def record(number: int, body: bytes = b"<p>", length: int | str | None = None, more: bytes = b"") -> bytes:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
    stated = str(len(block) if length is None else length).encode()
    head = b"WARC/1.1\r\nWARC-Type: response\r\nWARC-Date: 2026-05-04T03:02:01.123456Z\r\n" + more
    head += b"Content-Type: application/http; msgtype=response\r\nWARC-Target-URI: <http://a.example/%d>\r\n" % number
    return head + b"Content-Length: " + stated + b"\r\n\r\n" + block + b"\r\n\r\n"


def urls(found) -> list[str]:
    return [one.url.removeprefix("http://a.example/") for one in found if isinstance(one, Record)]


def damages(found) -> list[str]:
    return [one.error for one in found if isinstance(one, Damage)]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("together", [1, 2, 5])
def test_every_record_is_found_again_however_records_are_compressed(tmp_path, compression, together):
    """One member a record, as archives should be, or several in one, or all in one."""
    parts = [record(number, b"<p>%d" % number * 2000) for number in range(5)]
    data = b"".join(
        COMPRESSIONS[compression](b"".join(parts[start : start + together])) for start in range(0, 5, together)
    )
    path = tmp_path / f"a.warc{'' if compression == 'plain' else '.' + compression}"
    path.write_bytes(data)
    found = list(read_records(list_inputs([str(path)])[0], Limits(), lambda key: None, {}))
    assert urls(found) == list("01234")
    assert len({one.place.key for one in found}) == 5
    for one in found:
        assert read_record_at(one.place, one.url, Limits()).body == one.body


@pytest.mark.parametrize("compressed", [False, True])
def test_zstandard_with_a_dictionary_of_the_file(compressed):
    import zstandard

    dictionary = zstandard.train_dictionary(2000, [record(number * 7919) for number in range(1000)])
    inside = dictionary.as_bytes()
    held = zstd_frame(inside) if compressed else inside
    frame = struct.pack("<II", 0x184D2A5D, len(held)) + held
    compressor = zstandard.ZstdCompressor(dict_data=dictionary)
    frames = [compressor.compress(record(number, b"<p>%d" % number)) for number in range(4)]
    whole = frame + b"".join(frames)
    assert urls(read(whole)) == list("0123")
    broken = bytearray(whole)
    start = len(frame) + len(frames[0])
    broken[start + 8 : start + 20] = b"\xff" * 12
    found = read(bytes(broken))
    assert urls(found) == list("023")
    assert damages(found) == ["broken_record"]
    assert read_warc_at(io.BytesIO(whole), found[-1].place, Limits()).url == "http://a.example/3"


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("length", [10**12, 10**30, 5000, -5, "many", ""])
def test_a_record_that_lies_about_its_length_costs_no_other(compression, length):
    parts = [record(0), record(1, b"<p>lie", length=length), record(2), record(3)]
    found = read(b"".join(map(COMPRESSIONS[compression], parts)))
    assert urls([one for one in found if not isinstance(one, Damage) and one.url != "http://a.example/1"]) == list(
        "023"
    )
    assert len(found) == 4
    lie = found[1]
    if isinstance(length, int) and length > Limits().record_bytes:
        assert lie.too_large
    elif isinstance(length, int) and length > 0:
        assert lie.body == b"<p>lie"
    else:
        assert lie.error == "broken_record"


def test_a_member_that_breaks_in_the_middle_keeps_what_stands_before():
    noise = random.Random(0).randbytes(200_000)
    members = [gzip.compress(record(number, noise)) for number in range(3)]
    broken = bytearray(b"".join(members))
    broken[len(members[0]) + 100_000 : len(members[0]) + 100_010] = b"\0" * 10
    found = read(bytes(broken))
    assert urls(found) == list("012")
    assert [len(one.body) for one in found] == [200_000, pytest.approx(65_000, abs=40_000), 200_000]
    assert noise.startswith(found[1].body)


def test_a_file_whose_first_bytes_are_gone_is_read_from_its_second_member():
    members = [gzip.compress(record(number)) for number in range(3)]
    found = read(b"\xff" * 40 + b"".join(members)[40:])
    assert urls(found) == list("12")
    assert damages(found) == ["broken_record"]


def test_a_block_without_http_headers_is_all_body():
    block = b"<html>no headers"
    data = record(1).replace(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>", block)
    stated = len(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>")
    [found] = read(data.replace(b"Content-Length: %d" % stated, b"Content-Length: %d" % len(block)))
    assert (found.status, found.body) == (None, block)


def test_the_process_that_died_behind_a_record_does_not_cost_it(members):
    """What hangs a reader may be junk between records: the record before it is not to blame."""
    data, starts = members
    marks = []
    list(read_warc(io.BytesIO(data), "a.warc.gz", "", Limits(), marks.append, {}))
    assert marks[-1] == f"a.warc.gz@{starts[-1]}+"
    found = read(data, {f"a.warc.gz@{starts[2]}+": "timed_out"})
    assert len([one for one in found if isinstance(one, Record)]) == len(starts)
    assert damages(found) == ["timed_out"]


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_damage_ends_and_raises_nothing(data):
    compress = COMPRESSIONS[data.draw(st.sampled_from(list(COMPRESSIONS)))]
    whole = bytearray(b"".join(compress(record(number, b"<p>%d" % number * 50)) for number in range(4)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + data.draw(st.integers(0, 60))] = data.draw(st.binary(max_size=60))
    found = read(bytes(whole) or b"x")
    assert len(found) <= 20
