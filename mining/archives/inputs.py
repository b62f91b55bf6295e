"""What a user names as input, to archives: paths, globs, folders, addresses, and lists of paths."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from schemas.errors import ConfigurationError
from schemas.ids import digest
from schemas.storage import filesystem

#: How much of a plan an archive counts whose size only its server knows: Common Crawl's files have about a gibibyte.
UNKNOWN_SIZE = 1 << 30
_COMPRESSIONS = ("", ".gz", ".zst", ".lz4")
_NAMES = "check the path and quote globs; archives are called .warc, .arc, .wacz, .paths or .html, compressed or not."
_HTML = (".html", ".htm", ".xhtml")
#: A path list of Common Crawl has ten megabytes.
_LIST_BYTES = 1 << 30
#: The beginning of a path below a folder of hosts: a name with a dot, or a machine of its own with a port.
_HOST_FOLDER = re.compile(r"(?:[a-z0-9-]+\.)+[a-z0-9-]+(?:[:+]\d+)?/|localhost(?:[:+]\d+)?/|[a-z0-9-]+[:+]\d+/", re.I)
_IMAGES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".jp2", ".svg")


@dataclass(frozen=True)
class ArchiveFile:
    """One file to read. `url` is the address that a file of a folder of HTML stands for."""

    path: str
    kind: str
    size: int
    fingerprint: str
    url: str = ""

    @property
    def name(self) -> str:
        """Base name."""
        return self.path.rstrip("/").rsplit("/", 1)[-1]


def kind_of(name: str) -> str | None:
    """warc, arc, wacz or paths by a file's name; None for anything else."""
    lower = name.lower()
    for kind in ("warc", "arc", "paths"):
        if lower.endswith(tuple(f".{kind}{compression}" for compression in _COMPRESSIONS)):
            return kind
    return "wacz" if lower.endswith(".wacz") else None


def list_inputs(
    patterns: Sequence[str], *, base: str | None = None, sample: int | None = None, seed: int = 0
) -> list[ArchiveFile]:
    """All archives that the patterns name, sorted by path, each once; a sample of them by hash if one is asked for.

    A folder gives its archives and, where it holds HTML, its pages and images: a file `HOST/PATH` below a folder of
    hosts, as `wget --mirror` lays them out, stands for `http://HOST/PATH`; any other folder of pages is a site of its
    own, `http://FOLDER/PATH`. A list of paths gives `base` and each line. Raises ConfigurationError for a pattern that
    names nothing.
    """
    found: dict[str, ArchiveFile] = {}
    for pattern in patterns:
        before = len(found)
        for archive in _expand(pattern, base):
            found.setdefault(archive.path, archive)
        if len(found) == before and not any(True for _ in _expand(pattern, base)):
            raise ConfigurationError(f"--input {pattern} names no archive: {_NAMES}")
    ordered = [found[path] for path in sorted(found)]
    if sample is not None and sample < len(ordered):
        ranked = sorted(ordered, key=lambda one: digest("sample", str(seed), one.path))
        ordered = sorted(ranked[:sample], key=lambda one: one.path)
    return ordered


def _expand(pattern: str, base: str | None) -> Iterator[ArchiveFile]:
    glob = any(sign in pattern for sign in "*?[") and not pattern.startswith(("http://", "https://"))
    if kind_of(pattern) == "paths" and not glob:
        yield from _path_list(pattern, base)
        return
    if pattern.startswith(("http://", "https://")):
        kind = kind_of(pattern.partition("?")[0])
        if kind is None:
            raise ConfigurationError(f"--input {pattern} names no archive: {_NAMES}")
        yield ArchiveFile(pattern, kind, UNKNOWN_SIZE, "address")
        return
    fs, path = filesystem(pattern)
    if glob and not fs.exists(path):
        matches = fs.glob(path, detail=True)
        root = re.split(r"[*?\[]", path, maxsplit=1)[0].rpartition("/")[0]
    elif not fs.exists(path):
        raise ConfigurationError(f"--input {pattern} does not exist: check the path, and quote globs.")
    else:
        matches = {path: fs.info(path)}
        root = path.rstrip("/").rpartition("/")[0]
    files = {}
    for name in sorted(matches):
        if matches[name]["type"] == "directory":
            yield from _files(fs, name, fs.find(name, detail=True), lists=False, base=base)
        else:
            files[name] = matches[name]
    yield from _files(fs, root, files, lists=True, base=base)


def _files(fs: Any, root: str, files: dict[str, Any], *, lists: bool, base: str | None) -> Iterator[ArchiveFile]:
    """The archives among files below `root`; where there are pages among them, these and their images."""
    html = [name for name in files if name.lower().endswith(_HTML)]
    start = len(root.rstrip("/")) + 1
    # Folders of hosts, as `wget --mirror` makes them, or the folder of one site?
    mirror = all(_HOST_FOLDER.match(name[start:]) for name in html)
    for name in sorted(files):
        kind = kind_of(name)
        if kind == "paths":
            if lists:
                yield from _path_list(fs.unstrip_protocol(name), base)
        elif kind is not None:
            yield _archive(fs, name, files[name], kind)
        elif html and name.lower().endswith(_HTML + _IMAGES):
            path = quote(name[start:], safe="/:@&=+,;~")
            site = re.sub(r"[^a-z0-9.-]+", "-", root.rstrip("/").rpartition("/")[2].lower()) or "folder"
            yield _archive(fs, name, files[name], "html", url=f"http://{path}" if mirror else f"http://{site}/{path}")


def _archive(fs: Any, name: str, info: dict[str, Any], kind: str, url: str = "") -> ArchiveFile:
    stamp = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("updated") or ""
    # Local paths stay plain: a run begun from another folder must know them again.
    path = name if fs.protocol in ("file", ("file", "local")) else fs.unstrip_protocol(name)
    return ArchiveFile(path, kind, int(info["size"]), f"{info['size']} {stamp}", url)


def _path_list(pattern: str, base: str | None) -> Iterator[ArchiveFile]:
    # `read` imports this module: a list is opened as an archive is, over HTTP too.
    from mining.archives.compressed import ArchiveStream
    from mining.archives.read import open_archive

    parts: list[bytes] = []
    try:
        with closing(open_archive(pattern)) as stream:
            text = ArchiveStream(stream, pattern).text_reader(0)
            while piece := text.read(1 << 20):
                parts.append(piece)
                if len(parts) > _LIST_BYTES >> 20:
                    raise ConfigurationError(f"the list of paths {pattern} holds more than {_LIST_BYTES} bytes.")
    except OSError as error:
        raise ConfigurationError(f"cannot read the list of paths {pattern}: {error}.") from error
    lines = [line.strip() for line in b"".join(parts).decode("utf-8", "replace").splitlines()]
    yield from _listed([line for line in lines if line], pattern, base)


def _listed(lines: Iterable[str], pattern: str, base: str | None) -> Iterator[ArchiveFile]:
    for line in lines:
        address = line
        if base is not None and "://" not in line:
            address = f"{base.rstrip('/')}/{line.lstrip('/')}"
        elif "://" not in line and not line.startswith("/"):
            raise ConfigurationError(
                f"{pattern} lists paths without a place: name it with --base, such as "
                "--base https://data.commoncrawl.org/."
            )
        kind = kind_of(line)
        if kind in ("warc", "arc", "wacz"):
            yield ArchiveFile(address, kind, UNKNOWN_SIZE, "listed")
