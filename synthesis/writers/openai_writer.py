"""Any OpenAI-compatible endpoint: vLLM, SGLang, llama.cpp's server, TGI, hosted ones."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from schemas.errors import ConfigurationError
from synthesis.config import WriterConfig
from synthesis.writers.endpoints import Endpoint, Endpoints, RestingError
from synthesis.writers.failed_answer import failed_answer
from synthesis.writers.http_client import Client, LostError, UnreachableError
from synthesis.writers.lane import Lane
from synthesis.writers.openai_body import Asked, body_of, read_answer

_FIRST_PAUSE = 0.5
#: Seconds after which a stream says that nothing came.
_TICK = 1.0

_Given = Mapping[str, Any]
_END: Any = object()


class OpenAIWriter:
    """Keeps up to `concurrency` requests in flight at each address. What passes (429, 5xx, time-outs, lost
    connections) is tried again, at another address where there is one, with growing pauses or after the server's
    `Retry-After`. The key comes from the environment; it goes into one header and nowhere else.

    Requests travel on a thread of their own with an event loop, which the streams of one writer share.
    """

    revision = "as served"

    def __init__(self, config: WriterConfig, share: float = 1.0, concurrency: int | None = None) -> None:
        """`share` of the configured concurrency, or another `concurrency`: what is this process's own, where several
        divide the limit of an address among them. Raises ConfigurationError."""
        if not config.base_urls:
            raise ConfigurationError(
                "the backend openai needs an endpoint: set write_instructions.base_url, such as http://localhost:8000/v1."
            )
        self.name = config.model
        self.concurrency = concurrency or max(1, int(config.concurrency * share + 1e-9))
        self._config = config
        self._key = _key(config.api_key_variable)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._endpoints: Endpoints

    def stream(self, requests: Iterable[_Given]) -> Iterator[tuple[_Given, _Given] | None]:
        """See `schemas.protocols.InstructionWriter`. Errors: `timeout`, `connection`, `connection_lost`, `bad_answer`,
        `http_STATUS`.

        At any time no more than a quarter above the number that may be in flight has been drawn and not been yielded.
        Closing the stream cancels what is in flight.

        Raises ConfigurationError where an address refused everything so far, because it cannot be reached or does not
        know the model, and where it refuses the key or wants to be paid: another run may ask the rest.
        """
        lane = Lane(self._start(), self._answer)
        room = len(self._config.base_urls) * self.concurrency
        room += max(4, room // 4)
        tick = min(_TICK, self._config.flush_seconds)
        remaining, drawn, out = iter(requests), True, 0
        ready: deque[tuple[_Given, _Given]] = deque()
        said = time.monotonic()
        try:
            while drawn or out:
                if drawn and out < room:
                    request = next(remaining, _END)
                    if request is _END:
                        drawn = False
                        continue
                    out += 1
                    lane.send(request)
                if not ready:
                    ready.extend(lane.came(0 if drawn and out < room else tick))
                if ready:
                    out -= 1
                    yield ready.popleft()
                elif time.monotonic() - said < tick:
                    continue
                else:
                    yield None
                said = time.monotonic()
        finally:
            lane.close()

    def close(self) -> None:
        """End the thread; its streams must have ended."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                for endpoint in self._endpoints.all:
                    self._loop.call_soon_threadsafe(endpoint.client.close)
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join()
                self._loop.close()
            self._thread = None

    def _start(self) -> asyncio.AbstractEventLoop:
        """The loop, made with its connections; anew in a process that was forked from one that had it."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._loop = loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=loop.run_forever, name="lensmith-openai", daemon=True)
                self._thread.start()
                self._endpoints = asyncio.run_coroutine_threadsafe(self._connected(), loop).result()
            return self._loop

    async def _connected(self) -> Endpoints:
        addresses = [one.rstrip("/") for one in self._config.base_urls]
        made = [Endpoint(one, Client(f"{one}/chat/completions", self._key)) for one in addresses]
        return Endpoints(made, self.concurrency, self._config.max_wait)

    async def _answer(self, request: _Given) -> _Given:
        error, tries, failures = "", 0, 0
        while True:
            try:
                endpoint = await self._endpoints.take()
            except RestingError as resting:
                return failed_answer(error or str(resting), tries)
            tries += 1
            try:
                asked = await self._ask(endpoint, request)
            finally:
                self._endpoints.give_back(endpoint)
            if asked.fields is not None:
                return {**asked.fields, "tries": tries}
            if asked.form_refused:
                endpoint.structured = False
                continue
            error = asked.error
            failures += 1
            if not asked.passing or failures >= self._config.attempts:
                self._check(endpoint, error)
                return failed_answer(error, tries)
            if not asked.retry_after:
                pause = _FIRST_PAUSE * 2 ** (failures - 1) * random.uniform(0.75, 1.25)
                await asyncio.sleep(min(pause, self._config.max_wait))

    async def _ask(self, endpoint: Endpoint, request: _Given) -> Asked:
        """One attempt, and what it says of the endpoint's health."""
        structured = self._config.structured if endpoint.structured else "off"
        body = body_of(request, self.name, structured)
        try:
            answer = await endpoint.client.post(body, self._config.timeout)
        except UnreachableError as error:
            asked = Asked(error=f"connection: {error}", passing=True, unserved=True)
        except LostError as error:
            return Asked(error=f"connection_lost: {error}", passing=True)
        except TimeoutError:
            return Asked(error="timeout", passing=True)
        else:
            has_form = structured != "off" and "schema" in request["parameters"]
            asked = read_answer(answer.status, answer.headers, answer.body, has_form)
        if asked.unserved:
            self._endpoints.failed(endpoint, asked.error, asked.retry_after)
        elif asked.fields is not None:
            endpoint.answered = True
            self._endpoints.went_well(endpoint)
        return asked

    def _check(self, endpoint: Endpoint, error: str) -> None:
        """Some errors tell of the configuration rather than of a request, most of them only before an answer came."""
        where = f"the endpoint {endpoint.address}"
        if error.startswith("connection:") and not any(one.answered for one in self._endpoints.all):
            raise ConfigurationError(
                f"{where} cannot be reached ({error[12:]}): start its server, or set write_instructions.base_url to "
                "where it listens."
            )
        if error == "http_401" or (error == "http_403" and not endpoint.answered):
            raise ConfigurationError(
                f"{where} refuses the key ({error[5:]}): set the environment variable {self._config.api_key_variable}."
            )
        if error == "http_402":
            raise ConfigurationError(f"{where} wants to be paid first (402): see to the account, then run again.")
        if error == "http_404" and not endpoint.answered:
            raise ConfigurationError(
                f"{where} does not know the model {self.name!r} or is no such address (404): set "
                "write_instructions.model to a name that it lists, and base_url to the part before /chat/completions."
            )


def _key(variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not key.isascii() or not key.isprintable():
        raise ConfigurationError(f"the environment variable {variable} holds no key: set it to the endpoint's key.")
    return key
