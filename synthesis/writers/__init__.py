"""Writers: models that answer requests, behind `schemas.protocols.InstructionWriter`."""

from __future__ import annotations

import threading

from schemas.errors import ConfigurationError
from schemas.protocols import InstructionWriter
from synthesis.config import WriterConfig

_loaded: dict[str, InstructionWriter] = {}
_lock = threading.Lock()


def load_writer(config: WriterConfig, lanes: int = 1) -> InstructionWriter:
    """The writer of a configuration, loaded once a process; of an endpoint's concurrency it takes the share of one of
    so many lanes. Raises MissingPackageError, ConfigurationError."""
    # A model in this process is loaded once for all tasks; an endpoint's client has time-outs and limits of its own.
    fields = None if config.backend == "openai" else {"backend", "model", "model_file", "device", "batch", "threads"}
    key = f"{lanes} {config.model_dump_json(include=fields)}"
    with _lock:
        if key not in _loaded:
            _loaded[key] = _load(config, lanes)
        return _loaded[key]


def _load(config: WriterConfig, lanes: int) -> InstructionWriter:
    if config.backend == "openai":
        from synthesis.writers.openai_writer import OpenAIWriter

        return OpenAIWriter(config, concurrency=max(1, config.concurrency // lanes))
    if config.backend == "transformers":
        from synthesis.writers.transformers_writer import TransformersWriter

        return TransformersWriter(config)
    if config.backend == "xllamacpp":
        from synthesis.writers.xllamacpp_writer import XllamacppWriter

        return XllamacppWriter(config)
    raise ConfigurationError(
        "the backend batch answers nothing by itself: write its requests with `lensmith batch-write`, or name another."
    )
