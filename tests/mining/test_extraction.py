import base64
import gzip
import hashlib
import re
import zlib

import brotli
import pytest

from mining.archives.inputs import list_inputs
from mining.extraction import ExtractConfig, extract_archive, resolve_revisits
from mining.payload_digests import payload_of
from schemas.ids import image_id
from schemas.outcomes import CollectedOutcomes


def extract(paths, config=None, quarantine=None) -> CollectedOutcomes:
    outcomes = CollectedOutcomes()
    for archive in list_inputs([str(path) for path in paths]):
        extract_archive(
            archive, config or ExtractConfig(), outcomes, mark=lambda key: None, quarantine=quarantine or {}
        )
    assert outcomes.counts.unbalanced() == []
    return outcomes


def entry(outcomes, unit):
    return outcomes.counts.units[unit].to_json()


def test_a_site_gives_pages_places_images_and_robots(site_warc):
    found = extract([site_warc])
    assert [len(found.rows(table)) for table in ("pages", "page_images", "images", "robots")] == [3, 12, 12, 1]
    page = found.rows("pages")[0]
    assert (page["title"], page["language"], page["site"]) == ("Gallery 0", "en", "site.example")
    places = [row for row in found.rows("page_images") if row["page_id"] == page["page_id"]]
    assert [row["position"] for row in places] == [0, 1, 2, 3]
    held = {row["url"]: row for row in found.rows("images")}
    assert all(row["url"] in held and row["chosen"] for row in places)
    assert all(row["image_id"] == image_id(row["bytes"]) for row in held.values())


def test_records_that_are_no_content_are_rejected_with_their_reason(tmp_path, make_warc, answer):
    path = make_warc(
        tmp_path / "a.warc.gz",
        [
            answer("http://a.example/x", b"gone", status="404 Not Found"),
            answer("http://a.example/s.css", b"p {}", "text/css"),
            answer("http://a.example/empty", b""),
            answer("http://a.example/z", b"\x00", headers=[("Content-Encoding", "gzip")]),
            answer("ftp://a.example/f", b"<html>"),
            answer("http://a.example/lie.png", b"<html>not a picture", "image/png"),
            answer("http://a.example/vague", b"<!DOCTYPE html><p>x", "application/octet-stream"),
        ],
    )
    found = extract([path])
    assert entry(found, "record")["rejected"] == {
        "bad_content_coding": 1,
        "empty_body": 1,
        "http_404": 1,
        "not_http": 1,
        "other_media_type": 1,
    }
    assert len(found.rows("pages")) == 1
    # A payload that calls itself an image is kept for annotation to judge.
    assert [row["url"] for row in found.rows("images")] == ["http://a.example/lie.png"]


def test_coded_bodies_are_decoded_and_bombs_are_not(tmp_path, make_warc, answer):
    page = b"<title>coded</title><img src=a.png>"
    path = make_warc(
        tmp_path / "a.warc.gz",
        [
            answer("http://a.example/", gzip.compress(page), headers=[("Content-Encoding", "gzip")]),
            answer("http://a.example/2", page, headers=[("Content-Encoding", "gzip")]),
            answer("http://a.example/b", gzip.compress(b"\0" * 50_000_000), headers=[("Content-Encoding", "gzip")]),
        ],
    )
    found = extract([path], ExtractConfig(body_bytes=1_000_000))
    assert entry(found, "record")["rejected"] == {"bad_content_coding": 1, "too_large": 1}
    assert [row["title"] for row in found.rows("pages")] == ["coded"]


def zstd(body: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor().compress(body)


def bare_deflate(body: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(body) + deflater.flush()


CODINGS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "Deflate": bare_deflate,
    "br": brotli.compress,
    "zstd": zstd,
    "gzip, br": lambda body: brotli.compress(gzip.compress(body)),
}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("chunked", [False, True])
def test_every_content_coding_is_undone(tmp_path, make_warc, answer, make_picture, coding, chunked):
    def coded(body: bytes) -> bytes:
        body = CODINGS[coding](body)
        return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body

    headers = [("Content-Encoding", coding)] + ([("Transfer-Encoding", "chunked")] if chunked else [])
    path = make_warc(
        tmp_path / "a.warc.gz",
        [
            answer("http://a.example/", coded(b"<title>coded</title><img src=a.png>"), headers=headers),
            answer("http://a.example/a.png", coded(make_picture(1)), "image/png", headers=headers),
        ],
    )
    found = extract([path])
    assert [row["title"] for row in found.rows("pages")] == ["coded"]
    assert [row["bytes"] for row in found.rows("images")] == [make_picture(1)]


@pytest.mark.parametrize("coding", [*CODINGS, "snappy", "gzip, gzip, gzip"])
def test_broken_codings_and_bombs_have_their_reasons(tmp_path, make_warc, answer, coding):
    headers = [("Content-Encoding", coding)]
    bomb = CODINGS[coding](b"<html>" + b"\0" * 20_000_000) if coding in CODINGS else b"\0"
    path = make_warc(
        tmp_path / "a.warc.gz",
        [
            answer("http://a.example/broken", b"\x00\x01\x02 no such stream", headers=headers),
            answer("http://a.example/bomb", bomb, headers=headers),
        ],
    )
    found = extract([path], ExtractConfig(body_bytes=1_000_000))
    known = coding in CODINGS
    assert entry(found, "record")["rejected"] == (
        {"bad_content_coding": 1, "too_large": 1} if known else {"bad_content_coding": 2}
    )


def test_an_image_is_one_whatever_its_server_calls_it(tmp_path, make_warc, answer, make_picture):
    types = ["text/html", "text/plain", "application/octet-stream", "image/jpeg", "application/x-unknown", ""]
    answers = [answer(f"http://a.example/{number}", make_picture(number), kind) for number, kind in enumerate(types)]
    found = extract([make_warc(tmp_path / "a.warc.gz", answers)])
    assert [row["bytes"] for row in found.rows("images")] == [make_picture(number) for number in range(len(types))]
    assert {row["mime"] for row in found.rows("images")} == {"image/png"}


def test_resources_of_warc_1_0_and_1_1(tmp_path, make_warc, answer, make_picture):
    path = make_warc(
        tmp_path / "a.warc",
        [
            answer("http://a.example/", b"<img src=a.png>", "text/html", kind="resource"),
            answer("http://a.example/a.png", make_picture(1), "image/png", kind="resource"),
            answer("urn:pageinfo:x", b"{}", "application/json", kind="resource"),
        ],
        gzip=False,
    )
    first = extract([path])
    path.write_bytes(path.read_bytes().replace(b"WARC/1.0", b"WARC/1.1").replace(b"02:01Z", b"02:01.000001Z"))
    second = extract([path])
    for found in (first, second):
        assert [len(found.rows(table)) for table in ("pages", "page_images", "images")] == [1, 1, 1]
        assert entry(found, "record")["rejected"] == {"not_http": 1}
    assert second.rows("pages")[0]["crawl_date"].microsecond == 1


def test_data_addresses_within_their_limits(tmp_path, make_warc, answer, make_picture):
    data = base64.b64encode(make_picture(1)).decode()
    percents = "".join(f"%{byte:02x}" for byte in make_picture(2))
    page = (
        f"<img src='data:image/png;base64,{data[:100]}\n {data[100:]}'><img src='DATA:image/png;BASE64,{data}'>"
        f"<img src='data:image/png,{percents}'><img src='data:image/png;base64,{data}AAAA' srcset='a.png 2x'>"
        "<img src='data:image/svg+xml,<svg/>'><img src='data:'>"
    )
    path = make_warc(tmp_path / "a.warc.gz", [answer("http://a.example/", page.encode())])
    found = extract([path], ExtractConfig(data_uri_bytes=len(make_picture(1)) + 1))
    held = [row["bytes"] for row in found.rows("images")]
    assert held[:2] == [make_picture(1)] * 2
    reasons = entry(found, "place")["rejected"]
    assert reasons["data_uri_too_large"] >= 1
    assert reasons["data_uri_no_image"] == 2
    assert [row["url"] for row in found.rows("page_images") if row["chosen"]][-1] == "http://a.example/a.png"
    whole = extract([path])
    assert make_picture(2) in [row["bytes"] for row in whole.rows("images")]


def test_places_that_lead_nowhere_are_rejected(tmp_path, make_warc, answer, make_picture):
    inline = "data:image/png;base64," + base64.b64encode(make_picture(1)).decode()
    page = f"<img src='file:///etc/passwd'><img src='{inline}'><img src='data:text/html,x'><img src='http://[bad'>"
    found = extract([make_warc(tmp_path / "a.warc.gz", [answer("http://a.example/", page.encode())])])
    assert entry(found, "place") == {
        "in": 4,
        "kept": 1,
        "rejected": {"bad_address": 1, "data_uri_no_image": 1, "scheme_not_allowed": 1},
        "failed": {},
        "deferred": 0,
    }
    assert found.rows("images")[0]["bytes"] == make_picture(1)
    assert found.rows("images")[0]["url"] == found.rows("page_images")[0]["url"]
    assert len(found.rows("page_images")[0]["url"]) < 120


def test_opt_outs_of_pages_and_images_are_on_record(tmp_path, make_warc, answer, make_picture):
    found = extract(
        [
            make_warc(
                tmp_path / "a.warc.gz",
                [
                    answer("http://a.example/", b"<meta name=robots content='noai,noindex'>"),
                    answer("http://a.example/p", b"<p>", headers=[("X-Robots-Tag", "otherbot: noai")]),
                    answer("http://a.example/i", make_picture(1), "image/png", headers=[("TDM-Reservation", "1")]),
                    answer("http://b.example/", b"<p>listed"),
                ],
            )
        ],
        ExtractConfig(opt_out_list=("b.example",)),
    )
    assert [row["opt_out"] for row in found.rows("pages")] == ["noai", None, "list"]
    assert found.rows("pages")[0]["robots"] == "noai,noindex"
    assert found.rows("images")[0]["opt_out"] == "tdm-reservation"


def test_a_revisit_comes_again_under_its_own_address(tmp_path, make_warc, answer, make_picture):
    same = "sha1:" + base64.b32encode(hashlib.sha1(make_picture(1)).digest()).decode()
    first = make_warc(tmp_path / "1.warc.gz", [answer("http://a.example/i.png", make_picture(1), "image/png")])
    second = make_warc(
        tmp_path / "2.warc.gz",
        [
            answer("http://b.example/i.png", b"", "image/png", kind="revisit", digest=same),
            answer("http://b.example/j.png", b"", "image/png", kind="revisit", digest="sha1:OTHER"),
        ],
    )
    found = extract([first, second])
    payloads = {row["digest"]: row for row in found.rows("payloads")}
    again = CollectedOutcomes()
    revisits = [(row, payloads.get(row["digest"])) for row in found.rows("revisits")]
    resolve_revisits(revisits, ExtractConfig(), again, mark=lambda key: None, quarantine={})
    assert [(row["url"], row["bytes"]) for row in again.rows("images")] == [("http://b.example/i.png", make_picture(1))]
    assert entry(again, "record")["rejected"] == {"revisit_without_payload": 1}


def sha1(body: bytes) -> bytes:
    return hashlib.sha1(body).digest()


@pytest.mark.parametrize(
    "spelling",
    [
        lambda body: "sha1:" + base64.b32encode(sha1(body)).decode(),
        lambda body: "SHA1:" + base64.b32encode(sha1(body)).decode().lower(),
        lambda body: "sha1:" + sha1(body).hex(),
    ],
    ids=["base32", "lower case", "hex"],
)
@pytest.mark.parametrize("stated", [True, False], ids=["stated", "counted"])
def test_digests_meet_in_any_spelling(tmp_path, make_warc, answer, make_picture, spelling, stated):
    digest = "sha1:" + base64.b32encode(sha1(make_picture(1))).decode() if stated else None
    path = make_warc(
        tmp_path / "1.warc.gz",
        [
            answer("http://b.example/i.png", b"", "image/png", kind="revisit", digest=spelling(make_picture(1))),
            answer("http://a.example/i.png", make_picture(1), "image/png", digest=digest),
        ],
    )
    if not stated:
        whole = gzip.decompress(path.read_bytes())
        path.write_bytes(re.sub(rb"WARC-Payload-Digest: sha1:(?!.*\r\n.*revisit)[A-Z2-7]{32}\r\n", b"", whole))
        path = path.rename(tmp_path / "1.warc")
    found = extract([path])
    assert {row["digest"] for row in found.rows("payloads")} == {row["digest"] for row in found.rows("revisits")}


def test_a_revisit_that_states_no_digest_asks_for_its_address():
    assert payload_of("HTTP://a.example:80/ä") == payload_of("http://a.example/%C3%A4")


def test_revisits_in_a_file_that_is_one_member(tmp_path, make_warc, answer, make_picture):
    """Several records stand at one offset there: the payload is the right one of them."""
    answers = [answer(f"http://a.example/{number}.png", make_picture(number), "image/png") for number in range(3)]
    digest = "sha1:" + base64.b32encode(sha1(make_picture(2))).decode()
    answers.append(answer("http://a.example/again.png", b"", "image/png", kind="revisit", digest=digest))
    path = make_warc(tmp_path / "1.warc.gz", answers)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())))
    found = extract([path])
    payloads = {row["digest"]: row for row in found.rows("payloads")}
    again = CollectedOutcomes()
    revisits = [(row, payloads.get(row["digest"])) for row in found.rows("revisits")]
    resolve_revisits(revisits, ExtractConfig(), again, mark=lambda key: None, quarantine={})
    assert [(row["url"], row["bytes"]) for row in again.rows("images")] == [
        ("http://a.example/again.png", make_picture(2))
    ]


def test_the_quarantine_counts_as_a_failure(site_warc):
    [archive] = list_inputs([str(site_warc)])
    outcomes = CollectedOutcomes()
    extract_archive(
        archive,
        ExtractConfig(),
        outcomes,
        mark=lambda key: None,
        quarantine={f"{archive.path}@0": "crashed_sigsegv"},
    )
    assert entry(outcomes, "record")["failed"] == {"crashed_sigsegv": 1}
    assert outcomes.counts.unbalanced() == []
