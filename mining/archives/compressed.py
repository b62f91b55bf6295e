"""The compressions of archives: how a file of each begins, readers that tell where members begin, and where reading
can go on after damage."""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import IO, Any

from fastwarc.stream_io import GzipReader, Lz4Reader, ZstdReader

_MAGICS = {"gz": b"\x1f\x8b", "zst": b"\x28\xb5\x2f\xfd", "lz4": b"\x04\x22\x4d\x18"}
#: Where a member may begin. Three bytes of gzip's magic alone stand by chance in every 16 MB: its flags and the
#: marks of its compressor are looked at too.
_BEGINS = {
    "gz": re.compile(rb"\x1f\x8b\x08[\x00-\x1f].{4}[\x00\x02\x04][\x00-\x0d\xff]", re.DOTALL),
    "zst": re.compile(rb"\x28\xb5\x2f\xfd"),
    "lz4": re.compile(rb"\x04\x22\x4d\x18"),
}
#: Long enough for the metadata line of an ARC file.
_LONGEST_BEGIN = 8192
_BLOCK = 1 << 20
#: Begins the frame with the dictionary of a whole file: https://iipc.github.io/warc-specifications/specifications/
#: warc-zstd/ .
_DICTIONARY_FRAME = struct.pack("<I", 0x184D2A5D)
_DICTIONARY_BYTES = 64 << 20


class ArchiveStream:
    """A file that may be compressed, as a whole or member by member. `stream` can seek, `name` says what it is called:
    that counts where the file's first bytes are broken."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        stream.seek(0)
        head = stream.read(4)
        self._dictionary = self._read_dictionary() if head == _DICTIONARY_FRAME else None
        if self._dictionary is not None:
            self.compression = "zst"
        else:
            suffix = name.lower().rpartition(".")[2]
            by_name = suffix if suffix in _MAGICS and not head.isascii() else ""
            self.compression = next((one for one, magic in _MAGICS.items() if head.startswith(magic)), by_name)

    @property
    def tells_members(self) -> bool:
        """Whether readers have a `frame_start_position` that can be relied on: that of LZ4 looks ahead."""
        return self.compression in ("gz", "zst")

    def text_reader(self, start: int) -> Any:
        """Reads the inflated content from `start` on, across members, whatever the compression."""
        self._stream.seek(start)
        if self.compression == "gz":
            return GzipMembers(self._stream, start)
        return Lz4Reader(self._stream) if self.compression == "lz4" else self.reader(start)

    def reader(self, start: int) -> Any:
        """Reads what the file holds from `start` on, across members, for fastwarc's iterator."""
        self._stream.seek(start)
        if not self.tells_members:
            # fastwarc sees by itself what it is.
            return self._stream
        if self._dictionary is not None:
            return ZstdReader(self._stream, dictionary=self._dictionary)
        return GzipReader(self._stream) if self.compression == "gz" else ZstdReader(self._stream)

    def next_start(self, after: int, plain: re.Pattern[bytes]) -> int | None:
        """Where, from `after` on, a member may begin or, in a file without compression, a match of `plain` begins;
        None at the end of the file."""
        begin = _BEGINS.get(self.compression, plain)
        self._stream.seek(after)
        position, tail = after, b""
        while block := self._stream.read(_BLOCK):
            window = tail + block
            found = begin.search(window)
            if found is not None and position - len(tail) + found.start() >= after:
                return position - len(tail) + found.start()
            position += len(block)
            tail = window[-_LONGEST_BEGIN:]
        return None

    def _read_dictionary(self) -> bytes:
        """The dictionary of a file: alone in a skippable frame, compressed or not."""
        (size,) = struct.unpack("<I", self._stream.read(4).ljust(4, b"\0"))
        data = self._stream.read(min(size, _DICTIONARY_BYTES))
        if not data.startswith(_MAGICS["zst"]):
            return bytes(data)
        inflated, reader = b"", ZstdReader(io.BytesIO(data))
        while len(inflated) < _DICTIONARY_BYTES and (piece := reader.read(_BLOCK)):
            inflated += piece
        return inflated


class GzipMembers:
    """Reads gzip member by member: what stands before damage comes first, and no read goes beyond a member."""

    def __init__(self, stream: IO[bytes], start: int) -> None:
        self._stream, self._position = stream, start
        self._inflater: Any = None
        self._raw = b""
        self._start = start

    def frame_start_position(self) -> int:
        """Where the member begins that was read last."""
        return self._start

    def read(self, size: int) -> bytes:
        """At most so many bytes; b"" at the end of the file. OSError where a member is broken."""
        while True:
            if not self._raw:
                self._raw = self._stream.read(1 << 16)
                if not self._raw:
                    return b""
            if self._inflater is None:
                self._start = self._position
                self._inflater = zlib.decompressobj(31)
            before = len(self._raw)
            try:
                data: bytes = self._inflater.decompress(self._raw, size)
            except zlib.error as error:
                raise OSError(str(error)) from error
            self._raw = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
            self._position += before - len(self._raw)
            if self._inflater.eof:
                self._inflater = None
            if data:
                return data
