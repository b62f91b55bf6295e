"""What a language model is told of an item: the prompt of its kind, within the model's chat template."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jinja2 import TemplateError

from schemas.errors import ConfigurationError
from training.config import LlmConfig
from training.items import Item

Kind = Literal["query", "target", "text"]
KINDS: tuple[Kind, ...] = ("query", "target", "text")
#: Marks for which an item's own text and image are put in: characters that no text of the world has.
IMAGE, TEXT = "\ue0f0", "\ue0f1"


def kind_of(item: Item) -> Kind:
    """An image with a text is a query, with the empty text a target; a view of one half is that half alone."""
    if item.view == "text_tower" or (item.image is None and item.view == "fused"):
        return "text"
    return "query" if item.text and item.view == "fused" else "target"


@dataclass(frozen=True)
class Prompts:
    """Rendered prompts by kind, with `IMAGE` and `TEXT` in them, and what breaks control tokens in texts."""

    rendered: Mapping[Kind, str]
    control: re.Pattern[str] | None
    tokenizer: Any
    max_text_tokens: int

    def text_of(self, item: Item) -> str:
        """The item's text, cut, without anything that the tokenizer reads as more than text."""
        text = item.text.replace(IMAGE, " ").replace(TEXT, " ")
        if self.control is not None:
            text = self.control.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(ids) <= self.max_text_tokens:
            return text
        cut: str = self.tokenizer.decode(ids[: self.max_text_tokens])
        return cut


def make_prompts(config: LlmConfig, tokenizer: Any, template: str | None, structured: bool) -> Prompts:
    """Prompts of a configuration. With a chat template a prompt is the user's turn, up to where the answer begins;
    without, it stands between the tokenizer's own first and last token. `structured` is for templates that show images:
    a turn is then a list of parts, and `IMAGE` is left to the template.

    Raises ConfigurationError for a template that does not show what it is given.
    """
    frame = _chat(tokenizer, template, structured) if config.chat and template else _plain(tokenizer)
    rendered: dict[Kind, str] = {}
    for kind in KINDS:
        prompt = str(getattr(config, kind)).replace("{image}", IMAGE).replace("{text}", TEXT)
        rendered[kind] = frame(prompt)
        if rendered[kind].count(TEXT) != prompt.count(TEXT):
            raise _mute()
    return Prompts(rendered, _control_tokens(tokenizer), tokenizer, config.max_text_tokens)


def _chat(tokenizer: Any, template: str | None, structured: bool) -> Callable[[str], str]:
    def frame(prompt: str) -> str:
        content: Any = _parts(prompt) if structured else prompt
        turns = [{"role": "user", "content": content}]
        try:
            found: str = tokenizer.apply_chat_template(
                turns, chat_template=template, tokenize=False, add_generation_prompt=True
            )
        except (TemplateError, TypeError) as error:
            raise _mute() from error
        return found

    return frame


def _plain(tokenizer: Any) -> Callable[[str], str]:
    first, last = tokenizer.bos_token or "", tokenizer.eos_token or ""
    return lambda prompt: f"{first}{prompt}{last}"


def _parts(prompt: str) -> list[dict[str, str]]:
    found = [piece for piece in re.split(f"({IMAGE})", prompt) if piece]
    return [{"type": "image"} if piece == IMAGE else {"type": "text", "text": piece} for piece in found]


def _control_tokens(tokenizer: Any) -> re.Pattern[str] | None:
    tokens = {str(one) for one in tokenizer.added_tokens_decoder.values() if one.special}
    tokens |= {str(one) for one in tokenizer.all_special_tokens}
    ordered = sorted((one for one in tokens if len(one) > 1), key=lambda one: (-len(one), one))
    return re.compile("|".join(map(re.escape, ordered))) if ordered else None


def _mute() -> ConfigurationError:
    return ConfigurationError(
        "the language model's chat template does not show what is said to it: set model.chat to false."
    )
