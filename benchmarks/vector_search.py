"""Approximate search against exact search: recall, build time and search time for several numbers of cells and probes.

    python -m benchmarks.vector_search [--images 200000] [--from RUN] [--view image] [--k 50]

Vectors are those of `benchmarks.made_corpus`. Times are processor seconds on one thread; searches are timed on a sample
of queries and told for a thousand of them. Recall counts another image with as high a score as the last as that one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from benchmarks.made_corpus import Features, features_of_run, made_features, made_images
from mining.search.index import IndexPlan, PartSearch, choose_probes, fill, plan_index, recall, train
from mining.search.vectors import ImageColumns, ViewVectors, view_vectors

Result = TypeVar("Result")


def made_vectors(real: Features, images: int, view: str) -> ViewVectors:
    """Vectors of a made corpus in one view."""
    looks, hashes, texts = made_images(real, images)
    ids = [f"{number:064x}" for number in range(images)]
    return view_vectors(view, ImageColumns(ids, looks, hashes, ids, texts.astype(np.float32)))


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """What work returns, and its processor seconds."""
    began = time.process_time()
    return work(), time.process_time() - began


def measure(vectors: ViewVectors, k: int, cells: list[int], sample: int, queries: int, aim: float) -> None:
    """Print a line for exact search, and one for each number of cells and of probes."""
    count = len(vectors.ids)
    asked = vectors.take(range(0, count, max(1, count // queries)))
    a_thousand = 1000 / len(asked.ids)
    exact, seconds = timed(lambda: PartSearch(vectors).search(asked, k))
    print(f"{'cells':>7}{'probes':>8}{'recall':>9}{'train s':>9}{'fill s':>8}{'s/1000':>9}{'of exact':>10}")
    print(f"{'exact':>7}{'':>8}{1:>9.4f}{'':>17}{seconds * a_thousand:>9.2f}{1:>10.2f}")
    picked = vectors.take(sorted(np.random.default_rng(3).choice(count, min(sample, count), replace=False).tolist()))
    for number in cells:
        trained, training = timed(lambda number=number: train(picked.search, IndexPlan(number, aim)))  # type: ignore[misc]
        stored, filling = timed(lambda trained=trained: fill(trained, vectors))  # type: ignore[misc]
        chosen, choosing = timed(lambda trained=trained: choose_probes(trained, picked, k, aim))  # type: ignore[misc]
        for probes in sorted({8, 16, 32, 64, 128, chosen}):
            if probes <= number:
                search = PartSearch(vectors, stored, probes)
                found, taken = timed(lambda search=search: search.search(asked, k))  # type: ignore[misc]
                line = f"{number:>7}{probes:>8}{recall(found, exact):>9.4f}{training:>9.1f}{filling:>8.1f}"
                ratio = f"{taken * a_thousand:>9.2f}{taken / seconds:>10.3f}"
                print(line + ratio + ("  chosen" if probes == chosen else ""), flush=True)
        print(f"choosing the probes took {choosing:.1f} s", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--from", dest="run", help="output folder of a run whose features are repeated")
    parser.add_argument("--view", choices=("image", "pattern", "text"), default="image")
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--cells", type=int, nargs="*", help="default: what plan_index says, half and twice of it")
    parser.add_argument("--sample", type=int, default=200_000, help="as mine_pairs.search.sample")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--aim", type=float, default=0.97, help="as mine_pairs.search.recall")
    options = parser.parse_args()
    real = features_of_run(options.run) if options.run else made_features()
    planned = plan_index(options.images, 0, options.aim).cells
    cells = options.cells or [planned // 2, planned, planned * 2]
    vectors = made_vectors(real, options.images, options.view)
    print(f"{len(vectors.ids)} vectors of {vectors.search.shape[1]} numbers, view {options.view}, k {options.k}")
    measure(vectors, options.k, cells, options.sample, options.queries, options.aim)


if __name__ == "__main__":
    main()
