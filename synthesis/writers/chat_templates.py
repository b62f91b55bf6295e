"""Chat templates of models: messages to prompts, in the form that the template takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import TemplateError

from schemas.errors import ConfigurationError

_PROBES = ("a first probe", "a second probe")


class ChatTemplate:
    """The template of a processor or a tokenizer. Messages have a list of parts, `{"type": "text", "text": …}` and
    `{"type": "image"}`, as content."""

    def __init__(self, name: str, tokenizer: Any, processor: Any) -> None:
        """Raises ConfigurationError where there is none, or one that shows nothing."""
        self._tokenizer, self._processor = tokenizer, processor
        self._template = _template_of(processor, tokenizer)
        if self._template is None:
            raise ConfigurationError(
                f"the model {name!r} has no chat template: take one that is tuned for chat, or put "
                "chat_template.jinja into its folder."
            )
        self._special = self._special_tokens()
        self._system = self._takes_system(name)

    def harmless(self, text: str) -> str:
        """Control tokens in what a page says would speak in someone else's name: a space breaks them."""
        return self._special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text) if self._special else text

    def render(self, messages: Sequence[Mapping[str, Any]], system: bool | None = None) -> str:
        """The prompt, up to where the answer begins. Raises jinja2.TemplateError for turns that are refused."""
        turns = [dict(one) for one in messages]
        if not (self._system if system is None else system) and len(turns) > 1 and turns[0]["role"] == "system":
            turns[1]["content"] = [*turns[0]["content"], {"type": "text", "text": "\n\n"}, *turns[1]["content"]]
            turns = turns[1:]
        if self._processor is None:
            turns = [one | {"content": "".join(part["text"] for part in one["content"])} for one in turns]
        rendered: str = self._tokenizer.apply_chat_template(
            turns, chat_template=self._template, tokenize=False, add_generation_prompt=True
        )
        return rendered

    def _takes_system(self, name: str) -> bool:
        """Whether the template takes a message of the system; some refuse it or leave it out."""
        first, second = _PROBES
        messages = [
            {"role": role, "content": [{"type": "text", "text": text}]}
            for role, text in (("system", first), ("user", second))
        ]
        for system in (True, False):
            try:
                text = self.render(messages, system)
            except (TemplateError, TypeError):
                continue
            if first in text and second in text:
                return system
        raise ConfigurationError(
            f"the chat template of {name!r} does not show what is said to it: take another model, or correct "
            "chat_template.jinja in its folder."
        )

    def _special_tokens(self) -> re.Pattern[str] | None:
        tokens = {str(one) for one in self._tokenizer.added_tokens_decoder.values() if one.special}
        tokens |= {str(one) for one in self._tokenizer.all_special_tokens}
        tokens.add(str(getattr(self._processor, "image_token", "") or ""))
        ordered = sorted((one for one in tokens if len(one) > 1), key=lambda one: (-len(one), one))
        return re.compile("|".join(map(re.escape, ordered))) if ordered else None


def _template_of(processor: Any, tokenizer: Any) -> str | None:
    for one in (processor, tokenizer):
        template = getattr(one, "chat_template", None)
        if isinstance(template, dict):
            template = template.get("default")
        if template:
            return str(template)
    return None
