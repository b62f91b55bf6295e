"""Ids made from content: equal content has an equal id on every machine and in every run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

_SEPARATOR = b"\x00"


def digest(*parts: str | bytes) -> str:
    """Lowercase hex SHA-256 (64 characters) over length-prefixed parts, so that no two lists of parts collide."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        state.update(str(len(data)).encode() + _SEPARATOR)
        state.update(data)
    return state.hexdigest()


def payload_digest(body: bytes) -> str:
    """Lowercase hex SHA-256 of a body after de-chunking and content decoding."""
    return hashlib.sha256(body).hexdigest()


image_id = payload_digest


def page_id(url: str, body_digest: str) -> str:
    """Id of a capture of a page: its address as the record writes it and the digest of its decoded body."""
    return digest("page", url, body_digest)[:32]


def pair_id(page: str, query_image_id: str, target_image_id: str) -> str:
    """Id of an ordered pair of images on one page."""
    return digest("pair", page, query_image_id, target_image_id)[:32]


def request_id(
    prompt: str, version: str, model: str, parameters: dict[str, Any], messages: Any, image_ids: Sequence[str] = ()
) -> str:
    """Id of one question to a model: everything that its answer depends on, nothing else."""
    return digest("request", prompt, version, model, canonical_json(parameters), canonical_json(messages), *image_ids)[
        :32
    ]


def triplet_id(pair: str, instruction: str) -> str:
    """Id of a triplet: its pair and its instruction."""
    return digest("triplet", pair, instruction)[:32]


def chain_id(triplet_ids: Sequence[str]) -> str:
    """Id of a chain: its triplets in their order."""
    return digest("chain", *triplet_ids)[:32]


def text_id(text: str) -> str:
    """Id of a text that is embedded once."""
    return digest("text", text)[:32]


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no blanks: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
