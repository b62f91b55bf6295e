import base64
import gzip
import hashlib
from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest

from mining.archives.inputs import list_inputs
from mining.extraction import ExtractConfig, extract_archive, resolve_revisits
from mining.pages.addresses import match_key
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


def test_a_page_of_a_hundred_thousand_pictures_is_bounded(tmp_path, make_warc, answer):
    page = b"".join(b"<img src=%d.png>" % number for number in range(100_000))
    path = make_warc(tmp_path / "a.warc.gz", [answer("http://a.example/", page)])
    found = extract([path], ExtractConfig(places=100))
    assert entry(found, "place")["kept"] == 100
    assert entry(found, "place")["rejected"] == {"page_place_cap": 99_900}


def test_a_page_of_a_hundred_megabytes_is_cut(tmp_path, make_warc, answer):
    page = b"<title>long</title>" + b"<p>words and words</p>" * 4_500_000
    path = make_warc(tmp_path / "a.warc.gz", [answer("http://a.example/", page)])
    found = extract([path], ExtractConfig(record_bytes=200_000_000, body_bytes=200_000_000, html_bytes=1_000_000))
    assert [row["title"] for row in found.rows("pages")] == ["long"]


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


class ImageSources(HTMLParser):
    """An independent reading: the `src` of every `<img>`."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.sources, self.base = [], None

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "base" and given.get("href"):
            self.base = self.base or given["href"]
        if tag == "img" and (given.get("src") or "").strip():
            self.sources.append(given["src"].strip())


@pytest.mark.timeout(300)
def test_every_archived_image_of_the_crawls_is_found(corpora):
    """Read with warcio and the standard library's parser: recall is 1."""
    from warcio.archiveiterator import ArchiveIterator

    paths = sorted((corpora / "dev").glob("*/full/*.warc.gz"))
    held, wanted = set(), set()
    for path in paths:
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream):
                if record.rec_type != "response" or record.http_headers.get_statuscode() != "200":
                    continue
                url = record.rec_headers.get_header("WARC-Target-URI").strip("<>")
                mime = record.http_headers.get_header("Content-Type") or ""
                if mime.startswith("image/"):
                    held.add(match_key(url))
                elif "html" in mime:
                    parser = ImageSources()
                    parser.feed(record.content_stream().read().decode("utf-8", "replace"))
                    base = urljoin(url, parser.base or "")
                    wanted |= {(url, match_key(urljoin(base, source))) for source in parser.sources}
    found = extract(paths)
    pages = {row["page_id"]: row["url"] for row in found.rows("pages")}
    places = {(pages[row["page_id"]], match_key(row["url"])) for row in found.rows("page_images")}
    images = {match_key(row["url"]) for row in found.rows("images")}
    archived = {(page, key) for page, key in wanted if key in held}
    assert len(archived) > 1500
    assert archived - places == set()
    assert held - images == set()


def test_broken_archives_keep_everything_readable(corpora):
    found = extract([corpora / "foreign"])
    assert len(found.rows("pages")) >= 190
    assert sum(entry(found, "record")["failed"].values()) <= 3
    warc = extract([corpora / "foreign" / "heritrix-2008.warc.gz"])
    arc = extract([corpora / "foreign" / "heritrix-2008.arc.gz"])
    assert entry(warc, "record") == entry(arc, "record")
    assert [row["page_id"] for row in warc.rows("pages")] == [row["page_id"] for row in arc.rows("pages")]
