"""Requests to models: what a step asks, with the model and the parameters of its configuration, under an id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from schemas.ids import canonical_json, request_id
from synthesis.config import TaskConfig
from synthesis.prompt_files import Message
from synthesis.tasks.interface import Ask

#: Characters of a bad answer that are shown to the model when it is asked again.
_SHOWN = 2000
_AGAIN = (
    "That answer could not be read. Give the same answer once more, in exactly the form that was asked for, and "
    "nothing around it."
)


@dataclass(frozen=True)
class Request:
    """One question to a model. Everything in it but its id and `follows` decides the answer.

    `parameters`: `temperature`, `max_tokens`, `seed`, and where they matter `schema` (a JSON schema), `grammar` (GBNF)
    and `image_side` (pixels to which the longer side of each image is scaled down). `messages` as `Prompt.render` makes
    them: images stand there as numbers into `image_ids`. `follows`: the request whose answer could not be read.
    """

    request_id: str
    prompt: str
    version: str
    model: str
    parameters: Mapping[str, Any]
    messages: Sequence[Message]
    image_ids: tuple[str, ...] = ()
    follows: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values: what writers take."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


def make_requests(ask: Ask, config: TaskConfig) -> list[Request]:
    """The requests of a question, one for each sample: they differ in their seed."""
    parameters: dict[str, Any] = {
        "temperature": config.temperature if ask.temperature is None else ask.temperature,
        "max_tokens": min(config.max_tokens, ask.max_tokens or config.max_tokens),
    }
    if ask.schema is not None:
        parameters["schema"] = ask.schema
    if ask.grammar is not None:
        parameters["grammar"] = ask.grammar
    if ask.image_ids:
        parameters["image_side"] = config.image_side
    return [
        _named(
            Request(
                "",
                ask.prompt.name,
                ask.prompt.version,
                config.model,
                parameters | {"seed": config.seed + number},
                ask.messages,
                ask.image_ids,
            )
        )
        for number in range(ask.samples)
    ]


def again(request: Request, bad_answer: str) -> Request:
    """The request that asks once more after an answer that could not be read."""
    shown = bad_answer.strip()[:_SHOWN] or "(nothing)"
    messages = [*request.messages, {"role": "assistant", "content": shown}, {"role": "user", "content": _AGAIN}]
    return _named(replace(request, messages=messages, follows=request.request_id))


def canonical(request: Request) -> str:
    """The rendered messages as the table holds them."""
    return canonical_json(request.messages)


def _named(request: Request) -> Request:
    name = request_id(
        request.prompt,
        request.version,
        request.model,
        dict(request.parameters),
        request.messages,
        request.image_ids,
    )
    return replace(request, request_id=name)
