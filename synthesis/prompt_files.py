"""Prompts: a versioned Jinja file each, with its demonstrations beside it.

`NAME.jinja` begins with `{# version: N #}` and has the blocks `system` and `user`. The user block is rendered for the
row in hand and for each demonstration of `NAME.demonstrations.yaml` (a list of `row` and `answer`). What comes from a
page goes through the filter `data(characters)`, which marks it as data, or `plain(characters)` where nothing that the
model says is taken over freely; `{{ image(0) }}` stands where the first image of the request is shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml
from jinja2 import Environment, FunctionLoader, StrictUndefined

from synthesis.page_text import marked, plain

_VERSION = re.compile(r"\A\{# version: (\S+) #\}")
_IMAGE = re.compile("\x00(\\d+)\x00")
#: A system block that says something of the row.
_SYSTEM_OF_ROW = re.compile(r"\{% block system %\}(?:(?!\{% endblock %\}).)*\brow\b", re.DOTALL)

#: Content of a message: a text, or parts `{"type": "text", "text": …}` and `{"type": "image", "image": index}`.
Content = str | list[dict[str, Any]]
Message = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Demonstration:
    """A worked example: a row and the answer that is wanted for it. Compared by identity, so that its turn is kept."""

    row: Mapping[str, Any]
    answer: str


@dataclass(frozen=True)
class Prompt:
    """A prompt file. `source` is its text with that of its demonstrations, as cards print it."""

    name: str
    version: str
    demonstrations: tuple[Demonstration, ...]
    source: str

    def render(
        self, row: Mapping[str, Any], demonstrations: Sequence[Demonstration] | None = None, **options: Any
    ) -> list[Message]:
        """System text, demonstrations as turns (all of the file, unless some are given), the row's own turn.

        `options` are known to both blocks. Raises jinja2.UndefinedError where a block names what the row lacks.
        """
        key = tuple(sorted(options.items()))
        # Options that are of this row alone are worth no keeping.
        own = not all(isinstance(value, str | int) for value in options.values())
        if own or _SYSTEM_OF_ROW.search(self.source) is not None:
            system = _block(self.name, "system", row, options)
        else:
            system = _kept(self.name, "system", None, key)
        messages = [{"role": "system", "content": system}]
        for one in self.demonstrations if demonstrations is None else demonstrations:
            turn = _block(self.name, "user", one.row, options) if own else _kept(self.name, "user", one, key)
            messages.append({"role": "user", "content": turn})
            messages.append({"role": "assistant", "content": one.answer})
        messages.append({"role": "user", "content": _block(self.name, "user", row, options)})
        return messages


@lru_cache(maxsize=64)
def load_prompt(name: str) -> Prompt:
    """A prompt by the name of its file."""
    folder = files("synthesis.prompts")
    source = folder.joinpath(f"{name}.jinja").read_text(encoding="utf-8")
    version = _VERSION.match(source)
    if version is None:
        raise ValueError(f"synthesis/prompts/{name}.jinja must begin with {{# version: N #}}")
    beside = folder.joinpath(f"{name}.demonstrations.yaml")
    demonstrations: tuple[Demonstration, ...] = ()
    if beside.is_file():
        text = beside.read_text(encoding="utf-8")
        demonstrations = tuple(Demonstration(one["row"], one["answer"].strip()) for one in yaml.safe_load(text))
        source = f"{source.rstrip()}\n\n{text}"
    return Prompt(name, version[1], demonstrations, source)


def has_prompt(name: str) -> bool:
    """Whether there is a prompt of this name."""
    return files("synthesis.prompts").joinpath(f"{name}.jinja").is_file()


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(lambda name: files("synthesis.prompts").joinpath(name).read_text(encoding="utf-8")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters["data"] = marked
    environment.filters["plain"] = plain
    environment.globals["image"] = lambda index: f"\x00{index}\x00"
    return environment


@lru_cache(maxsize=4096)
def _kept(name: str, block: str, one: Demonstration | None, options: tuple[tuple[str, Any], ...]) -> Content:
    """A block that is the same for every row: rendering them anew took most of the time of making a request."""
    return _block(name, block, one.row if one is not None else {}, dict(options))


def _block(name: str, block: str, row: Mapping[str, Any], options: Mapping[str, Any]) -> Content:
    template = _environment().get_template(f"{name}.jinja")
    context = template.new_context({"row": row, **options})
    text = "".join(template.blocks[block](context)).strip()
    pieces = _IMAGE.split(text)
    if len(pieces) == 1:
        return text
    parts: list[dict[str, Any]] = []
    for index, piece in enumerate(pieces):
        if index % 2:
            parts.append({"type": "image", "image": int(piece)})
        elif piece.strip():
            parts.append({"type": "text", "text": piece.strip()})
    return parts
