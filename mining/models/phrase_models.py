"""Phrases by models: YAKE's statistics of a text, and named entities by a token classifier of the hub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mining.miners.entities_config import EntitiesConfig
from mining.models.hub import Checkpoint
from mining.phrases import PhraseFinder, RulePhrases
from schemas.errors import ConfigurationError, MissingPackageError

_TOKENS = 96
_YAKE_PHRASES = 6


def load_phrase_finder(config: EntitiesConfig, device: str = "cpu", threads: int = 1) -> PhraseFinder:
    """The finder that the settings name. Raises ConfigurationError where its package or model is missing."""
    if config.phrases == "ner" and config.ner_model:
        return NerPhrases(config.ner_model, device, threads)
    return YakePhrases(config.max_words) if config.phrases == "yake" else RulePhrases(config.max_words)


class YakePhrases:
    """Keywords of a text by YAKE (Campos et al. 2020), which needs no training and knows many languages' stop words."""

    name = "yake"

    def __init__(self, max_words: int = 5) -> None:
        try:
            import yake
        except ImportError as error:
            raise MissingPackageError("yake", "phrases", "mine_pairs.entities.phrases: yake") from error
        from importlib.metadata import version

        self.revision = version("yake")
        self._yake, self._max_words = yake, max_words
        self._extractors: dict[str, Any] = {}

    def phrases(self, text: str, language: str | None) -> Sequence[str]:
        """See `mining.phrases.PhraseFinder`; the best first, ties by text."""
        code = language or "en"
        if code not in self._extractors:
            self._extractors[code] = self._yake.KeywordExtractor(lan=code, n=self._max_words, top=_YAKE_PHRASES)
        found = self._extractors[code].extract_keywords(text)
        return [phrase for phrase, _ in sorted(found, key=lambda one: (round(float(one[1]), 6), one[0]))]


class NerPhrases:
    """Named entities by a token-classification model, by name or folder: tags B-X, I-X and O, or X and O.

    One text at a time, padded to one length, so that a text's tags never depend on what stands beside it.
    """

    def __init__(self, name: str, device: str = "cpu", threads: int = 1) -> None:
        checkpoint = Checkpoint(name, device, threads)
        self._tokenizer = checkpoint.load("AutoTokenizer")
        if not getattr(self._tokenizer, "is_fast", False):
            raise ConfigurationError(f"the tokenizer of {name!r} cannot tell where its tokens stand: take a fast one.")
        self._model = checkpoint.model("AutoModelForTokenClassification")
        self._tags: dict[int, str] = {int(number): str(tag) for number, tag in self._model.config.id2label.items()}
        if "O" not in self._tags.values():
            raise ConfigurationError(
                f"{name!r} has no tag O: mine_pairs.entities.ner_model takes models for named entities."
            )
        positions = int(getattr(self._model.config, "max_position_embeddings", _TOKENS))
        self._tokens = min(_TOKENS, positions)
        self.name, self.revision = checkpoint.name, checkpoint.revision(self._model)
        self._device = device

    def phrases(self, text: str, language: str | None) -> Sequence[str]:
        """See `mining.phrases.PhraseFinder`; in the order of the text."""
        import torch

        tokens = self._tokenizer(
            text,
            truncation=True,
            max_length=self._tokens,
            padding="max_length",
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            return_tensors="pt",
        )
        offsets = tokens.pop("offset_mapping")[0].tolist()
        special = tokens.pop("special_tokens_mask")[0].tolist()
        with torch.inference_mode():
            numbers = self._model(**tokens.to(self._device)).logits[0].argmax(dim=-1).tolist()
        tags = [
            (self._tags[number], start, end)
            for number, (start, end), outside in zip(numbers, offsets, special, strict=True)
            if not outside and end > start
        ]
        return list(dict.fromkeys(text[start:end].strip() for start, end in tagged_spans(text, tags)))


def tagged_spans(text: str, tags: Sequence[tuple[str, int, int]]) -> list[tuple[int, int]]:
    """Spans of entities, in characters, from the tags of tokens ((tag, start, end), in order).

    A word has the tag of its first token. A span ends at O, at another kind, and at a B- tag.
    """
    spans: list[tuple[int, int]] = []
    kind = "O"
    for tag, start, end in tags:
        goes_on = bool(spans) and start == spans[-1][1] and start > 0 and text[start - 1 : start + 1].isalnum()
        if kind != "O" and goes_on:
            spans[-1] = (spans[-1][0], end)
            continue
        if start > 0 and text[start - 1 : start + 1].isalnum():
            # The rest of a word whose beginning is no entity.
            continue
        prefix, dash, name = tag.partition("-")
        own = name if dash and prefix in ("B", "I") else tag
        if own == "O":
            kind = "O"
        elif own == kind and not (dash and prefix == "B"):
            spans[-1] = (spans[-1][0], end)
        else:
            kind = own
            spans.append((start, end))
    return spans
