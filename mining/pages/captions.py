"""Captions of pictures: `<figcaption>`, and elements whose class says that they are one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

_CAPTION_BOX = re.compile(r"figure|thumb|caption|gallery|image", re.IGNORECASE)
_CAPTION_CLASS = re.compile(r"caption|gallerytext|legend", re.IGNORECASE)
_MAX_CAPTIONS = 5000


#: The elements around a node with their names, nearest first.
Around = list[tuple[str, Any]]


@dataclass
class Captions:
    """The captions of a page by the elements that hold them, up to a few levels."""

    first: dict[int, str] = field(default_factory=dict)
    count: Counter[int] = field(default_factory=Counter)

    def of(self, around: Around, pictures: Counter[int]) -> str | None:
        """The caption in the nearest element around a picture that holds one, if it is meant for the picture: the
        element is a figure or of a class for pictures, or holds no other picture (`pictures` counts them)."""
        for tag, node in around:
            text = self.first.get(node.mem_id)
            if text is None:
                continue
            if tag == "figure":
                return text
            if self.count[node.mem_id] > 1:
                # A gallery: whose caption is whose cannot be told here.
                return None
            if pictures[node.mem_id] == 1 or _CAPTION_BOX.search(node.attributes.get("class") or ""):
                return text
            return None
        return None


def is_caption(tag: str, node: Any) -> bool:
    """Whether an element is a caption by its name or class."""
    return tag == "figcaption" or _CAPTION_CLASS.search(node.attributes.get("class") or "") is not None


def read_captions(
    captions: Sequence[Any], around: Callable[[Any], Iterable[tuple[str, Any]]], clean: Callable[[str], str | None]
) -> Captions:
    """Read each caption, in document order, once. `around` gives the elements around a node, nearest first."""
    found = Captions()
    seen: set[int] = set()
    for node in captions[:_MAX_CAPTIONS]:
        ancestors = [one for _, one in around(node)]
        seen.add(node.mem_id)
        within = sum(one.mem_id in seen for one in ancestors)
        # A box whose class says caption may hold the caption proper; what nests deeper would be read again and again.
        if within > 1 or (text := clean(node.text())) is None:
            continue
        for one in ancestors:
            found.first.setdefault(one.mem_id, text)
            found.count[one.mem_id] += 1
            if one.mem_id in seen:
                # What stands around that one has its text already.
                break
    return found
