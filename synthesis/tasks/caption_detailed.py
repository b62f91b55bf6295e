"""Detailed captions whose objects are checked against the image, after Image Textualization (arXiv 2406.07502).

A draft by a model that sees the image; the objects that the draft names, from the text alone; each looked for in the
image once more; the draft rewritten without those that were not found. The paper checks with detectors; here a model
that sees the image is asked for a verdict on each object (`write_instructions.tasks` can name another one for that).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from synthesis.config import TaskConfig
from synthesis.json_answers import json_object, object_schema, texts_in
from synthesis.page_text import plain
from synthesis.prompt_files import load_prompt
from synthesis.tasks.caption_texts import caption_in
from synthesis.tasks.interface import Ask, Candidate, NothingToAsk, Output, Row, Step, Unit, UnparsableError
from synthesis.words import words

#: Characters of a draft, a caption and the name of an object, objects of a draft, at most. Whatever is longer would be
#: cut on its way into the next prompt.
_MOST, _MOST_NAME, _MOST_OBJECTS = 3000, 80, 24
_ARTICLES = frozenset({"a", "an", "the"})
_TRUE, _FALSE = frozenset({"true", "yes"}), frozenset({"false", "no"})


class CaptionDetailed:
    """A paragraph an image, as the fact `caption`; on its way `draft`, `objects` and `unsupported`."""

    name = "caption_detailed"

    def __init__(self, config: TaskConfig) -> None:
        self._steps = (_Draft(), _Objects(), _Check(), _Rewrite())

    @property
    def steps(self) -> Sequence[Step]:
        """Four questions; the last only where something was not found."""
        return self._steps

    def texts(self, row: Row) -> Sequence[Candidate]:
        """None: captions are facts."""
        return ()


class _Draft:
    name = "caption_detailed"
    unit: Unit = "image"

    def __init__(self) -> None:
        self._prompt = load_prompt("caption_detailed")

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """Every image can be asked about."""
        return Ask(self._prompt, self._prompt.render(row), image_ids=(row["image_id"],))

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """Fact `draft`."""
        return Output(facts={"draft": caption_in(answers[0], _MOST)})


class _Objects:
    name = "caption_detailed.objects"
    unit: Unit = "image"

    def __init__(self) -> None:
        self._prompt = load_prompt("caption_detailed.objects")

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """`draft_missing` where there is none to take apart."""
        if not row.get("draft"):
            return NothingToAsk("draft_missing")
        return Ask(self._prompt, self._prompt.render(row), schema=_OBJECTS_SCHEMA)

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """Fact `objects`: names, each once. A draft that names none is not believed: UnparsableError."""
        listed = texts_in(json_object(answers[0], "objects")["objects"])
        named = {_key(one): one for one in reversed(listed) if _key(one) and plain(one, _MOST_NAME) == one}
        if not named:
            raise UnparsableError(f"no objects: {plain(answers[0], 80)!r}")
        return Output(facts={"objects": tuple(reversed(named.values()))[:_MOST_OBJECTS]})


class _Check:
    name = "caption_detailed.check"
    unit: Unit = "image"

    def __init__(self) -> None:
        self._prompt = load_prompt("caption_detailed.check")

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """`objects_missing` where none are listed."""
        if not row.get("draft") or not row.get("objects"):
            return NothingToAsk("objects_missing")
        return Ask(self._prompt, self._prompt.render(row), image_ids=(row["image_id"],), schema=_CHECK_SCHEMA)

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """Fact `unsupported`: the objects that were not found, () where all were; then the draft is the `caption`.

        Every listed object needs a verdict; of two that differ the worse one counts."""
        items = json_object(answers[0], "objects")["objects"]
        verdicts: dict[tuple[str, ...], bool] = {}
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict) and isinstance(item.get("object"), str):
                key, visible = _key(item["object"]), _truth(item.get("visible"))
                if visible is not None:
                    verdicts[key] = visible and verdicts.get(key, True)
        unjudged = [one for one in row["objects"] if _key(one) not in verdicts]
        if unjudged:
            raise UnparsableError(f"no verdict on {unjudged[0]!r}")
        unsupported = tuple(one for one in row["objects"] if not verdicts[_key(one)])
        if unsupported:
            return Output(facts={"unsupported": unsupported})
        return Output(facts={"unsupported": (), "caption": row["draft"]})


class _Rewrite:
    name = "caption_detailed.rewrite"
    unit: Unit = "image"

    def __init__(self) -> None:
        self._prompt = load_prompt("caption_detailed.rewrite")

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """`verdicts_missing`, `nothing_unsupported` where the draft stands, `nothing_supported` where none of it
        does."""
        if not row.get("draft") or row.get("objects") is None or row.get("unsupported") is None:
            return NothingToAsk("verdicts_missing")
        if not row["unsupported"]:
            return NothingToAsk("nothing_unsupported")
        supported = _supported(row)
        if not supported:
            return NothingToAsk("nothing_supported")
        return Ask(self._prompt, self._prompt.render({**row, "supported": supported}))

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """Fact `caption`. Raises UnparsableError for a text that still names what was not found."""
        caption = caption_in(answers[0], _MOST)
        supported = [_key(one) for one in _supported(row)]
        for one in row["unsupported"]:
            key = _key(one)
            # "dog" in "hot dog": a name within the name of something that is there tells nothing.
            if _within(key, tuple(words(caption))) and not any(_within(key, other) for other in supported):
                raise UnparsableError(f"{one!r} is still in {caption[:80]!r}")
        return Output(facts={"caption": caption})


def _supported(row: Row) -> tuple[str, ...]:
    return tuple(one for one in row["objects"] if one not in row["unsupported"])


def _key(name: str) -> tuple[str, ...]:
    """Words of a name without a leading article."""
    found = tuple(words(name))
    return found[1:] if len(found) > 1 and found[0] in _ARTICLES else found


def _within(part: tuple[str, ...], whole: tuple[str, ...]) -> bool:
    return any(whole[start : start + len(part)] == part for start in range(len(whole) - len(part) + 1))


def _truth(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    said = value.strip().lower() if isinstance(value, str) else ""
    return True if said in _TRUE else False if said in _FALSE else None


def _object_schema(items: dict[str, Any]) -> dict[str, Any]:
    return object_schema({"objects": {"type": "array", "items": items, "minItems": 1, "maxItems": _MOST_OBJECTS}})


_OBJECTS_SCHEMA = _object_schema({"type": "string"})
_CHECK_SCHEMA = _object_schema(object_schema({"object": {"type": "string"}, "visible": {"type": "boolean"}}))
