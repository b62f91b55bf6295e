"""A small site as a WARC file: what the tests of archives, jobs and commands read."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def picture(seed: int, kind: str = "PNG", size: tuple[int, int] = (180, 140)) -> bytes:
    """A picture with texture of its own: a coarse pattern of colours, enlarged."""
    rng = np.random.default_rng(seed)
    base = np.random.default_rng(seed // 10).integers(0, 255, (6, 8, 3))
    small = (0.6 * base + 0.4 * rng.integers(0, 255, (6, 8, 3))).astype(np.uint8)
    sink = io.BytesIO()
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(sink, kind)
    return sink.getvalue()


@dataclass
class Answer:
    """One archived answer."""

    url: str
    body: bytes
    mime: str = "text/html; charset=utf-8"
    status: str = "200 OK"
    headers: Sequence[tuple[str, str]] = ()
    kind: str = "response"
    digest: str | None = None


@dataclass
class Site:
    """Pages and pictures of one site."""

    answers: list[Answer] = field(default_factory=list)


def write_warc(path: Path, answers: Iterable[Answer], gzip: bool = True) -> Path:
    """Write answers as a WARC file with fixed dates and ids."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as sink:
        writer = WARCWriter(sink, gzip=gzip)
        for number, one in enumerate(answers):
            http = StatusAndHeaders(one.status, [("Content-Type", one.mime), *one.headers], protocol="HTTP/1.1")
            headers = {
                "WARC-Date": "2026-05-04T03:02:01Z",
                "WARC-Record-ID": f"<urn:uuid:00000000-0000-4000-8000-{number:012d}>",
            }
            if one.digest:
                headers["WARC-Payload-Digest"] = one.digest
            record = writer.create_warc_record(
                one.url,
                one.kind,
                payload=io.BytesIO(one.body),
                http_headers=http if one.kind != "resource" else None,
                warc_content_type=one.mime if one.kind == "resource" else "",
                warc_headers_dict=headers,
            )
            writer.write_record(record)
    return path


_MOTIFS = ("red fox", "old bridge", "lighthouse", "paper boat", "windmill", "stone arch")


def small_site(host: str = "http://site.example", pages: int = 3, images: int = 4, seed: int = 0) -> list[Answer]:
    """`pages` pages of `images` pictures each, with alternative texts, and a robots.txt."""
    answers = [Answer(f"{host}/robots.txt", b"User-agent: *\nAllow: /\n", "text/plain")]
    for page in range(pages):
        body = [f"<html lang=en><head><title>Gallery {page}</title></head><body><h1>Views {page}</h1>"]
        for number in range(images):
            name = f"/pictures/{page}-{number}.png"
            text = f"{_MOTIFS[number % len(_MOTIFS)]} in {('spring', 'summer', 'autumn', 'winter')[page % 4]}"
            body.append(f'<p>About it. <img src="{name}" alt="{text}" width=180> More of it.</p>')
            answers.append(Answer(host + name, picture(seed + 10 * page + number), "image/png"))
        body.append("</body></html>")
        answers.append(Answer(f"{host}/page{page}.html", "".join(body).encode()))
    return answers


@pytest.fixture
def site_warc(tmp_path: Path) -> Path:
    """The small site as one file."""
    return write_warc(tmp_path / "input" / "site.warc.gz", small_site())


@pytest.fixture
def corpora() -> Path:
    """Real crawls, where the environment names them."""
    path = os.environ.get("LENSMITH_CORPORA")
    if not path or not Path(path).is_dir():
        pytest.skip("LENSMITH_CORPORA names no folder of crawls")
    return Path(path)


@pytest.fixture
def make_warc() -> Callable[..., Path]:
    """`write_warc`."""
    return write_warc


@pytest.fixture
def make_site() -> Callable[..., list[Answer]]:
    """`small_site`."""
    return small_site


@pytest.fixture
def answer() -> type[Answer]:
    """One archived answer."""
    return Answer


@pytest.fixture(scope="session")
def make_picture() -> Callable[..., bytes]:
    """`picture`."""
    return picture


@pytest.fixture(scope="module")
def s3_environment() -> Iterator[dict[str, str]]:
    """An S3-compatible server on loopback: the environment that leads to it.

    fsspec keeps filesystems for the process: what another test's server left must not answer here, nor this one later.
    """
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    host, port = server.get_host_and_port()
    s3fs.S3FileSystem.clear_instance_cache()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()
