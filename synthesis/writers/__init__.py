"""Writers: models that answer requests, behind `schemas.protocols.InstructionWriter`."""

from __future__ import annotations

import threading

from schemas.protocols import InstructionWriter
from synthesis.config import WriteConfig

_loaded: dict[str, InstructionWriter] = {}
_lock = threading.Lock()


def load_writer(config: WriteConfig) -> InstructionWriter:
    """The writer of a configuration, loaded once a process. Raises MissingPackageError, ConfigurationError."""
    key = config.model_dump_json(
        include={
            "backend",
            "model",
            "model_file",
            "base_url",
            "api_key_variable",
            "threads",
            "concurrency",
            "timeout",
            "attempts",
            "max_wait",
        }
    )
    with _lock:
        if key not in _loaded:
            if config.backend == "openai":
                from synthesis.writers.openai_writer import OpenAIWriter

                _loaded[key] = OpenAIWriter(config)
            else:
                from synthesis.writers.xllamacpp_writer import XllamacppWriter

                _loaded[key] = XllamacppWriter(config)
        return _loaded[key]
