"""JSON schemas enforced on models of transformers by llguidance, where that package is installed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

#: As `json.dumps` writes, and models have read it. Free whitespace is where small models never end.
_SPACING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class BadSchemaError(ValueError):
    """A schema that cannot be enforced."""


class Enforcer:
    """Makes a matcher of a schema, for the tokens of one model."""

    def __init__(self, tokenizer: Any, vocabulary: int, ends: Collection[int]) -> None:
        """`vocabulary`: tokens for which the model gives logits. Raises ImportError without llguidance, ValueError for
        a tokenizer that is not of the package tokenizers."""
        self._llguidance = import_module("llguidance")
        size = max(vocabulary, len(tokenizer))
        self._tokens = import_module("llguidance.hf").from_tokenizer(tokenizer, n_vocab=size, eos_token=sorted(ends))

    def matcher(self, schema: Mapping[str, Any]) -> Any:
        """What says token by token how an answer may go on. Raises BadSchemaError."""
        compiler = self._llguidance.LLMatcher
        made = compiler(self._tokens, compiler.grammar_from_json_schema(dict(schema), overrides=_SPACING), log_level=0)
        if made.is_error():
            raise BadSchemaError(" ".join(made.get_error().split())[:200])
        return made


class Enforced:
    """Leaves each row of a batch the tokens that its matcher allows; rows without one are free."""

    def __init__(self, matchers: Sequence[Any]) -> None:
        self._matchers = [None if one is None else one.deep_copy() for one in matchers]
        self._begun = False

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """`input_ids` int64 (rows, tokens so far), `scores` float (rows, vocabulary) → the same, -inf where a token is
        not allowed."""
        import torch

        allowed = np.ones(scores.shape, np.bool_)
        for row, matcher in enumerate(self._matchers):
            if matcher is None:
                continue
            if self._begun and not matcher.is_stopped():
                matcher.consume_token(int(input_ids[row, -1]))
            # Where the JSON is whole, the end is all that is allowed; after it, `generate` fills up whatever is.
            allowed[row] = _bits(matcher.compute_bitmask(), scores.shape[1])
        self._begun = True
        return scores.masked_fill(~torch.from_numpy(allowed).to(scores.device), -torch.inf)


def _bits(mask: bytes, size: int) -> npt.NDArray[np.bool_]:
    bits = np.unpackbits(np.frombuffer(mask, np.uint8), bitorder="little").astype(np.bool_)
    return np.pad(bits[:size], (0, max(0, size - len(bits))))
