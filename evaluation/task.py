"""What a benchmark asks, whatever its files look like: parts with queries, a gallery and a measure each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from evaluation.ranking import Places, Similarity

IntArray = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

#: What a measure makes of queries: for each metric the value as reported, pessimistic and optimistic, as fractions.
Values = dict[str, Float64Array]


@dataclass(frozen=True)
class Box:
    """A region of an image: left, top, right, bottom in pixels; with `dilation` grown by that share of its size and
    padded to a square with black, as GeneCIS does."""

    left: float
    top: float
    right: float
    bottom: float
    dilation: float | None = None


@dataclass(frozen=True)
class ImageFile:
    """Where an image lies below the folder of images: the first of `paths` that exists; and what to cut out of it."""

    paths: tuple[str, ...]
    box: Box | None = None


@dataclass(frozen=True)
class QueryInput:
    """What a model gets to see of a query: an image, and the fields that text templates name."""

    image: ImageFile | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """Queries that share a gallery and a measure.

    `queries` and `gallery` are ids, `relevant`, `excluded` (taken out of the ranking) and `candidates` (all that is
    ranked, for queries with a gallery of their own) one int64 array of gallery numbers a query. With candidates,
    `relevant` counts within the query's candidates. `relevant` is None where the split's targets are not published.
    One of two functions measures. `measure_targets` is for queries with at most one relevant item, many at once: ranks
    int64 (b, 3) → for each metric (b, 3). `measure` gets a query's number and the places of its relevant items → for
    each metric (3,); a query may lack a metric, which is then a mean over the others.
    """

    name: str
    queries: Sequence[str]
    gallery: Sequence[str]
    relevant: Sequence[IntArray] | None
    measure: Callable[[int, Places], Values] | None = None
    measure_targets: Callable[[IntArray], Values] | None = None
    excluded: Sequence[IntArray] | None = None
    candidates: Sequence[IntArray] | None = None
    query_input: Callable[[int], QueryInput] | None = None
    gallery_image: Callable[[str], ImageFile] | None = None


@dataclass(frozen=True)
class Task:
    """A benchmark's protocol on a split, ready to be scored.

    `metrics` orders the names (without it, as they come). `averages` maps a metric to the metrics whose plain mean it
    is. `ignorable_*` are ids that the annotation files name and this protocol does not use. `notes` are said to the
    user: counts that differ from the published files'. `similarity` is what the official program computes.
    """

    benchmark: str
    protocol: str
    split: str
    parts: tuple[Part, ...]
    averages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ignorable_queries: frozenset[str] = frozenset()
    ignorable_gallery: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    similarity: Similarity = "cosine"
    #: Every gallery image is a query of its own, and embeddings may leave the queries out.
    queries_are_gallery: bool = False

    @property
    def scorable(self) -> bool:
        """Whether the targets of the split are known."""
        return all(part.relevant is not None for part in self.parts)

    def query_ids(self) -> dict[str, None]:
        """Ids of all queries, once, in order."""
        return dict.fromkeys(one for part in self.parts for one in part.queries)

    def gallery_ids(self) -> dict[str, None]:
        """Ids of all gallery images, once, in order."""
        seen: dict[int, Sequence[str]] = {id(part.gallery): part.gallery for part in self.parts}
        return dict.fromkeys(one for gallery in seen.values() for one in gallery)


class Benchmark(Protocol):
    """One benchmark. The first of `protocols` and `splits` is the default."""

    @property
    def name(self) -> str:
        """Its name on the command line."""

    @property
    def protocols(self) -> tuple[str, ...]:
        """Names of its protocols."""

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of its splits."""

    def load(self, root: Path, protocol: str, split: str, held: Sequence[str] | None) -> Task:
        """Read and check the annotation files below `root`.

        `held` are the gallery ids of the embeddings, which are the gallery where the files list none; None where there
        are no embeddings yet. Raises ConfigurationError that names file and mend."""
