"""What a target should show, told from the query and the instruction alone (InstructCIR; CIReVL, arXiv 2310.09291).

The model is shown nothing of the target, nor the page's title, which is the target's as much as the query's: what it
writes is what a retriever could know, so that it can verify a triplet (does this caption find the target?).
"""

from __future__ import annotations

from collections.abc import Sequence

from synthesis.config import TaskConfig
from synthesis.prompt_files import load_prompt
from synthesis.tasks.caption_texts import caption_in
from synthesis.tasks.interface import Ask, NothingToAsk, OneStep, Output, Row, Unit
from synthesis.words import one_line

#: Columns that the prompt may see.
_SEEN = ("instruction", "query_text", "query_label", "query_caption")
#: Characters of a caption, at most.
_MOST = 600


class TargetCaption(OneStep):
    """One sentence a pair, as the fact `target_caption_written`. Where the row's `show_images` is true the query image
    is shown; otherwise the model reads the page's text about it, its label and its caption."""

    name = "target_caption"
    unit: Unit = "pair"

    def __init__(self, config: TaskConfig) -> None:
        self._prompt = load_prompt(self.name)

    def format_input(self, row: Row) -> Ask | NothingToAsk:
        """`instruction_missing` before there is one, `text_missing` where nothing is known of the query image and it is
        not shown either."""
        seen = {column: row.get(column) for column in _SEEN}
        if not one_line(seen["instruction"] or ""):
            return NothingToAsk("instruction_missing")
        shown = row.get("show_images") is True
        if not shown and not any(one_line(seen[column] or "") for column in _SEEN[1:]):
            return NothingToAsk("text_missing")
        # A demonstration has no image of its own to show.
        messages = self._prompt.render(seen, () if shown else None, shown=shown)
        return Ask(self._prompt, messages, image_ids=(row["query_image_id"],) if shown else ())

    def format_output(self, answers: Sequence[str], row: Row) -> Output:
        """Fact `target_caption_written`."""
        return Output(facts={"target_caption_written": caption_in(answers[0], _MOST)})
