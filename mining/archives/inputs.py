"""What a user names as input, to archives: paths, globs, folders, addresses, and lists of paths."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from schemas.errors import ConfigurationError
from schemas.ids import digest
from schemas.storage import filesystem

#: How much of a plan an archive counts whose size only its server knows: Common Crawl's files have about a gibibyte.
UNKNOWN_SIZE = 1 << 30
_COMPRESSIONS = ("", ".gz", ".zst", ".lz4")
_HTML = (".html", ".htm", ".xhtml")
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

    A folder gives its archives and, where it holds HTML, its pages and images (a file `HOST/PATH` below it stands for
    `http://HOST/PATH`, as `wget --mirror` lays them out). A list of paths gives `base` and each line. Raises
    ConfigurationError for a pattern that names nothing.
    """
    found: dict[str, ArchiveFile] = {}
    for pattern in patterns:
        before = len(found)
        for archive in _expand(pattern, base):
            found.setdefault(archive.path, archive)
        if len(found) == before and not any(True for _ in _expand(pattern, base)):
            raise ConfigurationError(f"--input {pattern} names no archive: check the path, and quote globs.")
    ordered = [found[path] for path in sorted(found)]
    if sample is not None and sample < len(ordered):
        ranked = sorted(ordered, key=lambda one: digest("sample", str(seed), one.path))
        ordered = sorted(ranked[:sample], key=lambda one: one.path)
    return ordered


def _expand(pattern: str, base: str | None) -> Iterator[ArchiveFile]:
    if kind_of(pattern) == "paths":
        yield from _path_list(pattern, base)
        return
    if pattern.startswith(("http://", "https://")):
        kind = kind_of(pattern.partition("?")[0])
        if kind is None:
            raise ConfigurationError(
                f"--input {pattern} is no archive by its name: .warc, .arc or .wacz, compressed or not."
            )
        yield ArchiveFile(pattern, kind, UNKNOWN_SIZE, "address")
        return
    fs, path = filesystem(pattern)
    if any(sign in path for sign in "*?[") and not fs.exists(path):
        matches = fs.glob(path, detail=True)
    elif not fs.exists(path):
        raise ConfigurationError(f"--input {pattern} does not exist: check the path, and quote globs.")
    else:
        matches = {path: fs.info(path)}
    for name in sorted(matches):
        info = matches[name]
        if info["type"] == "directory":
            yield from _folder(fs, name)
        elif (kind := kind_of(name)) == "paths":
            yield from _path_list(fs.unstrip_protocol(name), base)
        elif kind is not None:
            yield _archive(fs, name, info, kind)
        elif name.lower().endswith(_HTML):
            yield _archive(fs, name, info, "html", url=f"http://{quote(os.path.basename(name))}")


def _folder(fs: Any, root: str) -> Iterator[ArchiveFile]:
    files = fs.find(root, detail=True)
    pages = any(name.lower().endswith(_HTML) for name in files)
    for name in sorted(files):
        kind = kind_of(name)
        if kind in ("warc", "arc", "wacz"):
            yield _archive(fs, name, files[name], kind)
        elif pages and name.lower().endswith(_HTML + _IMAGES):
            relative = name[len(root.rstrip("/")) + 1 :]
            yield _archive(fs, name, files[name], "html", url=f"http://{quote(relative, safe='/:@?&=+,;~%')}")


def _archive(fs: Any, name: str, info: dict[str, Any], kind: str, url: str = "") -> ArchiveFile:
    stamp = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("updated") or ""
    # Local paths stay plain: a run begun from another folder must know them again.
    path = name if fs.protocol in ("file", ("file", "local")) else fs.unstrip_protocol(name)
    return ArchiveFile(path, kind, int(info["size"]), f"{info['size']} {stamp}", url)


def _path_list(pattern: str, base: str | None) -> Iterator[ArchiveFile]:
    # `read` imports this module: a list is opened as an archive is, over HTTP too.
    from mining.archives.read import open_archive

    try:
        with open_archive(pattern) as stream:
            data = stream.read()
    except OSError as error:
        raise ConfigurationError(f"cannot read the list of paths {pattern}: {error}.") from error
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    lines = [line.strip() for line in io.StringIO(data.decode("utf-8", "replace")) if line.strip()]
    yield from _listed(lines, pattern, base)


def _listed(lines: Iterable[str], pattern: str, base: str | None) -> Iterator[ArchiveFile]:
    for line in lines:
        address = line
        if "://" not in line:
            if base is None:
                raise ConfigurationError(
                    f"{pattern} lists paths without a place: name it with --base, such as "
                    "--base https://data.commoncrawl.org/."
                )
            address = f"{base.rstrip('/')}/{line.lstrip('/')}"
        kind = kind_of(line)
        if kind in ("warc", "arc", "wacz"):
            yield ArchiveFile(address, kind, UNKNOWN_SIZE, "listed")
