"""Fields of records that others wrote: each is there, of its kind, and text that a file can hold."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from schemas.ids import digest
from training.data.layouts.interface import RecordError, Triplet


def field(record: Mapping[str, Any], *names: str) -> Any:
    """A field by the first of its names that the record has. Raises RecordError where it has none."""
    for name in names:
        if name in record:
            return record[name]
    raise RecordError("missing_field", names[0])


def sayable(text: str) -> str:
    """A text that can be written. Raises RecordError for half of a surrogate pair, which is no character."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RecordError("broken_text", ascii(text[:40])) from error
    return text


def texts_in(value: Any) -> tuple[str, ...]:
    """The distinct texts of a list or of a single one, objects with a `text` among them; empty ones are left out.

    Raises RecordError if there are none.
    """
    some = value if isinstance(value, list) else [value]
    given = [one.get("text") if isinstance(one, Mapping) else one for one in some]
    said = (sayable(one).strip() for one in given if isinstance(one, str))
    texts = tuple(dict.fromkeys(one for one in said if one))
    if not texts:
        raise RecordError("no_text")
    return texts


def image_in(value: Any, missing: str) -> str:
    """The path of one image. Raises RecordError: `missing` where there is none, `wrong_type` for anything else."""
    if not value:
        raise RecordError(missing)
    if not isinstance(value, str):
        raise RecordError("wrong_type", f"an image is {type(value).__name__}, not a path")
    return os.path.normpath(sayable(value))


def images_in(value: Any) -> tuple[str, ...]:
    """Paths of a list, of a single image or of none; what is empty is left out. Raises RecordError as `image_in`."""
    some = value if isinstance(value, list) else [value]
    return tuple(dict.fromkeys(image_in(one, "no_image") for one in some if one))


def triplet(
    given_id: Any, query: str, target: str, texts: tuple[str, ...], hard_negatives: Sequence[str] = ()
) -> Triplet:
    """A triplet; one without an id has one of what it is made of. Raises RecordError where both images are one."""
    if query == target:
        raise RecordError("same_image", query)
    named = sayable(str(given_id)) if isinstance(given_id, str | int) and given_id != "" else ""
    own = named or digest("triplet", query, target, *texts)[:32]
    others = tuple(one for one in dict.fromkeys(hard_negatives) if one not in (query, target))
    return Triplet(own, query, target, texts, others)
