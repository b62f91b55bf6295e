"""Settings of `write_instructions` and `verify_triplets`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from schemas.errors import ConfigurationError
from synthesis.chain_config import ChainConfig, TaskConfig, WriterConfig
from synthesis.people_words import PeopleKind

__all__ = ["ChainConfig", "FilterConfig", "TaskConfig", "VerifyConfig", "WriteConfig", "WriterConfig"]

_OPERATIONAL: dict[str, Any] = {"operational": True}


_VERIFIERS = ("verify_image", "verify_text")


#: Tasks of verification that need what others say.
_AFTER_VERIFIERS = {"rewrite": _VERIFIERS, "verify_rewritten": ("rewrite",)}


class FilterConfig(BaseModel):
    """What a text must be to become an instruction."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_words: int = Field(default=2, ge=1, description="words of a text, at least")
    max_words: int = Field(default=30, ge=1, description="words of a text, at most")
    max_chars: int = Field(default=200, ge=1, description="characters of a text, at most")
    fine_words: int = Field(default=60, ge=1, description="words of a text whose length is fine, at most")
    fine_chars: int = Field(default=400, ge=1, description="characters of such a text, at most")
    new_word: bool = Field(
        default=True, description="a text must hold a content word that the query image's text lacks"
    )
    verbatim: Literal["drop", "keep"] = Field(
        default="drop", description="texts that are the target's own text word for word"
    )
    people_words: tuple[PeopleKind, ...] = Field(
        default=(),
        description="words about people that drop an English text: skin, hair, gender, age, race; none by default",
    )

    def of_length(self, length: str | None) -> FilterConfig:
        """The filters of texts of this length."""
        if length != "fine":
            return self
        return self.model_copy(update={"max_words": self.fine_words, "max_chars": self.fine_chars})


class WriteConfig(ChainConfig):
    """Settings of `write_instructions`: which tasks, which models, and what is kept of their answers."""

    chain: tuple[str, ...] = Field(
        default=("span_copy",), min_length=1, description="tasks, in their order: see docs/synthesis.md"
    )
    filters: FilterConfig = Field(default_factory=FilterConfig, description="filters of texts")
    max_requests: int | None = Field(
        default=None,
        ge=0,
        description="requests that this output folder may send, in all; the others are deferred",
        json_schema_extra=_OPERATIONAL,
    )
    max_cost: float | None = Field(
        default=None,
        ge=0,
        description="what this output folder's answers may cost by `prices`; the other requests are deferred",
        json_schema_extra=_OPERATIONAL,
    )
    prices: str | None = Field(
        default=None, description="YAML file of prices: see docs/synthesis.md", json_schema_extra=_OPERATIONAL
    )
    generations: tuple[str, ...] = Field(
        default=(),
        description="stores of answers beside the output folder's own: the first is written to, all are read",
        json_schema_extra=_OPERATIONAL,
    )


class VerifyConfig(ChainConfig):
    """Settings of `verify_triplets`: who judges, and when a rank of the target on its page is a fault."""

    chain: tuple[str, ...] = Field(
        default=(),
        description="verify_image or verify_text, rewrite, verify_rewritten, target_caption, in their order; none "
        "judges by ranks alone: see docs/verify_triplets.md",
    )
    verify: Literal["best", "all"] = Field(
        default="best", description="which texts of a triplet the chain judges: its best, or all"
    )
    ambiguous: Literal["keep", "rewrite", "drop"] = Field(
        default="keep",
        description="texts that several images fit: kept, written anew and kept if nothing passes, or written anew and "
        "dropped if nothing passes",
    )
    text_weight: float = Field(
        default=0.5, ge=0, le=1, description="share of the text in the score of text and query image together"
    )
    fail_below: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="a target that the text ranks in the last part of its page, beyond this share, fails",
    )
    min_candidates: int = Field(
        default=3, ge=2, description="pages with fewer other images than this are left unchecked"
    )
    alignment_edges: tuple[float, ...] = Field(
        default=(0.15, 0.2, 0.25, 0.3),
        description="rising similarities of image and text at which the next alignment level begins",
    )

    @property
    def judges(self) -> bool:
        """Whether a model judges, beside the ranks."""
        return any(task in _VERIFIERS for task in self.chain)

    @property
    def rewritten(self) -> tuple[str, ...]:
        """The verdicts whose texts are written anew."""
        return ("fail",) if self.ambiguous == "keep" else ("fail", "ambiguous")

    def check_eyes(self) -> None:
        """Raise ConfigurationError where images are to be shown to a model that reads text alone."""
        if "verify_image" not in self.chain:
            return
        for task in self.chain:
            if self.of(task).backend == "xllamacpp":
                raise ConfigurationError(
                    f"verify_triplets.chain shows images, and {task} has the backend xllamacpp, which reads text only: "
                    "name a model that sees, at an endpoint (backend openai) or of the hub (backend transformers)."
                )

    @field_validator("chain")
    @classmethod
    def _of_verifiers(cls, chain: tuple[str, ...]) -> tuple[str, ...]:
        known = (*_VERIFIERS, *_AFTER_VERIFIERS, "target_caption")
        unknown = [task for task in chain if task not in known]
        if unknown:
            raise ValueError(f"{unknown[0]} verifies nothing: the tasks are {', '.join(known)}")
        if len(set(chain)) != len(chain) or all(task in chain for task in _VERIFIERS):
            raise ValueError(f"each task may stand there once, and one of {' and '.join(_VERIFIERS)}")
        for task, before in _AFTER_VERIFIERS.items():
            if task in chain and not any(one in before for one in chain[: chain.index(task)]):
                raise ValueError(f"{task} stands behind {' or '.join(before)}")
        if "rewrite" in chain and "verify_rewritten" not in chain:
            raise ValueError("what rewrite writes must pass verify_rewritten: add it behind")
        return chain

    @field_validator("alignment_edges")
    @classmethod
    def _rising(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if list(edges) != sorted(edges) or len(edges) > 100:
            raise ValueError("the edges must rise, and be no more than 100")
        return edges
