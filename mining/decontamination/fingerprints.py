"""Several benchmarks' fingerprints, searched as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mining.decontamination.config import DecontaminationConfig
from mining.decontamination.image_search import Match, search_images
from mining.decontamination.ngrams import ngram_hashes
from mining.decontamination.read import FingerprintFile, open_fingerprints
from schemas.errors import ConfigurationError


@dataclass(frozen=True)
class Fingerprints:
    """The fingerprint files of a configuration. Images are read while they are compared; the n-grams of texts, 8 bytes
    each, are held from the first `match_text` on."""

    files: tuple[FingerprintFile, ...]
    config: DecontaminationConfig

    @classmethod
    def open(cls, config: DecontaminationConfig, image_model: str | None = None) -> Fingerprints:
        """The files of a configuration. Raises ConfigurationError where one of them cannot be used, or holds images
        that another model than `image_model` (`NAME@REVISION`) looked at."""
        return cls(tuple(open_fingerprints(path, image_model) for path in config.files), config)

    def match_images(
        self, phashes: npt.NDArray[np.uint64], sketches: npt.NDArray[np.int8] | Sequence[bytes]
    ) -> list[Match | None]:
        """What images match: `phashes` uint64 (n), `sketches` int8 (n, d) or their bytes (n) → a match each, or None.

        Of several files the first that has a match names it. Raises ConfigurationError where the sketches' length is
        not that of a file's."""
        rows = sketches if isinstance(sketches, np.ndarray) else _rows(sketches)
        result: list[Match | None] = [None] * len(phashes)
        open_rows = np.arange(len(phashes))
        for file in self.files:
            if not file.info.images or not len(open_rows):
                continue
            width = file.cells().shape[1]
            if width != rows.shape[1]:
                raise ConfigurationError(
                    f"{file.path} has sketches of {width} numbers, the crawl's have {rows.shape[1]}: make it again "
                    "with the settings of the run (--preset, --config)."
                )
            found = search_images(file, phashes[open_rows], rows[open_rows], self.config)
            for number, match in found.items():
                result[int(open_rows[number])] = match
            open_rows = np.array([row for row in open_rows.tolist() if result[row] is None], np.int64)
        return result

    def match_text(self, text: str) -> str | None:
        """The name of the first benchmark that shares enough n-grams of words with a text."""
        if not self.config.text_ngrams:
            return None
        own: dict[int, npt.NDArray[np.uint64]] = {}
        for file, grams in zip(self.files, self._grams, strict=True):
            words = file.info.settings.words
            if words not in own:
                own[words] = ngram_hashes(text, words)
            if len(grams) and len(own[words]) >= self.config.text_ngrams:
                places = np.minimum(np.searchsorted(grams, own[words]), len(grams) - 1)
                if int((grams[places] == own[words]).sum()) >= self.config.text_ngrams:
                    return file.info.benchmark
        return None

    @cached_property
    def _grams(self) -> list[npt.NDArray[np.uint64]]:
        return [file.grams() for file in self.files]


def _rows(sketches: Sequence[bytes]) -> npt.NDArray[np.int8]:
    return (
        np.frombuffer(b"".join(sketches), np.int8).reshape(len(sketches), -1) if sketches else np.zeros((0, 0), np.int8)
    )


def decontamination_facts(config: DecontaminationConfig, fingerprints: Fingerprints) -> dict[str, Any]:
    """What a dataset's card says of decontamination: against what was checked, and with which thresholds. How many
    images fell stands in the funnel. No paths: they would make the card depend on the machine."""
    return {
        "benchmarks": [
            {
                "name": file.info.benchmark,
                "images": file.info.images,
                "images_left_out": dict(sorted(file.info.left_out.items())),
                "texts": file.info.texts,
                "ngrams": file.info.grams,
                "ngram_words": file.info.settings.words,
                "image_model": file.info.image_model if file.info.images else None,
                "variants": list(file.info.variants) if file.info.images else [],
            }
            for file in fingerprints.files
        ],
        "thresholds": config.model_dump(mode="json", exclude={"files"}),
    }
