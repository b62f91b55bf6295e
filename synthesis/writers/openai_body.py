"""Requests as bodies of the chat completions API, and its answers as the fields of ours."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal

Structured = Literal["schema", "object", "off"]

#: Statuses that say "later" rather than "no"; those from 500 on do too.
_PASSING = frozenset({408, 409, 425, 429})
_JSON = json.JSONEncoder(separators=(",", ":"), check_circular=False)
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_-]+")
_FORM_NAMES = re.compile(rb"response_format|json_schema|json_object|structured.outputs?", re.I)
#: First bytes of image files → their media type.
_TYPES = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"GIF8", "image/gif"))


@dataclass(frozen=True)
class Asked:
    """What came of asking once. `fields` of an answer, or its `error`; `passing` if it may go well another time,
    `unserved` if the endpoint cannot serve now (`retry_after` seconds, 0 if it does not say for how long), and
    `form_refused` if it does not know `response_format`."""

    fields: Mapping[str, Any] | None = None
    error: str = ""
    passing: bool = False
    unserved: bool = False
    retry_after: float = 0.0
    form_refused: bool = False


def body_of(request: Mapping[str, Any], model: str, structured: Structured) -> bytes:
    """The JSON body of a request. `image_side` stays here: the images have that size already."""
    images = request.get("images") or ()
    body: dict[str, Any] = {
        "model": model,
        "messages": [_message(one, images) for one in request["messages"]] if images else list(request["messages"]),
    }
    parameters = dict(request["parameters"])
    parameters.pop("image_side", None)
    schema = parameters.pop("schema", None)
    if schema is not None and structured != "off":
        body["response_format"] = _response_format(schema, str(request.get("prompt") or "answer"), structured)
    return _JSON.encode(body | parameters).encode()


def _message(message: Mapping[str, Any], images: Sequence[bytes]) -> Mapping[str, Any]:
    content = message["content"]
    if isinstance(content, str):
        return message
    return {**message, "content": [_part(part, images) for part in content]}


def _part(part: Mapping[str, Any], images: Sequence[bytes]) -> Mapping[str, Any]:
    if part["type"] != "image":
        return part
    return {"type": "image_url", "image_url": {"url": data_uri(images[part["image"]])}}


def data_uri(image: bytes) -> str:
    """An encoded image as a data URI; its type is told by its first bytes."""
    found = next((kind for start, kind in _TYPES if image.startswith(start)), "application/octet-stream")
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        found = "image/webp"
    return f"data:{found};base64,{base64.b64encode(image).decode('ascii')}"


def _response_format(schema: Mapping[str, Any], name: str, structured: Structured) -> Mapping[str, Any]:
    if structured == "object":
        return {"type": "json_object"}
    short = _NOT_IN_A_NAME.sub("_", name)[:64]
    return {"type": "json_schema", "json_schema": {"name": short, "strict": True, "schema": schema}}


def read_answer(status: int, headers: Mapping[str, str], body: bytes, had_form: bool) -> Asked:
    """What an HTTP answer says. `headers` with names in lower case; `had_form`: whether `response_format` was sent."""
    if status in _PASSING or status >= 500:
        pause = retry_after(headers.get("retry-after", ""), time.time())
        unserved = status == 429 or status >= 500 or pause > 0
        return Asked(error=f"http_{status}", passing=True, unserved=unserved, retry_after=pause)
    if status in (400, 422) and had_form and _FORM_NAMES.search(body):
        return Asked(error=f"http_{status}", form_refused=True)
    if status != 200:
        return Asked(error=f"http_{status}")
    fields = _fields(body)
    return Asked(error="bad_answer", passing=True) if fields is None else Asked(fields=fields)


def _fields(body: bytes) -> Mapping[str, Any] | None:
    """The fields of an answer, None if it is no chat completion."""
    try:
        answer = json.loads(body)
        choice = answer["choices"][0]
        text = choice["message"]["content"]
        finish = choice.get("finish_reason")
        usage = answer.get("usage")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return None
    if text is not None and not isinstance(text, str):
        return None
    usage = usage if isinstance(usage, dict) else {}
    return {
        "text": text,
        "error": None,
        "finish_reason": finish[:40].encode("ascii", "ignore").decode() if isinstance(finish, str) else None,
        **{name: _count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens")},
    }


def _count(given: Any) -> int | None:
    return given if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < 1 << 31 else None


def retry_after(value: str, now: float) -> float:
    """Seconds of a `Retry-After` header in either of its forms, a number or a date; 0 where it holds neither."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value.strip()).timestamp() - now
        except (ValueError, OverflowError):
            return 0.0
    return max(0.0, seconds) if seconds < float("inf") else 0.0
