"""The questions that CIReVL puts to a language model; the published method has one for each kind of data set.

Texts of our own around the published frame: the answer's line starts with `Edited Description:`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Raised when a text below changes: ids of requests depend on it.
PROMPTS_VERSION = "1"

_FRAME = (
    "You rewrite the description of a picture after an edit. You get two lines: `Image Content:` says what the picture "
    "shows, `Instruction:` says how it is changed. Answer with one line that starts with `Edited Description:` and "
    "describes the changed picture."
)

_CONTEXTUAL = (
    "Speak of the changed picture only, never of the first one, and keep what the instruction leaves alone only where "
    "it is needed. Be brief and add nothing that is not asked for.\n\n"
    "Image Content: two dogs lie on a sofa\n"
    "Instruction: only one dog, and it stands in deep snow\n"
    "Edited Description: one dog standing in deep snow\n\n"
    "Image Content: a glass of beer beside a bottle on a counter\n"
    "Instruction: the target picture shows three bottles and no glass\n"
    "Edited Description: three bottles of beer on a counter"
)

_STRUCTURAL = (
    "The instruction may change numbers, add or remove things, negate, compare, join several wishes, move things, or "
    "change the background or the viewpoint. Carry out all of it and keep the rest of the content. Be complete, be "
    "brief, and add nothing that is not asked for."
)

_SHORT = (
    "Use as few words as the changed picture needs. The instruction may be a single word that names the object or "
    "attribute to keep or to change. Add nothing that is not asked for."
)

#: Name of a style → system message: `contextual` for CIRR, `structural` for CIRCO and FashionIQ, `short` for GeneCIS.
CIREVL_PROMPTS: Mapping[str, str] = MappingProxyType(
    {
        "contextual": f"{_FRAME}\n{_CONTEXTUAL}",
        "structural": f"{_FRAME}\n{_STRUCTURAL}",
        "short": f"{_FRAME}\n{_SHORT}",
    }
)

#: The style that the published method takes for a benchmark.
STYLE_OF_BENCHMARK: Mapping[str, str] = MappingProxyType(
    {"cirr": "contextual", "circo": "structural", "fashioniq": "structural", "genecis": "short"}
)
