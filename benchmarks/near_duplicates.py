"""Near hashes: how time grows with their number, against faiss and comparing all with all, and the whole verdict.

    python -m benchmarks.near_duplicates [--images 1000000] [--distances 2 3 4] [--verdict]

Hashes follow a power law of repeats: 85% of the images have a hash of their own, the others are copies, most of them of
few originals, up to three bits away. Times are processor seconds of one thread, best of `--repeats`, least of all moved
by a busy machine. What is found is compared with comparing all with all on a sample, and must be equal.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peak_memory import peak_of_this_process
from mining.hamming_search import matches_within, pairs_within
from mining.multi_index import UInt64Array
from mining.near_duplicates import HashedImage, NearDuplicatesConfig, near_duplicates_of

_SAMPLE = 2_000
_PEER = 100_000


def hashes(count: int, seed: int = 0) -> UInt64Array:
    """Made hashes (count): originals, then copies by a power law."""
    rng = np.random.default_rng(seed)
    originals = rng.integers(0, 2**64, max(int(0.85 * count), 1), dtype=np.uint64)
    copies = count - len(originals)
    # Rank r is copied about 1 / r times.
    made = originals[
        np.minimum(np.exp(rng.random(copies) * np.log(len(originals))), len(originals)).astype(np.int64) - 1
    ]
    for part in (0.6, 0.3, 0.1):
        made = np.where(
            rng.random(copies) < part, made ^ (np.uint64(1) << rng.integers(0, 64, copies, np.uint64)), made
        )
    return rng.permutation(np.concatenate([originals, made]))


def _seconds(work: Callable[[], Any], repeats: int) -> float:
    timings = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        timings.append(time.process_time() - began)
    return min(timings)


def is_exact(values: UInt64Array, distance: int) -> bool:
    """Whether a sample's matches among all are those of comparing it with all."""
    sample = values[:_SAMPLE]
    found = matches_within(sample, values, distance)
    distinct = np.unique(values)
    expected = sum(
        int((np.bitwise_count(sample[start : start + 50, None] ^ distinct) <= distance).sum())
        for start in range(0, len(sample), 50)
    )
    exact = np.bitwise_count(sample[found.queries] ^ values[found.hashes])
    return len(found.queries) == expected and bool((exact == found.distances).all() and (exact <= distance).all())


def by_faiss(values: UInt64Array, distance: int) -> int:
    """Near pairs by faiss's multi-index hashing, for which bands of 16 bits are exact up to a distance of 3."""
    import faiss

    codes = np.ascontiguousarray(np.unique(values)).view(np.uint8).reshape(-1, 8)
    index = faiss.IndexBinaryMultiHash(64, 4, 16)
    index.nflip = distance // 4
    index.add(codes)
    limits, _, _ = index.range_search(codes, distance + 1)
    return (int(limits[-1]) - len(codes)) // 2


def images(count: int) -> list[HashedImage]:
    """Images of made hashes; copies look alike, and one in ten is of another colour."""
    rng = np.random.default_rng(1)
    looks = [rng.integers(-127, 127, 448).astype(np.int8).tobytes() for _ in range(10)]
    values = hashes(count).tolist()
    areas = rng.integers(1, 1000, count).tolist()
    return [
        HashedImage(
            hashlib.sha256(str(number).encode()).hexdigest(), phash, areas[number], looks[int(number % 10 == 0)]
        )
        for number, phash in enumerate(values)
    ]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--distances", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--verdict", action="store_true", help="the verdict over all images too (some GB of sketches)")
    options = parser.parse_args()
    print(f"{'distance':>8}{'hashes':>10}{'distinct':>10}{'pairs':>10}{'CPU s':>8}{'ratio':>7}  equal on a sample")
    for distance in options.distances:
        before = 0.0
        for count in (options.images // 4, options.images // 2, options.images):
            values = hashes(count)
            found = pairs_within(values, distance)
            seconds = _seconds(lambda values=values, bits=distance: pairs_within(values, bits), options.repeats)
            ratio = f"{seconds / before:.2f}" if before else ""
            sizes = f"{count:>10}{len(found.distinct):>10}{len(found.first):>10}"
            print(f"{distance:>8}{sizes}{seconds:>8.2f}{ratio:>7}  {is_exact(values, distance)}", flush=True)
            before = seconds
    values = hashes(_PEER)
    distinct = np.unique(values)
    began = time.process_time()
    for start in range(0, _SAMPLE, 50):
        _ = np.bitwise_count(distinct[start : start + 50, None] ^ distinct) <= 3
    plain = (time.process_time() - began) * len(distinct) / _SAMPLE / 2
    ours, theirs = (_seconds(lambda work=work: work(values, 3), options.repeats) for work in (pairs_within, by_faiss))
    print(f"\n{_PEER} hashes, distance 3: ours {ours:.2f} s, faiss.IndexBinaryMultiHash {theirs:.2f} s", end="")
    print(f" (equal: {by_faiss(values, 3) == len(pairs_within(values, 3).first)}), all with all about {plain:.0f} s")
    if options.verdict:
        print(f"\n{'images':>10}{'rejected':>10}{'CPU s':>8}{'ratio':>7}")
        before = 0.0
        for count in (options.images // 4, options.images // 2, options.images):
            some = images(count)
            began = time.process_time()
            rejected = near_duplicates_of(some, NearDuplicatesConfig())
            seconds = time.process_time() - began
            ratio = f"{seconds / before:.2f}" if before else ""
            print(f"{count:>10}{len(rejected):>10}{seconds:>8.1f}{ratio:>7}", flush=True)
            before = seconds
    print(
        f"peak {peak_of_this_process():.0f} MB; aim: time at most 2.1 times for twice as many, and every sample equal"
    )


if __name__ == "__main__":
    main()
