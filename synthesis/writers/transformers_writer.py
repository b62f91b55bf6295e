"""Models of transformers in this process: causal LMs and image-text-to-text models, answered in batches.

torch's bits depend on the shape of what it computes. Batches are cut in the order of the requests, filled up to one
size and padded on the left to a multiple of 32 tokens, so that the same requests in the same order get the same
answers; in other company, tokens that are nearly equally likely may change places.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from synthesis.config import WriterConfig
from synthesis.writers.chat_models import BadRequestError, ChatModel, Prepared
from synthesis.writers.enforced_json import Enforced
from synthesis.writers.failed_answer import failed_answer

#: Prompts are as long as the longest of their batch, rounded up to so many tokens.
_PADDING = 32
#: Requests that wait for others of their kind, at most, as a multiple of the batch.
_WAITING = 4
_FULL = ("out of memory", "can't allocate memory", "not enough memory")

Asked = tuple[Mapping[str, Any], Prepared]
Answer = dict[str, Any]


class TransformersWriter:
    """Answers requests of equal parameters together. JSON schemas are enforced where the package llguidance is
    installed, and left to the prompt where it is not, as grammars are: transformers itself enforces neither."""

    def __init__(self, config: WriterConfig) -> None:
        """Raises MissingPackageError, ConfigurationError."""
        self._chat = ChatModel(config)
        self._batch = config.batch
        self.name, self.revision = self._chat.name, self._chat.revision

    def stream(
        self, requests: Iterable[Mapping[str, Any]]
    ) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]] | None]:
        """See `schemas.protocols.InstructionWriter`.

        Errors: `no_images`, `bad_image`, `bad_prompt`, `bad_schema`, `too_long` (prompt and `max_tokens` together),
        `out_of_memory` (alone, too), `model`. A batch that fails is halved and tried again, so that one request does
        not spoil it.
        """
        waiting: dict[Hashable, list[Asked]] = {}
        for request in requests:
            try:
                prepared = self._chat.prepare(request)
            except BadRequestError as error:
                yield request, failed_answer(str(error), tries=0)
                continue
            key = _kind(request, prepared)
            waiting.setdefault(key, []).append((request, prepared))
            if len(waiting[key]) == self._batch:
                yield from self._answered(waiting.pop(key))
            elif sum(map(len, waiting.values())) >= _WAITING * self._batch:
                yield from self._answered(waiting.pop(next(iter(waiting))))
        for group in waiting.values():
            yield from self._answered(group)

    def _answered(self, group: Sequence[Asked]) -> Iterator[tuple[Mapping[str, Any], Answer]]:
        size, start = self._batch, 0
        while start < len(group):
            part = group[start : start + size]
            answers, fault = self._tried(part, size)
            if not answers and size > 1:
                size = (size + 1) // 2
                continue
            for (request, _), answer in zip(part, answers or [failed_answer(fault, tries=1)], strict=True):
                yield request, answer
            start += len(part)

    def _tried(self, group: Sequence[Asked], size: int) -> tuple[list[Answer], str]:
        """The answers, or none and why."""
        try:
            return self._generate(group, size), ""
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            fault = _fault(error)
        # Not in the handler: the error holds on to the tensors that did not fit.
        self._free()
        return [], fault

    def _generate(self, group: Sequence[Asked], size: int) -> list[Answer]:
        """Answers to at most `size` requests of one kind, computed as `size`."""
        import torch

        filled = [*group, *[group[-1]] * (size - len(group))]
        inputs = self._collated([prepared for _, prepared in filled])
        parameters = group[0][0]["parameters"]
        temperature, limit = float(parameters["temperature"]), int(parameters["max_tokens"])
        steps: list[Any] = []
        if any(prepared.matcher is not None for _, prepared in group):
            steps.append(Enforced([prepared.matcher for _, prepared in filled]))
        if temperature > 0:
            steps.append(SeededNoise([_seed(request) for request, _ in filled], temperature))
        with torch.inference_mode():
            found = self._chat.model.generate(
                **inputs, generation_config=self._chat.generation(limit), logits_processor=steps
            )
        rows = found[:, inputs["input_ids"].shape[1] :].tolist()
        lengths = [len(prepared.tokens["input_ids"]) for _, prepared in group]
        return [self._answer(row, length) for row, length in zip(rows, lengths, strict=False)]

    def _collated(self, batch: Sequence[Prepared]) -> dict[str, Any]:
        import torch

        longest = max(len(one.tokens["input_ids"]) for one in batch)
        width = -(-longest // _PADDING) * _PADDING
        inputs: dict[str, Any] = {}
        for name in batch[0].tokens:
            filler = self._chat.pad if name == "input_ids" else 0
            rows = torch.full((len(batch), width), filler, dtype=batch[0].tokens[name].dtype)
            for row, one in zip(rows, batch, strict=True):
                row[width - len(one.tokens[name]) :] = one.tokens[name]
            inputs[name] = rows
        for name in batch[0].others:
            inputs[name] = torch.cat([one.others[name] for one in batch])
        return {name: value.to(self._chat.device) for name, value in inputs.items()}

    def _answer(self, row: Sequence[int], prompt_tokens: int) -> Answer:
        end = next((place for place, token in enumerate(row) if token in self._chat.ends), None)
        text = self._chat.tokenizer.decode(row[:end], skip_special_tokens=True)
        return {
            "text": text,
            "error": None,
            "finish_reason": "length" if end is None else "stop",
            "prompt_tokens": prompt_tokens,
            "completion_tokens": len(row) if end is None else end + 1,
            "tries": 1,
        }

    def _free(self) -> None:
        import torch

        if torch.device(self._chat.device).type == "cuda":
            torch.cuda.empty_cache()


class SeededNoise:
    """Makes greedy decoding a sampling of its own for each row: the largest of logits / temperature + Gumbel noise is
    a draw from the softmax (Gumbel-max), and the noise of a row depends on its seed alone, not on its company."""

    def __init__(self, seeds: Sequence[int], temperature: float) -> None:
        import torch

        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._temperature = temperature

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """`scores` float (rows, tokens) → the same with noise."""
        import torch

        noise = torch.stack(
            [torch.empty(scores.shape[1]).exponential_(generator=one).clamp_min(1e-30) for one in self._generators]
        )
        return scores.float() / self._temperature - noise.log().to(scores.device)


def _kind(request: Mapping[str, Any], prepared: Prepared) -> Hashable:
    """Requests that may share a batch: equal parameters, and tensors that join."""
    parameters = request["parameters"]
    shapes = tuple((name, tuple(value.shape[1:])) for name, value in sorted(prepared.others.items()))
    return parameters["temperature"], parameters["max_tokens"], tuple(sorted(prepared.tokens)), shapes


def _seed(request: Mapping[str, Any]) -> int:
    """A seed of its own for each request, reproducible: its id holds the seed that was asked for."""
    given = f"{request['parameters'].get('seed', 0)} {request['request_id']}".encode()
    return int.from_bytes(hashlib.sha256(given).digest()[:8], "big") >> 1


def _fault(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or any(sign in text.lower() for sign in _FULL):
        return "out_of_memory"
    return f"model: {type(error).__name__}: {text}"[:300]
