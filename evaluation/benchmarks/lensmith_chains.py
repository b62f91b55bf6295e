"""Chains of a dataset of Lensmith: search in several turns, as Multi-turn FashionIQ has it (arXiv 2106.04128).

A query is a turn: the first image of its chain with the instructions up to that turn; its target is the image to which
they lead, among all images of the split. The dataset's own program reports recall at 5 and 8 of the last turn with
every image in the gallery: `final/R@5` and `final/R@8` of the protocol `all`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.benchmarks.files import Numbers, once
from evaluation.benchmarks.lensmith import dataset_rows
from evaluation.metrics import found_within
from evaluation.ranking import Places
from evaluation.task import ImageFile, Part, QueryInput, Task, Values
from evaluation.turns import turn_id
from schemas.errors import ConfigurationError

_RECALLS = (1, 5, 8, 10, 50)
#: Between the instructions of a history.
_THEN = ", then "


@dataclass(frozen=True)
class Turn:
    """One query: a chain's images that were shown before the turn, its target, and the texts so far."""

    query_id: str
    number: int
    shown: tuple[str, ...]
    target: str
    texts: tuple[str, ...]
    final: bool

    def asked(self) -> QueryInput:
        """What a model gets to see: the first image; `caption` is the whole history, `last` this turn's own text."""
        fields = {"caption": history(self.texts), "last": self.texts[-1], "turn": str(self.number)}
        return QueryInput(ImageFile((self.shown[0],)), fields)


class LensmithChains:
    """The benchmark `lensmith-chains`."""

    name = "lensmith-chains"
    protocols = ("unseen", "all")
    splits = ("test", "validation", "train")

    def load(self, root: Path, protocol: str, split: str, held: Sequence[str] | None) -> Task:
        """`chains/SPLIT-*.parquet` and the `image_id`s of `images/SPLIT-*.parquet`."""
        if not (root / "images").is_dir():
            raise ConfigurationError(f"{root} is no dataset of Lensmith: give the folder `dataset` of a run.")
        folder = root / "chains"
        if not folder.is_dir():
            raise ConfigurationError(f"{root} has no chains: publish it with `publish_dataset.chains: {{}}`.")
        rows = dataset_rows(folder, split, ("chain_id", "images", "instructions"))
        turns = [turn for row in rows for turn in _turns(folder, *row)]
        if not turns:
            raise ConfigurationError(f"{folder} has no chains in the split {split}: score another with --split.")
        gallery = tuple(once(root / "images", [one for (one,) in dataset_rows(root / "images", split, ("image_id",))]))
        numbers = Numbers(gallery, f"{root / 'images'} ({split})")
        part = Part(
            "all",
            once(folder, [turn.query_id for turn in turns]),
            gallery,
            [numbers.of([turn.target], folder) for turn in turns],
            measure=lambda number, places: _measure(turns[number], places),
            excluded=[numbers.of(turn.shown, folder) for turn in turns] if protocol == "unseen" else None,
            query_input=lambda number: turns[number].asked(),
            gallery_image=lambda one: ImageFile((one,)),
        )
        return Task(self.name, protocol, split, (part,))


def history(texts: Iterable[str]) -> str:
    """The instructions of several turns as one text: `make it red, then seen from above`."""
    return _THEN.join(text.strip().rstrip(".,;") for text in texts)


def _turns(folder: Path, chain_id: str, images: Sequence[str], texts: Sequence[str]) -> list[Turn]:
    if not texts or len(images) != len(texts) + 1 or len(set(images)) != len(images):
        raise ConfigurationError(
            f"{folder}, chain {chain_id}: {len(images)} images and {len(texts)} instructions; a chain has one image "
            "more, and each of them once."
        )
    return [
        Turn(
            turn_id(chain_id, turn),
            turn,
            tuple(images[:turn]),
            images[turn],
            tuple(texts[:turn]),
            turn == len(texts),
        )
        for turn in range(1, len(images))
    ]


def _measure(turn: Turn, places: Places) -> Values:
    """Recall of all turns, of those with the same number, and of the last ones."""
    ranks = np.asarray(places.ranks[:, 0])
    found = {f"R@{k}": found_within(ranks, k) for k in _RECALLS}
    scopes = [f"turn{turn.number}/", *(["final/"] if turn.final else [])]
    return found | {f"{scope}{name}": value for scope in scopes for name, value in found.items()}
