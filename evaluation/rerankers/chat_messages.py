"""What a chat model is asked when it orders candidate images, and how its answer is read."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.rerankers.order import Int64Array

SYSTEM = (
    "You order candidate pictures by how well they answer a search. The search is a text, or a reference picture with "
    "a text that says how the wanted picture differs from it. Answer with the numbers of the candidates, the best "
    "first, each once, as one JSON list such as [2, 0, 1], and nothing else."
)

#: First bytes of the formats that chat endpoints take, and their media types.
_SIGNATURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
)
_LIST = re.compile(r"\[[^\[\]{}]*\]")


@dataclass(frozen=True)
class RerankQuery:
    """A search and its candidates, the best first: encoded image files (PNG, JPEG, GIF or WebP)."""

    instruction: str
    candidates: Sequence[bytes]
    image: bytes | None = None


class UnknownImageError(ValueError):
    """A picture in a format that chat endpoints do not take."""


class UnreadableAnswerError(ValueError):
    """An answer that does not order the candidates."""


def data_uri(image: bytes) -> str:
    """An encoded image as a data URI. Raises UnknownImageError for other formats than PNG, JPEG, GIF and WebP."""
    for signature, media_type in _SIGNATURES:
        if signature.match(image):
            return f"data:{media_type};base64,{base64.b64encode(image).decode('ascii')}"
    raise UnknownImageError("the first bytes are those of no PNG, JPEG, GIF or WebP file")


def messages(query: RerankQuery, count: int) -> list[Mapping[str, Any]]:
    """The messages that ask for an order of the first `count` candidates. Raises UnknownImageError."""
    content: list[Mapping[str, Any]] = []
    if query.image is not None:
        content += [_text("Reference picture:"), _picture(query.image)]
    content.append(_text(f"Text of the search: {query.instruction}"))
    for number, image in enumerate(query.candidates[:count]):
        content += [_text(f"Candidate {number}:"), _picture(image)]
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}]


def content_of(body: str) -> str:
    """The text of the first choice in the body of a chat completion. Raises UnreadableAnswerError."""
    try:
        data = json.loads(body)
        content = data["choices"][0]["message"]["content"]
    except (ValueError, RecursionError, KeyError, IndexError, TypeError) as error:
        raise UnreadableAnswerError("the body is no chat completion") from error
    if not isinstance(content, str):
        raise UnreadableAnswerError("the answer holds no text")
    return content


def parse_order(answer: str, count: int) -> Int64Array:
    """The order of `count` candidates that an answer gives: its last list of whole numbers.

    Candidates that the list leaves out follow in their old order. Raises UnreadableAnswerError where there is no such
    list, it is empty, names a candidate twice or one that does not exist."""
    for found in reversed(_LIST.findall(answer)):
        try:
            numbers = json.loads(found)
        except (ValueError, RecursionError):
            continue
        if numbers and all(type(number) is int for number in numbers):
            break
    else:
        raise UnreadableAnswerError("the answer holds no list of numbers")
    named = set(numbers)
    if len(named) < len(numbers) or not named <= set(range(count)):
        raise UnreadableAnswerError("the list names a candidate twice or one that does not exist")
    return np.array([*numbers, *(number for number in range(count) if number not in named)], dtype=np.int64)


def _text(text: str) -> Mapping[str, Any]:
    return {"type": "text", "text": text}


def _picture(image: bytes) -> Mapping[str, Any]:
    return {"type": "image_url", "image_url": {"url": data_uri(image)}}
