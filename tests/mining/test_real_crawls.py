"""Real crawls, read a second time by others: warcio, gzip and the standard library's HTML parser."""

import gzip
import re
import zipfile
from collections import Counter
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin

import pytest

from mining.archives.inputs import list_inputs
from mining.extraction import ExtractConfig, extract_archive
from mining.pages.addresses import match_key
from schemas.outcomes import CollectedOutcomes


def extract(paths) -> CollectedOutcomes:
    outcomes = CollectedOutcomes()
    for archive in list_inputs([str(path) for path in paths]):
        extract_archive(archive, ExtractConfig(), outcomes, mark=lambda key: None, quarantine={})
    return outcomes


class ImageSources(HTMLParser):
    """The `src` of every `<img>`, and the base address."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.sources, self.base = [], None

    def handle_starttag(self, tag, attributes):
        given = dict(reversed(attributes))
        if tag == "base" and given.get("href"):
            self.base = self.base or given["href"]
        if tag == "img" and (given.get("src") or "").strip():
            self.sources.append(given["src"].strip())


def spelled(url: str) -> str:
    """One spelling of an address, made otherwise than `match_key` does."""
    return unquote(url.partition("#")[0])


def stated_charset(body: bytes, content_type: str) -> str:
    found = re.search(rb"charset=[\"']?([\w-]+)", content_type.encode() + b" " + body[:2048])
    return found[1].decode() if found else "utf-8"


def independent(paths):
    """The addresses of all archived images; (page, address) of every `<img src>`; HTML pages."""
    from warcio.archiveiterator import ArchiveIterator

    held, wanted, pages = set(), [], Counter()
    for path in paths:
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream):
                if record.rec_type != "response" or record.http_headers.get_statuscode() != "200":
                    continue
                url = record.rec_headers.get_header("WARC-Target-URI").strip("<>")
                mime = record.http_headers.get_header("Content-Type") or ""
                body = record.content_stream().read()
                if mime.startswith("image/") and body:
                    held.add(url)
                elif "html" in mime and body:
                    pages[url] += 1
                    parser = ImageSources()
                    parser.feed(body.decode(stated_charset(body, mime), "replace"))
                    base = urljoin(url, parser.base or "")
                    wanted += [(url, urljoin(base, source)) for source in parser.sources]
    return held, wanted, pages


@pytest.mark.timeout(300)
def test_every_archived_image_of_the_crawls_is_found(corpora):
    """Recall is 1, without exceptions: the place stands in `page_images`, and the image in `images`."""
    paths = sorted((corpora / "dev").glob("*/full/*.warc.gz"))
    held, wanted, pages = independent(paths)
    found = extract(paths)
    assert Counter(row["url"] for row in found.rows("pages")) == pages
    assert {row["url"] for row in found.rows("images") if row["source"] == "archive"} == held
    urls = {row["page_id"]: row["url"] for row in found.rows("pages")}
    places = {(urls[row["page_id"]], spelled(row["url"])): row for row in found.rows("page_images")}
    spellings = {spelled(url) for url in held}
    archived = [(page, address) for page, address in wanted if spelled(address) in spellings]
    assert len(archived) > 2000
    assert [one for one in archived if (one[0], spelled(one[1])) not in places] == []
    # And what is looked up meets what is held.
    keys = {match_key(url) for url in held}
    missed = [one for one in archived if match_key(places[one[0], spelled(one[1])]["url"]) not in keys]
    assert missed == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["full", "html"])
def test_sums_hold_on_every_crawl_and_no_record_is_lost(corpora, kind):
    for site in sorted(path for path in (corpora / "dev").iterdir() if path.is_dir()):
        paths = sorted((site / kind).glob("*.warc.gz"))
        found = extract(paths)
        assert found.counts.unbalanced() == []
        count = found.counts.units["record"]
        assert (count.entered, count.failed.total()) == (sum(map(responses, paths)), 0)
        assert count.kept == len(found.rows("pages")) + len(robots_and_images(found))


def robots_and_images(found: CollectedOutcomes) -> list:
    return [*found.rows("robots"), *(row for row in found.rows("images") if row["source"] == "archive")]


WARC_TYPE = re.compile(rb"^WARC/[01]\.\d+\r\n(?:[^\r\n]+\r\n)*?WARC-Type: (response|resource)\r\n", re.MULTILINE)
ARC_LINE = re.compile(rb"(?:https?://|dns:)\S+ (?:\d+\.){3}\d+ (?:\d{14}|null) \S+ \d+\r?\n")


def inflated(data: bytes) -> bytes:
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def responses(path) -> int:
    """Responses, resources and documents of an archive, counted in its inflated bytes."""
    if path.suffix == ".wacz":
        with zipfile.ZipFile(path) as container:
            return sum(
                len(WARC_TYPE.findall(inflated(container.read(name))))
                for name in container.namelist()
                if name.endswith(".warc.gz")
            )
    pattern = ARC_LINE if ".arc" in path.name else WARC_TYPE
    return len(pattern.findall(inflated(path.read_bytes())))


def test_archives_of_others_and_broken_ones_keep_everything_readable(corpora):
    counts = {}
    for path in sorted((corpora / "foreign").iterdir()):
        found = extract([path])
        assert found.counts.unbalanced() == []
        count = found.counts.units["record"]
        assert (path.name, count.entered, count.failed.total()) == (path.name, responses(path), 0)
        counts[path.name] = count.to_json() | {"pages": [row["page_id"] for row in found.rows("pages")]}
    assert {name for name in counts if name.startswith("broken")} >= {
        "broken-nonchunked.arc.gz",
        "broken-nonchunked.warc.gz",
        "broken-truncated.arc",
    }
    # One crawl in two formats.
    assert counts["heritrix-2008.warc.gz"] == counts["heritrix-2008.arc.gz"]
