"""Requests to models: variables of a pair, rendered by a versioned prompt into messages with an id of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml

from schemas.ids import request_id

#: Bytes of each variable: together they fit into a message of an index step.
_BYTES = {"page_title": 120, "query_text": 150, "target_text": 150}


@dataclass(frozen=True)
class Prompt:
    """A prompt file."""

    name: str
    version: str
    system: str
    user: str
    examples: tuple[Mapping[str, str], ...]
    starts: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    ends: tuple[str, ...] = ("",)
    source: str = ""


@lru_cache(maxsize=16)
def load_prompt(name: str) -> Prompt:
    """A prompt by the name of its file."""
    source = files("synthesis.prompts").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(source)
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    return Prompt(**values, source=source)


@dataclass(frozen=True)
class Variables:
    """What a prompt says of a pair: page title and the texts of both images, cut to fit an index step."""

    title: str
    query: str
    target: str

    @classmethod
    def of_pair(cls, pair: Mapping[str, Any]) -> Variables:
        """From a row of `pairs`."""
        return cls(*(_cut(pair[column] or "", size) for column, size in _BYTES.items()))

    def pack(self) -> bytes:
        """At most 450 bytes."""
        return "\x1f".join((self.title, self.query, self.target)).encode()

    @classmethod
    def unpack(cls, data: bytes) -> Variables:
        """Read what `pack` wrote."""
        title, query, target = data.decode().split("\x1f")
        return cls(title, query, target)


@dataclass(frozen=True)
class Request:
    """One question to a model. Everything in it but the id decides the answer."""

    request_id: str
    prompt: str
    version: str
    model: str
    parameters: Mapping[str, Any]
    messages: Sequence[Mapping[str, str]]
    image_ids: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Plain values: what writers take."""
        return asdict(self)


def make_request(
    prompt: Prompt, model: str, variables: Variables, parameters: Mapping[str, Any], **more: Any
) -> Request:
    """Render a prompt: its system text, its examples as turns, the pair's own turn."""
    values = asdict(variables)
    messages = [{"role": "system", "content": prompt.system.format(**more) if more else prompt.system}]
    for example in prompt.examples:
        shown = {key: example[key] for key in values}
        messages += [
            {"role": "user", "content": prompt.user.format(**shown)},
            {"role": "assistant", "content": example["answer"]},
        ]
    messages.append({"role": "user", "content": prompt.user.format(**values)})
    parameters = dict(parameters)
    name = request_id(prompt.name, prompt.version, model, parameters, messages)
    return Request(name, prompt.name, prompt.version, model, parameters, messages)


def _cut(text: str, size: int) -> str:
    text = text.replace("\x1f", " ")
    data = text.encode()
    return text if len(data) <= size else data[:size].decode("utf-8", "ignore").rpartition(" ")[0] or text[: size // 4]


def canonical(request: Request) -> str:
    """The rendered messages as the table holds them."""
    return json.dumps(request.messages, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
