"""What answers cost: prices of models by the million tokens, and budgets that stop before they are passed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.errors import ConfigurationError
from synthesis.requests import Request

#: Bytes of a token and tokens of an image, where no server has counted them: on the safe side.
_BYTES = 3.0
_IMAGE_TOKENS = 1600


class Price(BaseModel):
    """Price of a model, in one currency for the whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float = Field(default=0.0, ge=0, description="a million tokens of prompts")
    output: float = Field(default=0.0, ge=0, description="a million tokens of answers")
    gpu_hour: float | None = Field(default=None, ge=0, description="an hour of the GPU that serves it")
    tokens_per_second: float | None = Field(
        default=None, gt=0, description="tokens that the GPU writes a second, under load"
    )

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What so many tokens cost; by the hour of the GPU where that is how the model is paid."""
        cost = (prompt_tokens * self.input + completion_tokens * self.output) / 1e6
        if self.gpu_hour is not None and self.tokens_per_second is not None:
            cost += completion_tokens / self.tokens_per_second / 3600 * self.gpu_hour
        return cost

    def gpu_hours(self, completion_tokens: int) -> float | None:
        """Hours that a GPU writes so many tokens; None where its rate is not known."""
        return None if self.tokens_per_second is None else completion_tokens / self.tokens_per_second / 3600


def load_prices(path: str | None) -> dict[str, Price]:
    """Model → price, from a YAML file; none without a file. Raises ConfigurationError."""
    if path is None:
        return {}
    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        return {str(model): Price(**price) for model, price in (data or {}).items()}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigurationError(
            f"cannot read the prices in {path} ({reason}): write `model: {{input: 0.1, output: 0.4}}`, by the million "
            "tokens."
        ) from error


def estimated_tokens(text_bytes: int, images: int = 0) -> int:
    """Tokens of a prompt that nobody has counted, rather too many than too few."""
    return int(text_bytes / _BYTES) + images * _IMAGE_TOKENS + 1


def _size(text: str) -> int:
    """Bytes: a sign of Chinese is a token or more, where three letters of English make one."""
    return len(text.encode("utf-8", "surrogatepass"))


def tokens_of(row: Mapping[str, Any]) -> tuple[int, int]:
    """Tokens of a stored answer's prompt and text, estimated where its server did not tell; none of a refusal."""
    if row.get("error") is not None:
        return 0, 0
    prompt, completion = row["prompt_tokens"], row["completion_tokens"]
    if prompt is None:
        prompt = estimated_tokens(_size(row["messages"]), len(row["image_ids"] or ()))
    if completion is None:
        completion = estimated_tokens(_size(row["text"] or ""))
    return int(prompt), int(completion)


@dataclass
class Budget:
    """How many requests a shard may still send, and what they may cost; None is no limit.

    A request in flight is reckoned with the most that it may cost, so that the limit is never passed.
    """

    requests: int | None = None
    cost: float | None = None
    price: Price | None = None

    def refuse(self, request: Request) -> str | None:
        """The budget that does not allow a request (`max_requests`, `max_cost`), or None: then it is reckoned with."""
        if self.requests is not None and self.requests < 1:
            return "max_requests"
        most = self._most(request)
        if self.cost is not None and self.price is not None and most > self.cost:
            return "max_cost"
        self.spend(1, most)
        return None

    def spend(self, requests: int, cost: float) -> None:
        """Reckon with what was sent."""
        if self.requests is not None:
            self.requests -= requests
        if self.cost is not None:
            self.cost -= cost

    def settle(self, request: Request, row: Mapping[str, Any]) -> None:
        """Put what a request did cost in the place of the most that it might: nothing where it ended with an error, but
        an answer without text is paid for as well."""
        if self.cost is not None and self.price is not None:
            self.cost += self._most(request) - self.price.cost(*tokens_of(row))

    def give_back(self, request: Request) -> None:
        """Reckon no more with a request that was not sent."""
        self.spend(-1, -self._most(request))

    def _most(self, request: Request) -> float:
        if self.price is None:
            return 0.0
        size = _size(json.dumps(list(request.messages), ensure_ascii=False))
        prompt = estimated_tokens(size, len(request.image_ids))
        return self.price.cost(prompt, int(request.parameters["max_tokens"]))
