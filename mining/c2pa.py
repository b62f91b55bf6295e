"""What a C2PA manifest store says of an image's making, read without checking signatures.

A store is JUMBF (ISO/IEC 19566-5): boxes of length, type and payload; a superbox `jumb` begins with a description
`jumd` that holds its label. Inside lie manifests, the active one last (C2PA 2.1, section 11); in each the claim and the
assertions, in CBOR (RFC 8949) or JSON. A manifest is a statement of whoever wrote it: it need not be true.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

#: Boxes of a store, depth of its boxes, size of a part that is read, items and depth of one CBOR part.
_BOXES = 4096
_DEPTH = 8
_PART = 512 << 10
_ITEMS = 20_000
_NESTING = 16


@dataclass(frozen=True)
class Manifest:
    """One manifest: names of the programs that made the claim, (action, digital source type) of its actions in their
    order, the type's last path part alone, and its JSON assertions as they stand."""

    label: str
    generators: tuple[str, ...]
    actions: tuple[tuple[str, str | None], ...]
    json: tuple[bytes, ...]


def manifests(store: bytes) -> list[Manifest]:
    """The manifests of a store in their order: the last one speaks for the image, the others for what went into it.

    Empty for bytes that are no store; never raises."""
    found: dict[str, dict[str, list[Any]]] = {}
    for path, kind, body in _parts(store):
        if len(path) < 3 or path[0] != "c2pa" or len(body) > _PART:
            continue
        one = found.setdefault(path[1], {"generators": [], "actions": [], "json": []})
        if kind == b"json":
            one["json"].append(bytes(body))
        elif kind == b"cbor" and path[2].startswith("c2pa.claim"):
            one["generators"] += _generators(_cbor(bytes(body)))
        elif kind == b"cbor" and path[-1].startswith("c2pa.actions"):
            one["actions"] += _actions(_cbor(bytes(body)))
    return [
        Manifest(label, tuple(one["generators"]), tuple(one["actions"]), tuple(one["json"]))
        for label, one in found.items()
    ]


def _parts(store: bytes) -> Iterator[tuple[tuple[str, ...], bytes, memoryview]]:
    """Content boxes with the labels of the superboxes around them, in file order."""
    left = _BOXES
    stack: list[tuple[tuple[str, ...], memoryview]] = [((), memoryview(store))]
    while stack:
        path, rest = stack.pop()
        if len(rest) < 8 or left == 0:
            continue
        left -= 1
        size, kind = int.from_bytes(rest[:4]), bytes(rest[4:8])
        head = 8
        if size == 1 and len(rest) >= 16:
            size, head = int.from_bytes(rest[8:16]), 16
        size = len(rest) if size == 0 else size
        if size < head:
            continue
        body = rest[head:size]
        stack.append((path, rest[size:]))
        if kind == b"jumb" and len(path) < _DEPTH:
            label, inner = _described(body)
            stack.append(((*path, label), inner))
        else:
            yield path, kind, body


def _described(body: memoryview) -> tuple[str, memoryview]:
    """The label of a superbox, and what stands behind its description: 16 bytes of type, switches, a label."""
    size = int.from_bytes(body[:4])
    if bytes(body[4:8]) != b"jumd" or not 25 <= size <= len(body):
        return "", body
    label = b""
    if body[24] & 2:
        label = bytes(body[25 : min(size, 25 + 256)]).partition(b"\0")[0]
    return label.decode("utf-8", "replace"), body[size:]


def _generators(claim: Any) -> Iterator[str]:
    if not isinstance(claim, dict):
        return
    name, info = claim.get("claim_generator"), claim.get("claim_generator_info")
    if isinstance(name, str):
        yield name
    for one in info if isinstance(info, list) else [info]:
        if isinstance(one, dict) and isinstance(one.get("name"), str):
            yield one["name"]


def _actions(assertion: Any) -> Iterator[tuple[str, str | None]]:
    listed = assertion.get("actions") if isinstance(assertion, dict) else None
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict) and isinstance(one.get("action"), str):
            source = one.get("digitalSourceType")
            yield one["action"], source.rpartition("/")[2] if isinstance(source, str) else None


class _CutError(Exception):
    """The bytes end early, nest too deeply or hold too much."""


def _cbor(data: bytes) -> Any:
    """The first item, None where it is broken: maps, lists, texts, byte strings, numbers, tags (dropped)."""
    try:
        return _Items(data).next(0)
    except _CutError:
        return None


class _Items:
    def __init__(self, data: bytes) -> None:
        self._data, self._at, self._left = data, 0, _ITEMS

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise _CutError
        taken, self._at = self._data[self._at : end], end
        return taken

    def next(self, depth: int) -> Any:
        """The item at hand; `_BREAK` at the end of one of unknown length."""
        self._left -= 1
        if self._left < 0 or depth > _NESTING:
            raise _CutError
        first = self._take(1)[0]
        major, extra = first >> 5, first & 31
        if 28 <= extra <= 30:
            raise _CutError
        open_end = extra == 31
        value = 0 if open_end else extra if extra < 24 else int.from_bytes(self._take(1 << (extra - 24)))
        if major == 7:
            return _BREAK if open_end else {20: False, 21: True}.get(extra)
        if open_end and major not in (2, 3, 4, 5):
            raise _CutError
        if major in (0, 1):
            return value if major == 0 else -1 - value
        if major == 6:
            return self.next(depth + 1)
        if major in (2, 3):
            raw = b"".join(self._chunks(depth)) if open_end else self._take(value)
            return raw if major == 2 else raw.decode("utf-8", "replace")
        return self._collection(major == 5, None if open_end else value, depth)

    def _chunks(self, depth: int) -> Iterator[bytes]:
        while (chunk := self.next(depth + 1)) is not _BREAK:
            if not isinstance(chunk, str | bytes):
                raise _CutError
            yield chunk.encode() if isinstance(chunk, str) else chunk

    def _collection(self, mapping: bool, count: int | None, depth: int) -> Any:
        entries: list[tuple[Any, Any]] = []
        while count is None or len(entries) < count:
            key = self.next(depth + 1)
            if key is _BREAK:
                break
            entries.append((key, self.next(depth + 1) if mapping else None))
        if not mapping:
            return [key for key, _ in entries]
        return {key: value for key, value in entries if isinstance(key, str)}


_BREAK = object()
