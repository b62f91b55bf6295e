"""Any OpenAI-compatible endpoint: vLLM, SGLang, llama.cpp's server, TGI, hosted ones."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from schemas.errors import ConfigurationError, MissingPackageError
from synthesis.config import WriteConfig


class OpenAIWriter:
    """Keeps `concurrency` requests in flight; the client retries what passes, honouring `Retry-After`."""

    def __init__(self, config: WriteConfig) -> None:
        try:
            import openai
        except ImportError as error:
            raise MissingPackageError("openai", "server", "the preset server") from error
        if not config.base_url:
            raise ConfigurationError(
                "the backend openai needs an endpoint: set write_instructions.base_url, such as http://localhost:8000/v1."
            )
        self._openai = openai
        self._client = openai.OpenAI(
            base_url=config.base_url,
            # Servers of one's own take any key; an empty one is refused by the client itself.
            api_key=os.environ.get(config.api_key_variable) or "none",
            timeout=config.timeout,
            max_retries=config.attempts - 1,
        )
        self.name, self.revision = config.model, config.base_url
        self._pool = ThreadPoolExecutor(config.concurrency, thread_name_prefix="lensmith-openai")

    def write(self, requests: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """See `schemas.protocols.InstructionWriter`. Errors: `timeout`, `connection`, `http_STATUS`."""
        return list(self._pool.map(self._one, requests))

    def _one(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        openai = self._openai
        try:
            answer = self._client.chat.completions.create(
                model=self.name, messages=list(request["messages"]), **request["parameters"]
            )
        except openai.APITimeoutError:
            return _error("timeout")
        except openai.APIConnectionError:
            return _error("connection")
        except openai.APIStatusError as error:
            return _error(f"http_{error.status_code}")
        except openai.APIError:
            return _error("bad_answer")
        if not answer.choices:
            return _error("bad_answer")
        choice = answer.choices[0]
        return {"text": choice.message.content, "error": None, "finish_reason": choice.finish_reason}


def _error(name: str) -> Mapping[str, Any]:
    return {"text": None, "error": name, "finish_reason": None}
