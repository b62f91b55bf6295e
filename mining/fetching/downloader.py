"""img2dataset's `Downloader`, unpatched, on one shard of addresses, with everything around it ours.

img2dataset opens addresses with `urllib.request.urlopen`, so an opener of ours, installed for the process, is what it
fetches with; a resizer of ours passes bytes through, and a sample writer of ours takes them. It swallows exceptions
and tells errors as text only, so nothing is read from its answers but the bodies."""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
import sys
import types
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from email.message import Message
from typing import Any
from urllib.error import URLError

import pyarrow as pa

from schemas.errors import MissingPackageError

#: What an opener does for img2dataset: the body of an address, or URLError.
Open = Callable[[str], bytes]
#: What a sample writer does for us: address, body or None, img2dataset's error message or None.
Write = Callable[[str, bytes | None, str | None], None]


class _Body(io.BytesIO):
    """An answer as img2dataset reads one: a context manager with `read` and `headers`."""

    headers = Message()


class SandboxOpener(urllib.request.OpenerDirector):
    """Stands in for urllib's opener; knows no scheme, no proxy and no redirect, only the sandbox."""

    def __init__(self, open_address: Open) -> None:
        super().__init__()
        self._open_address = open_address

    def open(self, fullurl: Any, data: Any = None, timeout: Any = None) -> Any:
        """The body of an address as a file. URLError for everything that has none."""
        if data is not None:
            raise URLError("the sandbox sends nothing")
        url = fullurl.full_url if isinstance(fullurl, urllib.request.Request) else str(fullurl)
        return _Body(self._open_address(url))


@contextmanager
def installed(opener: urllib.request.OpenerDirector) -> Iterator[None]:
    """Have the whole process open addresses with `opener`, then with the one before it again."""
    before = getattr(urllib.request, "_opener", None)
    urllib.request.install_opener(opener)
    try:
        yield
    finally:
        # install_opener stores what it is given; None is urllib's own state before the first use.
        urllib.request.install_opener(before)


class _SampleWriter:
    """img2dataset's sample writer interface in front of a function."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def write(self, img_str: bytes | None, key: str, caption: str | None, meta: dict[str, Any]) -> None:
        self._write(meta["url"], img_str, meta["error_message"])

    def close(self) -> None:
        """Nothing is held back."""


def _pass_through(stream: io.BytesIO, boxes: Any = None) -> tuple[bytes, None, None, None, None, None]:
    """A resizer that decodes nothing: the bytes as they came, no sizes, no error."""
    return stream.read(), None, None, None, None, None


def downloader_class() -> Any:
    """img2dataset's `Downloader`.

    Its module is imported without the package's `__init__`, which brings torch, webdataset and albumentations along:
    seconds of a processor, and a request to the network, for nothing that the downloader needs."""
    name = "img2dataset"
    if f"{name}.downloader" not in sys.modules:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.submodule_search_locations is None:
            raise MissingPackageError(name, "fetch", "fetching images")
        package = types.ModuleType(name)
        package.__path__ = list(spec.submodule_search_locations)
        before = sys.modules.get(name)
        sys.modules[name] = before or package
        try:
            importlib.import_module(f"{name}.downloader")
        except ImportError as error:
            raise MissingPackageError(str(error.name), "fetch", "fetching images") from error
        finally:
            # Whoever imports the package itself gets the whole of it.
            if before is None:
                del sys.modules[name]
    return sys.modules[f"{name}.downloader"].Downloader


def download_pass(urls: Sequence[str], number: int, threads: int, folder: str, write: Write) -> bool:
    """Have img2dataset fetch addresses (ASCII, distinct), in about that order, with so many threads.

    The opener must be installed; `write` is called from this thread. Whether img2dataset believes it went through."""
    os.makedirs(folder, exist_ok=True)
    shard = os.path.join(folder, f"pass-{number}.arrow")
    table = pa.table({"url": pa.array(urls, pa.string())})
    with pa.OSFile(shard, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    downloader = downloader_class()(
        sample_writer_class=lambda *_: _SampleWriter(write),
        resizer=_pass_through,
        thread_count=threads,
        save_caption=False,
        extract_exif=False,
        output_folder=folder,
        column_list=["url"],
        timeout=None,
        number_sample_per_shard=max(2, len(urls)),
        oom_shard_count=5,
        compute_hash=None,
        verify_hash_type=None,
        encode_format="jpg",
        retries=0,
        user_agent_token=None,
        disallowed_header_directives=None,
    )
    done, _ = downloader((number, shard))
    return bool(done)
