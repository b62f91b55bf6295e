"""Scoring against `numpy.argsort` over the full matrix and against faiss, and the memory of a large gallery.

    python -m benchmarks.evaluate [--queries 4181 --images 2297 --dimensions 768] [--memory QUERIES IMAGES DIMENSIONS]

The default is the size of CIRR's validation split. Peers rank every query and find its target; ours also takes the
reference out, ranks the subsets, and gives bounds over ties. The second table asks for the first 50 of a large gallery.
`--memory` writes random embeddings of that size to a file, scores them in a fresh process and prints its peak.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.embeddings import Embeddings, read_embeddings
from evaluation.metrics import found_within
from evaluation.nearest import nearest
from evaluation.ranking import Gallery
from evaluation.score import evaluate
from evaluation.task import Part, Task

_CUTS = (1, 5, 10, 50)
_FIRST = 50
_ROWS = 1 << 14


def _unit(rng: np.random.Generator, count: int, dimensions: int) -> Any:
    vectors = rng.standard_normal((count, dimensions), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _task(queries: int, images: int, rng: np.random.Generator, members: int = 5) -> Task:
    """One target a query, its reference taken out, and a subset of five, as CIRR has it."""
    names, ids = [f"i{one}" for one in range(images)], [f"q{one}" for one in range(queries)]
    sets = [rng.choice(images, members + 1, replace=False) for _ in range(queries)]
    parts = (
        Part(
            "all",
            ids,
            names,
            [one[1:2] for one in sets],
            measure_targets=lambda ranks: {f"R@{k}": found_within(ranks, k) for k in _CUTS},
            excluded=[one[:1] for one in sets],
        ),
        Part(
            "subset",
            ids,
            names,
            [np.zeros(1, np.int64)] * queries,
            measure_targets=lambda ranks: {f"Rsubset@{k}": found_within(ranks, k) for k in (1, 2, 3)},
            candidates=[one[1:] for one in sets],
        ),
    )
    return Task("made", "official", "val", parts)


def _best(work: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Least seconds, and least seconds of all cores together, which a busy machine blurs less."""
    timings, busy = [], []
    for _ in range(repeats):
        began, used = time.perf_counter(), time.process_time()
        work()
        timings.append(time.perf_counter() - began)
        busy.append(time.process_time() - used)
    return min(timings), min(busy)


def compare(queries: int, images: int, dimensions: int, repeats: int) -> dict[str, tuple[float, float]]:
    """Seconds of the scoring call and of its peers, best of `repeats` each."""
    import faiss

    rng = np.random.default_rng(0)
    task = _task(queries, images, rng)
    asked, shown = _unit(rng, queries, dimensions), _unit(rng, images, dimensions)
    embeddings = Embeddings(tuple(task.query_ids()), asked, tuple(task.gallery_ids()), shown)
    assert task.parts[0].relevant is not None
    targets = np.concatenate(list(task.parts[0].relevant))

    def argsort() -> Any:
        order = np.argsort(-(asked @ shown.T), axis=1, kind="stable")
        return [float((np.argmax(order == targets[:, None], axis=1) < k).mean()) for k in _CUTS]

    def by_faiss() -> Any:
        index = faiss.IndexFlatIP(dimensions)
        index.add(shown)
        _, order = index.search(asked, _FIRST)
        return [float((order[:, :k] == targets[:, None]).any(axis=1).mean()) for k in _CUTS]

    return {
        "ours": _best(lambda: evaluate(task, embeddings), repeats),
        "numpy.argsort": _best(argsort, repeats),
        f"faiss, first {_FIRST}": _best(by_faiss, repeats),
        "the product alone": _best(lambda: asked @ shown.T, repeats),
    }


def compare_first(queries: int, images: int, dimensions: int, repeats: int) -> dict[str, tuple[float, float]]:
    """Seconds for the first 50 of a large gallery: ours with faiss's proposals, ours over all scores, faiss alone."""
    import faiss

    from evaluation import nearest as module

    rng = np.random.default_rng(0)
    asked, shown = _unit(rng, queries, dimensions), _unit(rng, images, dimensions)
    large = module.LARGE

    def ours(threshold: int) -> None:
        module.LARGE = threshold
        for _ in nearest(Gallery(shown), asked, _FIRST):
            pass
        module.LARGE = large

    return {
        "ours": _best(lambda: ours(0), repeats),
        "ours, all scores": _best(lambda: ours(images + 1), repeats),
        "faiss": _best(lambda: faiss.knn(asked, shown, _FIRST, metric=faiss.METRIC_INNER_PRODUCT), repeats),
    }


def write_large(path: Path, queries: int, images: int, dimensions: int) -> None:
    """An .npz file of random embeddings, written block after block."""
    import zipfile

    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, count in (("query", queries), ("gallery", images)):
            ids = np.array([f"{name[0]}{one}" for one in range(count)])
            with archive.open(f"{name}_ids.npy", "w", force_zip64=True) as sink:
                np.lib.format.write_array(sink, ids, allow_pickle=False)
            with archive.open(f"{name}_embeddings.npy", "w", force_zip64=True) as sink:
                header = {"descr": "<f4", "fortran_order": False, "shape": (count, dimensions)}
                np.lib.format.write_array_header_1_0(sink, header)
                for start in range(0, count, _ROWS):
                    block = rng.standard_normal((min(_ROWS, count - start), dimensions), dtype=np.float32)
                    sink.write(block.tobytes())


def score_large(path: Path) -> dict[str, float]:
    """Score a file of `write_large`: targets by number, seconds and the peak memory of this process in MB."""
    embeddings = read_embeddings(path)
    names, ids = embeddings.gallery_ids, embeddings.query_ids
    targets = [np.array([number % len(names)]) for number in range(len(ids))]
    part = Part(
        "all", ids, names, targets, measure_targets=lambda ranks: {f"R@{k}": found_within(ranks, k) for k in _CUTS}
    )
    began = time.perf_counter()
    evaluate(Task("made", "official", "test", (part,)), embeddings)
    seconds = time.perf_counter() - began
    told = {}
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmHWM", "RssAnon"):
            told[name] = int(value.split()[0]) / 1000
    return {"seconds": seconds, **told}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=4181)
    parser.add_argument("--images", type=int, default=2297)
    parser.add_argument("--dimensions", type=int, default=768)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory", type=int, nargs=3, metavar=("QUERIES", "IMAGES", "DIMENSIONS"))
    parser.add_argument("--score", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.score:
        print(json.dumps(score_large(options.score)))
        return
    if options.memory:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "large.npz"
            write_large(path, *options.memory)
            command = [sys.executable, "-m", "benchmarks.evaluate", "--score", str(path)]
            told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        sizes = " x ".join(map(str, options.memory))
        print(f"{sizes}: {told['seconds']:.1f} s, peak {told['VmHWM']:.0f} MB with the mapped file (aim: 4000)")
        return
    sizes = (options.queries, options.images, options.dimensions)
    for title, found in (
        (" x ".join(map(str, sizes)), compare(*sizes, options.repeats)),
        ("first 50 of 800 x 50000 x 512", compare_first(800, 50_000, 512, max(1, options.repeats // 2))),
    ):
        print(f"{title:<34}{'seconds':>9}{'by ours':>9}{'CPU s':>9}{'by ours':>9}")
        for name, timings in found.items():
            pairs = zip(timings, found["ours"], strict=True)
            print(f"{name:<34}" + "".join(f"{one:>9.3f}{one / own:>9.2f}" for one, own in pairs))
    print("aim: the scoring call at CIRR's size below 2 s on two cores")


if __name__ == "__main__":
    main()
