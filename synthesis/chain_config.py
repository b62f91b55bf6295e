"""Settings of writers, of tasks, and of chains of tasks."""

from __future__ import annotations

from typing import Any, Literal, Optional
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator, model_validator

from schemas.errors import ConfigurationError

_OPERATIONAL: dict[str, Any] = {"operational": True}


class WriterConfig(BaseModel):
    """A model that answers requests: which, where it runs, and how it is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: Literal["xllamacpp", "openai", "transformers", "batch"] = Field(
        default="xllamacpp",
        description="xllamacpp: llama.cpp in this process; openai: any compatible endpoint; transformers: a model of "
        "the hub or a folder in this process; batch: files for a batch API, whose results are read in later",
    )
    model: str = Field(
        default="SmolLM2-135M-Instruct-Q4_1",
        description="name of the model, as answers and the dataset have it: SmolLM2-135M-Instruct-Q4_1 (in a package), "
        "a name for model_file, or the model's name at the endpoint or on the hub",
    )
    model_file: str | None = Field(
        default=None,
        description="GGUF file (xllamacpp) or folder (transformers) of another model; it needs another name in `model`",
        json_schema_extra=_OPERATIONAL,
    )
    base_url: str | tuple[str, ...] | None = Field(
        default=None,
        description="address of the endpoint, such as http://localhost:8000/v1, or a list of addresses that serve the "
        "same model; another address asks nothing again",
        json_schema_extra=_OPERATIONAL,
    )
    api_key_variable: str = Field(
        default="OPENAI_API_KEY",
        description="environment variable that holds the endpoint's key; no key is sent if it is not set",
        json_schema_extra=_OPERATIONAL,
    )
    structured: Literal["schema", "object", "off"] = Field(
        default="schema",
        description="how an endpoint is asked for JSON: by schema, as any object, or by the prompt alone; one that "
        "refuses a form is asked without it",
        json_schema_extra=_OPERATIONAL,
    )
    temperature: float = Field(default=0.0, ge=0, description="sampling temperature; 0 is greedy")
    max_tokens: int = Field(default=1024, ge=8, description="tokens of one answer, at most")
    seed: int = Field(default=0, description="seed that is sent along; further samples count up from it")
    image_side: int = Field(default=768, ge=16, le=8192, description="pixels of an image's longer side, at most")
    threads: int = Field(
        default=1, ge=1, description="threads of a model in this process", json_schema_extra=_OPERATIONAL
    )
    device: str = Field(
        default="cpu", description="device of a model of transformers, such as cuda", json_schema_extra=_OPERATIONAL
    )
    batch: int = Field(
        default=8,
        ge=1,
        description="requests that a model of transformers answers at once",
        json_schema_extra=_OPERATIONAL,
    )
    concurrency: int = Field(
        default=32,
        ge=1,
        description="requests in flight at each endpoint, from all workers together",
        json_schema_extra=_OPERATIONAL,
    )
    lanes: int | None = Field(
        default=None,
        ge=1,
        description="workers among which the concurrency is divided; null takes the number that the runner's options "
        "name, else 1",
        json_schema_extra=_OPERATIONAL,
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
    def _addresses_without_secrets(cls, given: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        for address in addresses_of(given):
            parts = urlsplit(address)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("give an address such as http://localhost:8000/v1")
            if parts.username or parts.password or parts.query:
                # Not a ValueError: those repeat what was given.
                raise ConfigurationError(
                    "write_instructions.base_url holds a user, a key or a query: give the bare address, and the key in "
                    "the environment variable that write_instructions.api_key_variable names."
                )
        return given

    @property
    def base_urls(self) -> tuple[str, ...]:
        """The addresses of the endpoint."""
        return addresses_of(self.base_url)


class TaskConfig(WriterConfig):
    """How one task is done: its model, and what is asked for."""

    texts: int = Field(default=3, ge=1, le=8, description="texts asked for each pair, or each direction of one")
    samples: int = Field(default=1, ge=1, le=16, description="captions that are written, of which the best is taken")
    reward: Literal["alignment", "likelihood"] = Field(
        default="alignment",
        description="what the best of several captions is told by: its alignment with the image, or the model's "
        "own likelihood (consensus of the samples where it tells none)",
    )
    show_images: bool = Field(
        default=False,
        description="show both images to a task that can do without: modification_fine, target_caption, rewrite",
    )
    demonstrations: int = Field(default=5, ge=0, le=8, description="demonstrations that are drawn from a pool")
    demonstration_seed: int = Field(default=0, description="seed of that draw")


def _overrides() -> type[BaseModel]:
    """All settings of a task, each optional: what is not given stays as it is for all tasks."""
    fields: dict[str, Any] = {
        name: (
            Optional[field.rebuild_annotation()],  # noqa: UP045 - made from a value
            Field(default=None, description=field.description, json_schema_extra=field.json_schema_extra),
        )
        for name, field in TaskConfig.model_fields.items()
    }
    made: type[BaseModel] = create_model("TaskOverrides", __config__=ConfigDict(frozen=True, extra="forbid"), **fields)
    return made


TaskOverrides = _overrides()


class ChainConfig(TaskConfig):
    """A chain of tasks: settings for all of them, and others for single ones."""

    chain: tuple[str, ...] = Field(default=(), description="tasks, in their order")
    tasks: dict[str, TaskOverrides] = Field(  # type: ignore[valid-type]
        default_factory=dict, description="task → settings that differ for it, its model and endpoint among them"
    )

    def of(self, task: str) -> TaskConfig:
        """The settings of one task."""
        own = self.tasks.get(task)
        values = {name: getattr(self, name) for name in TaskConfig.model_fields}
        if own is not None:
            values |= {name: value for name in TaskConfig.model_fields if (value := getattr(own, name)) is not None}
        return TaskConfig(**values)

    @model_validator(mode="after")
    def _sound(self) -> ChainConfig:
        for task in self.tasks:
            self.of(task)
        return self


def addresses_of(given: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """One address, several or none as a tuple."""
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)
