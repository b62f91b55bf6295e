"""Pages whose images are fetched give the same pairs as the same pages with their images in the archive."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pyarrow.parquet as pq
from rich.console import Console
from selectolax.lexbor import LexborHTMLParser
from warcio.archiveiterator import ArchiveIterator

from lensmith.run import RunOptions, run
from lensmith.settings import load_settings

from .replay_server import Stored, serving

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CRAWLED = "http://127.0.0.1:8101"
PAGES = ("fx", "resizecrop", "colorenhancement", "transform")
SETTINGS = {
    "fetch_images": {"allow_hosts": ["127.0.0.1"], "host_interval": 0, "host_concurrency": 4, "backoff_seconds": 0.05},
    "annotate_images": {"threads": 1},
}


def archived(folder: Path) -> dict[str, tuple[str, bytes]]:
    """The answers in an example's archives: path → media type and body."""
    found = {}
    for path in sorted(folder.glob("*.warc.gz")):
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream):
                if record.rec_type == "response":
                    address = urlsplit(record.rec_headers.get_header("WARC-Target-URI").strip("<>"))
                    body = record.content_stream().read()
                    found[address.path] = (record.http_headers.get_header("Content-Type"), body)
    return found


def shown(path: str, markup: bytes) -> set[str]:
    """Paths of the images that a page shows."""
    images = LexborHTMLParser(markup).css("img[src]")
    return {urlsplit(urljoin(CRAWLED + path, image.attributes["src"])).path for image in images}


def work(source: Path, output: Path, until: str, retry: str | None = None) -> dict:
    """Run the job so far; its entry of the funnel for addresses."""
    options = RunOptions(str(output), (str(source),), until=until, retry=retry)
    run(options, load_settings("local", None, SETTINGS | {"run": {"max_failed": 1}}), Console(quiet=True))
    stages = json.loads((output / "funnel.json").read_text())["stages"]
    return next((entry for entry in stages if entry["unit"] == "address"), {})


def pairs(output: Path) -> list[dict]:
    rows = [row for path in (output / "pairs").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    return sorted(rows, key=lambda row: row["pair_id"])


def test_a_replayed_site_with_faults_gives_the_pairs_of_its_archive(tmp_path, make_warc, answer):
    pages = {f"/guide/{name}.html": archived(EXAMPLES / "wand-html")[f"/guide/{name}.html"] for name in PAGES}
    held = archived(EXAMPLES / "wand")
    images = {path: held[path] for page, (_, markup) in pages.items() for path in shown(page, markup)}
    assert len(images) > 30
    with serving({path: Stored(body, mime) for path, (mime, body) in images.items()}) as server:

        def records(answers):
            return [answer(server.root + path, body, mime) for path, (mime, body) in sorted(answers.items())]

        make_warc(tmp_path / "full" / "a.warc.gz", records(pages | images))
        make_warc(tmp_path / "html" / "a.warc.gz", records(pages))
        work(tmp_path / "full", tmp_path / "from-archive", "mine_pairs")
        assert not server.log

        server.drop_every, server.error_every = 4, 3
        entry = work(tmp_path / "html", tmp_path / "fetched", "fetch_images")
        assert entry["in"] == len(images)
        rounds = 0
        while entry["failed"]:
            rounds += 1
            assert rounds < 20
            entry = work(tmp_path / "html", tmp_path / "fetched", "fetch_images", retry="failed")
        assert entry["kept"] == len(images)
        work(tmp_path / "html", tmp_path / "fetched", "mine_pairs")
    expected = pairs(tmp_path / "from-archive")
    assert len(expected) > 10
    assert pairs(tmp_path / "fetched") == expected
