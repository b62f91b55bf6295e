"""Any OpenAI-compatible endpoint: vLLM, SGLang, llama.cpp's server, TGI, hosted ones."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from schemas.errors import ConfigurationError
from synthesis.config import WriteConfig

#: Bytes of an answer, at most: no honest one is longer.
_MAX_BYTES = 4 << 20
_PASSING = frozenset({408, 409, 425, 429})
_FIRST_WAIT = 0.5


class OpenAIWriter:
    """Keeps at most `concurrency` requests in flight. What passes (429, 5xx, time-outs, lost connections) is tried
    again with growing pauses, or after the server's `Retry-After`. The key comes from the environment; it goes into
    one header and nowhere else.
    """

    revision = "as served"

    def __init__(self, config: WriteConfig) -> None:
        if not config.base_url:
            raise ConfigurationError(
                "the backend openai needs an endpoint: set write_instructions.base_url, such as http://localhost:8000/v1."
            )
        self.name = config.model
        self._config = config
        self._address = config.base_url.rstrip("/") + "/chat/completions"
        key = os.environ.get(config.api_key_variable, "").strip()
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(config.timeout, connect=min(config.timeout, 20.0), pool=None),
            limits=httpx.Limits(max_connections=config.concurrency, max_keepalive_connections=config.concurrency),
            follow_redirects=False,
        )
        self._pool = ThreadPoolExecutor(config.concurrency, thread_name_prefix="lensmith-openai")
        self._answered = False

    def write(self, requests: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """See `schemas.protocols.InstructionWriter`. Errors: `timeout`, `connection`, `bad_answer`, `http_STATUS`.

        Raises ConfigurationError where the endpoint refused everything so far: it cannot be reached, or it knows
        neither the key nor the model.
        """
        if len(requests) == 1:
            return [self._one(requests[0])]
        return list(self._pool.map(self._one, requests))

    def _one(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        body = {"model": self.name, "messages": list(request["messages"]), **request["parameters"]}
        found: Mapping[str, Any] = {}
        for attempt in range(self._config.attempts):
            found, wait = self._ask(body)
            if found["error"] is None or wait is None:
                break
            if attempt + 1 < self._config.attempts:
                pause = wait or _FIRST_WAIT * 2**attempt * random.uniform(0.75, 1.25)
                if wait > self._config.max_wait:
                    break
                time.sleep(min(pause, self._config.max_wait))
        if found["error"] is None:
            self._answered = True
        elif not self._answered:
            self._refused(str(found["error"]))
        return found

    def _ask(self, body: Mapping[str, Any]) -> tuple[Mapping[str, Any], float | None]:
        """One attempt: the answer, and the seconds that the server asks to wait (0: as we like, None: never again)."""
        try:
            with self._client.stream("POST", self._address, json=body) as response:
                data = self._read(response)
        except httpx.ConnectError as error:
            return _error("connection", f"connection: {type(error).__name__}"), 0.0
        except httpx.TimeoutException:
            return _error("timeout"), 0.0
        except (httpx.TransportError, httpx.DecodingError) as error:
            return _error("lost", f"connection_lost: {type(error).__name__}"), 0.0
        status = response.status_code
        if status in _PASSING or status >= 500:
            return _error(f"http_{status}"), _retry_after(response)
        if status != 200:
            return _error(f"http_{status}"), None
        try:
            choice = json.loads(data)["choices"][0]
            text = choice["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError, RecursionError):
            return _error("bad_answer"), 0.0
        if text is not None and not isinstance(text, str):
            return _error("bad_answer"), 0.0
        finish = choice.get("finish_reason")
        return {"text": text, "error": None, "finish_reason": finish if isinstance(finish, str) else None}, None

    def _read(self, response: httpx.Response) -> bytes:
        """The body, within the time and the size that an answer may have."""
        deadline = time.monotonic() + self._config.timeout
        data = bytearray()
        for piece in response.iter_bytes():
            data += piece
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("the answer took too long")
            if len(data) > _MAX_BYTES:
                raise httpx.DecodingError("the answer is too long")
        return bytes(data)

    def _refused(self, error: str) -> None:
        """Before any answer came, some errors tell of the configuration rather than of a request."""
        where = f"the endpoint {self._config.base_url}"
        if error.startswith("connection:"):
            raise ConfigurationError(
                f"{where} cannot be reached: start its server, or set write_instructions.base_url to where it listens."
            )
        if error == "http_401":
            raise ConfigurationError(
                f"{where} refuses the key (401): set the environment variable {self._config.api_key_variable}."
            )
        if error == "http_404":
            raise ConfigurationError(
                f"{where} does not know the model {self.name!r} or is no such address (404): set "
                "write_instructions.model to a name that it lists, and base_url to the part before /chat/completions."
            )


def _retry_after(response: httpx.Response) -> float:
    """Seconds of a `Retry-After` header, in either of its forms; 0 without one."""
    value = response.headers.get("Retry-After", "").strip()
    if not value:
        return 0.0
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0


def _error(name: str, more: str | None = None) -> Mapping[str, Any]:
    return {"text": None, "error": more or name, "finish_reason": None}
