"""Which rows are chosen: quality first, then what covers most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from publishing.selection.clusters import blocks, cluster_count, k_means
from publishing.selection.columns import codes
from publishing.selection.config import SelectionConfig
from publishing.selection.facility import facility_order
from publishing.selection.greedy import Spread, lazy_greedy, take_in_order, water_level
from publishing.selection.quality import quality
from schemas.errors import ConfigurationError
from schemas.protocols import Float32Array

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """What was chosen of n rows (in the order of `triplet_id`)."""

    #: Row numbers in the order in which they were chosen: those by quality, then those by diversity.
    rows: Int64Array
    #: How many of them were chosen by quality.
    by_quality: int
    #: Of all n rows; None where settings do not ask for it.
    quality: Float64Array | None
    #: The cluster of all n rows; None without features.
    clusters: Int64Array | None
    #: Rows of each block within which rows were compared; none without features.
    blocks: list[Int64Array]

    def mask(self, count: int) -> npt.NDArray[np.bool_]:
        """Which of `count` rows are chosen."""
        found = np.zeros(count, bool)
        found[self.rows] = True
        return found


def columns_of(config: SelectionConfig) -> list[str]:
    """Names of the columns that the settings read."""
    terms = sorted(config.quality) if _asks_for_quality(config) else []
    return list(dict.fromkeys([*terms, *sorted(config.cover), *sorted(config.caps)]))


def choose(rows: pa.Table, vectors: Float32Array | None, config: SelectionConfig) -> Choice:
    """Choose `config.size` of the rows (sorted by `triplet_id`, with the columns of `columns_of`); `vectors` (n, d) of
    unit length say which rows are alike.

    By quality: the best rows that caps allow. By diversity: the greedy choice by `F(S) / n + Σ weight · C(S)`, where F
    is facility location (see `facility_order`) over blocks of clusters, rows of different blocks counting as unlike,
    and C the spread over a column's values (`Spread`). What a row adds to F is taken from its block's own greedy order:
    never more than it adds. Mixed: a share by quality, then the most diverse given those. Memory is a few hundred bytes
    a row and one block's square. Raises ConfigurationError where the settings leave too few rows.
    """
    count = rows.num_rows
    if config.size > count:
        raise ConfigurationError(
            f"--size is {config.size}, and the split train has {count} triplets: give at most as many."
        )
    scores = quality(rows, config.quality) if _asks_for_quality(config) else None
    allowed = np.arange(count) if scores is None else np.flatnonzero(scores >= config.least_quality)
    if len(allowed) < config.size:
        raise ConfigurationError(
            f"least_quality {config.least_quality:g} leaves {len(allowed)} of {count} triplets, fewer than --size "
            f"{config.size}: lower one of them."
        )
    labels, pieces = None, []
    if vectors is not None:
        labels = k_means(vectors, cluster_count(count, config.clusters), config.seed)
        pieces = blocks(vectors, labels, config.block, config.seed)
    spreads = _spreads(rows, labels, allowed, config)
    best: list[int] = []
    if scores is not None and config.by != "diversity":
        wanted = config.size if config.by == "quality" else round(config.share * config.size)
        best = take_in_order(allowed[np.argsort(-scores[allowed], kind="stable")].tolist(), wanted, spreads)
    chosen = list(best)
    if config.by != "quality":
        chosen += _diverse(allowed, best, vectors, pieces, spreads, config)
    if len(chosen) < config.size:
        raise ConfigurationError(
            f"the caps leave {len(chosen)} triplets, fewer than --size {config.size}: raise caps ({_caps(config)}) or "
            "give a smaller size."
        )
    return Choice(np.array(chosen, np.int64), len(best), scores, labels, pieces)


def _asks_for_quality(config: SelectionConfig) -> bool:
    return config.by != "diversity" or config.least_quality > 0


def _spreads(rows: pa.Table, labels: Int64Array | None, allowed: Int64Array, config: SelectionConfig) -> list[Spread]:
    """The columns to cover and those with caps, and the clusters with theirs."""
    found = []
    cover = {} if config.by == "quality" else config.cover
    usable = np.zeros(rows.num_rows, bool)
    usable[allowed] = True
    for name in sorted({*cover, *config.caps}):
        _, starts, values = codes(rows[name], name)
        cap = max(1, int(config.caps[name] * config.size + 1e-9)) if name in config.caps else None
        found.append(Spread(starts, values, config.size, weight=cover.get(name, 0.0), cap=cap))
    if labels is not None and config.cluster_cap is not None:
        sizes = np.bincount(labels[usable], minlength=int(labels.max()) + 1)
        even = int(config.cluster_cap * config.size / max(1, int((sizes > 0).sum())))
        cap = max(1, even, water_level(sizes, config.size))
        found.append(Spread(np.arange(rows.num_rows + 1), labels, config.size, cap=cap))
    return found


def _diverse(
    allowed: Int64Array,
    best: Iterable[int],
    vectors: Float32Array | None,
    pieces: Iterable[Int64Array],
    spreads: list[Spread],
    config: SelectionConfig,
) -> list[int]:
    """The most diverse rows given those that are chosen already."""
    free = np.zeros(int(allowed.max()) + 1, bool)
    free[allowed] = True
    taken = np.zeros(len(free), bool)
    taken[list(best)] = True
    limit = config.size - int(taken.sum())
    if vectors is None:
        rows = np.flatnonzero(free & ~taken)
        return lazy_greedy(rows, np.zeros(len(rows)), limit, spreads, config.tolerance)
    found, gains = [], []
    for block in pieces:
        own = block[block < len(free)]
        own = own[free[own]]
        order, added = facility_order(vectors[own], np.flatnonzero(taken[own]), limit)
        found.append(own[order])
        gains.append(added / len(vectors))
    return lazy_greedy(np.concatenate(found), np.concatenate(gains), limit, spreads, config.tolerance)


def _caps(config: SelectionConfig) -> str:
    names = [f"{name} {share:g}" for name, share in sorted(config.caps.items())]
    if config.cluster_cap is not None:
        names.append(f"cluster_cap {config.cluster_cap:g}")
    return ", ".join(names)
