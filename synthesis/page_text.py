"""Text of pages on its way into prompts: it is data of strangers, and may hold orders to the model."""

from __future__ import annotations

import json
import re

from synthesis.words import one_line

#: Marks of chat templates: page text that holds them would speak in the name of someone else.
_MARKS = re.compile(
    r"<\|[^|<>]{0,40}\|?>|</?s>|\[/?INST\]|<<?/?SYS>?>|<\|"
    r"|</?(?:start_of_turn|end_of_turn|think|thinking|image|img|vision_start|vision_end|tool_call|tool_response)>",
    re.IGNORECASE,
)


def plain(text: str | None, characters: int) -> str:
    """Page text on one line: without marks of chat templates, control and invisible characters, cut at a word to at
    most so many characters."""
    line = one_line(_MARKS.sub(" ", text or ""))
    if len(line) <= characters:
        return line
    cut = line[:characters]
    return cut.rpartition(" ")[0] or cut


def marked(text: str | None, characters: int) -> str:
    """Page text as a JSON string: it cannot end its own quotes, whatever it holds."""
    return json.dumps(plain(text, characters), ensure_ascii=False)
