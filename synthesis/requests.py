"""Requests to models: variables of a pair, rendered by a versioned prompt into messages with an id of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml

from schemas.ids import canonical_json, request_id
from synthesis.words import one_line

#: Columns of `pairs` behind the variables, and the bytes that each may have: together with their separators they fit
#: into a message of an index step (512 bytes).
_SOURCES = (
    ("page_title", 110),
    ("query_text", 145),
    ("target_text", 145),
    ("query_label", 40),
    ("target_label", 40),
)
#: Images with this visual similarity look alike: probably the same thing in two states.
_ALIKE = 0.6
_SEPARATOR = "\x1f"
#: Marks of chat templates: page text that holds them would speak in the name of someone else.
_MARKS = re.compile(r"<\|[^|<>]{0,40}\|>|</?s>|\[/?INST\]|<\|")


@dataclass(frozen=True)
class Prompt:
    """A prompt file. `phrases`: families of patterns for tasks that write under a grammar."""

    name: str
    version: str
    system: str
    user: str
    examples: tuple[Mapping[str, str], ...]
    phrases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    source: str = ""


@lru_cache(maxsize=16)
def load_prompt(name: str) -> Prompt:
    """A prompt by the name of its file."""
    source = files("synthesis.prompts").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(source)
    return Prompt(**data | {"examples": tuple(data["examples"])}, source=source)


@dataclass(frozen=True)
class Variables:
    """What a prompt may say of a pair: page title, texts and labels of both images (all may be empty), cut to fit an
    index step; whether the images look alike."""

    title: str = ""
    query: str = ""
    target: str = ""
    query_label: str = ""
    target_label: str = ""
    alike: bool = False

    @classmethod
    def of_pair(cls, pair: Mapping[str, Any]) -> Variables:
        """From a row of `pairs`."""
        texts = [_cut(one_line(_MARKS.sub(" ", pair.get(column) or "")), size) for column, size in _SOURCES]
        alike = round(float(pair.get("visual_similarity") or 0), 4) >= _ALIKE
        return cls(texts[0], texts[1], texts[2], texts[3], texts[4], alike)

    def pack(self) -> bytes:
        """At most 490 bytes."""
        return _SEPARATOR.join(
            (self.title, self.query, self.target, self.query_label, self.target_label, "1" if self.alike else "")
        ).encode()

    @classmethod
    def unpack(cls, data: bytes) -> Variables:
        """Read what `pack` wrote."""
        title, query, target, query_label, target_label, alike = data.decode().split(_SEPARATOR)
        return cls(title, query, target, query_label, target_label, alike == "1")


@dataclass(frozen=True)
class NothingToAsk:
    """Why a task has no question for a pair (snake_case)."""

    reason: str


@dataclass(frozen=True)
class Request:
    """One question to a model. Everything in it but the id decides the answer."""

    request_id: str
    prompt: str
    version: str
    model: str
    parameters: Mapping[str, Any]
    messages: Sequence[Mapping[str, str]]
    image_ids: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values: what writers take."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


def make_request(
    prompt: Prompt, model: str, variables: Variables, parameters: Mapping[str, Any], **more: Any
) -> Request:
    """Render a prompt: its system text, its examples as turns, the pair's own turn."""
    values = asdict(variables)
    messages = [{"role": "system", "content": prompt.system.format(**more) if more else prompt.system}]
    for example in prompt.examples:
        messages += [
            {"role": "user", "content": prompt.user.format(**values | dict(example))},
            {"role": "assistant", "content": example["answer"]},
        ]
    messages.append({"role": "user", "content": prompt.user.format(**values)})
    parameters = dict(parameters)
    name = request_id(prompt.name, prompt.version, model, parameters, messages)
    return Request(name, prompt.name, prompt.version, model, parameters, messages)


def canonical(request: Request) -> str:
    """The rendered messages as the table holds them."""
    return canonical_json(request.messages)


def _cut(text: str, size: int) -> str:
    data = text.encode()
    if len(data) <= size:
        return text
    cut = data[:size].decode("utf-8", "ignore")
    return cut.rpartition(" ")[0] or cut
