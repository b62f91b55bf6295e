"""Settings of `write_instructions` and `verify_triplets`."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from schemas.errors import ConfigurationError

_OPERATIONAL: dict[str, Any] = {"operational": True}


class FilterConfig(BaseModel):
    """What a text must be to become an instruction."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_words: int = Field(default=2, ge=1, description="words of a text, at least")
    max_words: int = Field(default=30, ge=1, description="words of a text, at most")
    max_chars: int = Field(default=200, ge=1, description="characters of a text, at most")
    new_word: bool = Field(
        default=True, description="a text must hold a content word that the query image's text lacks"
    )
    verbatim: Literal["drop", "keep"] = Field(
        default="drop", description="texts that are the target's own text word for word"
    )


class WriteConfig(BaseModel):
    """Settings of `write_instructions`: which prompt, which model, where it runs, and what is kept of its answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Literal["span_copy", "magiclens"] = Field(
        default="span_copy",
        description="span_copy: words of the target's text under a grammar, for small models; magiclens: free text",
    )
    backend: Literal["xllamacpp", "openai"] = Field(
        default="xllamacpp", description="xllamacpp: llama.cpp in this process; openai: any compatible endpoint"
    )
    model: str = Field(
        default="SmolLM2-135M-Instruct-Q4_1",
        description="name of the model, as answers and the dataset have it: SmolLM2-135M-Instruct-Q4_1 (in a package), "
        "a name for model_file, or the model's name at the endpoint",
    )
    model_file: str | None = Field(
        default=None,
        description="GGUF file of another model for xllamacpp; another file needs another name in `model`",
        json_schema_extra=_OPERATIONAL,
    )
    base_url: str | None = Field(
        default=None,
        description="address of the endpoint, such as http://localhost:8000/v1; another address asks nothing again",
        json_schema_extra=_OPERATIONAL,
    )
    api_key_variable: str = Field(
        default="OPENAI_API_KEY",
        description="environment variable that holds the endpoint's key; no key is sent if it is not set",
        json_schema_extra=_OPERATIONAL,
    )
    texts: int = Field(default=2, ge=1, le=8, description="texts asked for each pair (magiclens)")
    temperature: float = Field(default=0.0, ge=0, description="sampling temperature; 0 is greedy")
    max_tokens: int = Field(default=256, ge=8, description="tokens of one answer, at most")
    seed: int = Field(default=0, description="seed that is sent along")
    filters: FilterConfig = Field(default_factory=FilterConfig, description="filters of texts")
    threads: int = Field(default=1, ge=1, description="threads of llama.cpp", json_schema_extra=_OPERATIONAL)
    concurrency: int = Field(
        default=32, ge=1, description="requests in flight at the endpoint", json_schema_extra=_OPERATIONAL
    )
    timeout: float = Field(
        default=120.0, gt=0, description="seconds for one answer of the endpoint", json_schema_extra=_OPERATIONAL
    )
    attempts: int = Field(
        default=5,
        ge=1,
        description="times an endpoint is asked that fails for a passing reason",
        json_schema_extra=_OPERATIONAL,
    )
    max_wait: float = Field(
        default=60.0,
        gt=0,
        description="seconds between two attempts, at most; a longer Retry-After fails the request for this run",
        json_schema_extra=_OPERATIONAL,
    )
    flush_answers: int = Field(
        default=64, ge=1, description="answers after which a part is stored", json_schema_extra=_OPERATIONAL
    )
    flush_seconds: float = Field(
        default=20.0, gt=0, description="seconds after which a part is stored", json_schema_extra=_OPERATIONAL
    )

    @field_validator("base_url")
    @classmethod
    def _address_without_secrets(cls, address: str | None) -> str | None:
        if address is None:
            return None
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give an address such as http://localhost:8000/v1")
        if parts.username or parts.password or parts.query:
            # Not a ValueError: those repeat what was given.
            raise ConfigurationError(
                "write_instructions.base_url holds a user, a key or a query: give the bare address, and the key in the "
                "environment variable that write_instructions.api_key_variable names."
            )
        return address


class VerifyConfig(BaseModel):
    """Settings of `verify_triplets`: when a rank of the target on its page is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
