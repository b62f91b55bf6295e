"""Reranking of the best candidates by a model that sees them, behind any OpenAI-compatible chat endpoint."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluation.rerankers.chat_messages import (
    RerankQuery,
    UnknownImageError,
    UnreadableAnswerError,
    content_of,
    messages,
    parse_order,
)
from evaluation.rerankers.order import Int64Array
from schemas.errors import ConfigurationError, MissingPackageError


@dataclass(frozen=True)
class ChatRerankerConfig:
    """Where and how to ask. `timeout` (seconds) holds for each attempt; statuses that pass (408, 409, 429, 5xx),
    time-outs and lost connections are tried again until `attempts` are used up, `Retry-After` honoured."""

    base_url: str
    model: str
    top: int = 10
    timeout: float = 120.0
    attempts: int = 3
    concurrency: int = 4
    api_key_variable: str = "OPENAI_API_KEY"
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0.0})


@dataclass(frozen=True)
class Reranked:
    """`order` (int64, a permutation of the candidates) and, where the rerank failed and the order is the old one,
    why: `timeout`, `connection`, `http_STATUS`, `unreadable_answer` or `unknown_image_format`."""

    order: Int64Array
    failure: str | None = None


class ChatReranker:
    """Asks a chat model to order the first `top` candidates; a failure keeps the order and says so.

    A context manager: its connections and threads end with it. Raises MissingPackageError without the package openai,
    ConfigurationError for settings that cannot work."""

    def __init__(self, config: ChatRerankerConfig) -> None:
        try:
            import openai
        except ImportError as error:
            raise MissingPackageError("openai", "server", "reranking through a chat endpoint") from error
        if not config.base_url or not config.model:
            raise ConfigurationError(
                "reranking needs an endpoint and a model: set base_url, such as http://localhost:8000/v1, and model."
            )
        if min(config.top, config.attempts, config.concurrency) < 1 or config.timeout <= 0:
            raise ConfigurationError(
                "reranking needs top, attempts and concurrency of at least 1 and a timeout above 0: raise them."
            )
        self.config = config
        self._openai = openai
        self._client = openai.OpenAI(
            base_url=config.base_url,
            # Servers of one's own take any key; an empty one is refused by the client itself.
            api_key=os.environ.get(config.api_key_variable) or "none",
            timeout=config.timeout,
            max_retries=config.attempts - 1,
        )
        self._pool = ThreadPoolExecutor(config.concurrency, thread_name_prefix="lensmith-rerank")

    def __enter__(self) -> ChatReranker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def rerank(self, query: RerankQuery) -> Reranked:
        """The order of one query's candidates; those behind the first `top` keep their places."""
        everything = np.arange(len(query.candidates), dtype=np.int64)
        count = min(self.config.top, len(everything))
        if count < 2:
            return Reranked(everything)
        try:
            first = parse_order(self._ask(messages(query, count)), count)
        except UnknownImageError:
            return Reranked(everything, "unknown_image_format")
        except UnreadableAnswerError:
            return Reranked(everything, "unreadable_answer")
        except self._openai.APITimeoutError:
            return Reranked(everything, "timeout")
        except self._openai.APIConnectionError:
            return Reranked(everything, "connection")
        except self._openai.APIStatusError as error:
            return Reranked(everything, f"http_{error.status_code}")
        return Reranked(np.concatenate([first, everything[count:]]))

    def rerank_all(self, queries: Sequence[RerankQuery]) -> list[Reranked]:
        """Many queries, `concurrency` at a time, results in their order."""
        return list(self._pool.map(self.rerank, queries))

    def _ask(self, content: Sequence[Any]) -> str:
        # The raw body: what a server answers with status 200 need not be what the client expects to parse.
        response = self._client.chat.completions.with_raw_response.create(
            model=self.config.model, messages=list(content), **self.config.parameters
        )
        return content_of(response.text)


def count_outcomes(results: Iterable[Reranked]) -> Counter[str]:
    """How many queries were `reranked`, and how many failed under each reason."""
    return Counter("reranked" if one.failure is None else one.failure for one in results)


def apply_order(ranking: npt.ArrayLike, result: Reranked) -> Int64Array:
    """A ranking of gallery indices whose first `len(result.order)` were the candidates, in their new order. Raises
    ValueError where the ranking is shorter than that."""
    indices = np.asarray(ranking).astype(np.int64)
    count = len(result.order)
    if indices.ndim != 1 or len(indices) < count:
        raise ValueError(f"ranking has shape {indices.shape}; a row of {count} indices at least is wanted.")
    return np.concatenate([indices[:count][result.order], indices[count:]])
