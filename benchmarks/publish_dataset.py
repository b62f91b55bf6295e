"""publish_dataset against `pyarrow.parquet.write_table` of the same bytes, and its memory on four times the input.

    python -m benchmarks.publish_dataset [--megabytes 256] [--image-kilobytes 60]

The peer gets the finished Arrow table in memory (a row group of ours at a time, as one table), once with pyarrow's own
settings and once with ours; our side starts from rows and image bytes, builds the table, writes it and hashes the file.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.peak_memory import peak_of_this_process
from publishing.dataset_writer import write_file, writer_settings
from schemas.published import IDS, IMAGES, TRIPLETS, Configuration
from schemas.storage import Folder

_IMAGES_A_PAGE = 6
_TRIPLETS_A_PAGE = 10


class Pages:
    """Pages of six random images and ten triplets, made on demand: the bytes of an image follow from its number."""

    def __init__(self, megabytes: int, kilobytes: int) -> None:
        self.size = kilobytes * 1000
        self.pages = max(1, megabytes * 1_000_000 // (self.size * _IMAGES_A_PAGE))
        self._noise = random.Random(0).randbytes(self.size + 1_000_003)

    def image(self, number: int) -> bytes:
        start = number * 7919 % 1_000_003
        return b"\xff\xd8\xff" + number.to_bytes(8, "big") + self._noise[start : start + self.size]

    def fetch(self, image_ids: Sequence[str]) -> Mapping[str, bytes]:
        return {one: self.image(int(one, 16)) for one in image_ids}

    def rows(self) -> Iterator[dict[str, Any]]:
        for page in range(self.pages):
            names = [f"{page * _IMAGES_A_PAGE + i:064x}" for i in range(_IMAGES_A_PAGE)]
            for i in range(_TRIPLETS_A_PAGE):
                query, target = names[i // 2], names[(i // 2 + 1 + i % 2) % _IMAGES_A_PAGE]
                yield _row(page, i, query, target, names)

    def image_rows(self) -> Iterator[dict[str, Any]]:
        for number in range(self.pages * _IMAGES_A_PAGE):
            yield {"image_id": f"{number:064x}", "url": f"https://img.example/{number}.jpg", "license": None}


def _row(page: int, index: int, query: str, target: str, names: list[str]) -> dict[str, Any]:
    text = f"the same thing from page {page} but seen from the other side, number {index}"
    texts = [
        dict.fromkeys(("category", "direction", "length", "method", "model", "prompt", "verdict"), "value")
        | {"text": f"{text} {n}", "score": 0.5}
        for n in range(3)
    ]
    return {
        "triplet_id": f"{page:024x}{index:08x}",
        "instruction": text,
        "instructions": texts,
        "hard_negatives": names,
        "query_image_id": query,
        "target_image_id": target,
        "page_id": f"{page:032x}",
        "page_url": f"https://www.example/pages/{page}.html",
        "page_title": f"Page {page}",
        "query_image_url": f"https://img.example/{query[-8:]}.jpg",
        "target_image_url": f"https://img.example/{target[-8:]}.jpg",
        "visual_similarity": 0.5,
        "mining": "co_occurrence",
    }


def _ours(pages: Pages, configuration: Configuration, folder: Folder) -> float:
    """Seconds for a file of ours; rows and images lie in memory before, as a shard job has them."""
    rows = list(pages.image_rows() if configuration is IMAGES else pages.rows())
    images = pages.fetch([row["image_id"] for row in pages.image_rows()])
    began = time.perf_counter()
    write_file(folder, "ours.parquet", configuration, rows, lambda ids: {one: images[one] for one in ids})
    return time.perf_counter() - began


def _peer(table: pa.Table, rows: int, path: Path, settings: dict[str, Any]) -> float:
    began = time.perf_counter()
    pq.write_table(table, path, row_group_size=rows, **settings)
    return time.perf_counter() - began


def compare(megabytes: int, kilobytes: int, repeats: int = 5) -> list[dict[str, Any]]:
    """Best of `repeats`, taken in turns, for each configuration: seconds of ours and of the peer."""
    pages = Pages(megabytes, kilobytes)
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        ours, peer = Path(scratch) / "ours.parquet", Path(scratch) / "peer.parquet"
        for configuration in (TRIPLETS, IMAGES, IDS):
            timings: dict[str, list[float]] = {"ours": [], "peer": [], "peer_same": []}
            for _ in range(repeats):
                timings["ours"].append(_ours(pages, configuration, Folder(scratch)))
                with pq.ParquetFile(ours) as written:
                    rows, table = written.metadata.row_group(0).num_rows, written.read()
                timings["peer"].append(_peer(table, rows, peer, {}))
                timings["peer_same"].append(_peer(table, rows, peer, writer_settings(configuration)))
                size = ours.stat().st_size / 1e6
                ours.unlink()
                peer.unlink()
            results.append({"configuration": configuration.name, "MB": size} | {k: min(v) for k, v in timings.items()})
    total = {key: sum(one[key] for one in results) for key in ("MB", "ours", "peer", "peer_same")}
    return [*results, {"configuration": "all three"} | total]


def peak_memory(megabytes: int, kilobytes: int) -> float:
    """Peak resident memory in MB of a fresh process that writes `triplets` of this size."""
    command = [sys.executable, "-m", "benchmarks.publish_dataset", "--memory-of", str(megabytes)]
    command += ["--image-kilobytes", str(kilobytes)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--image-kilobytes", type=int, default=60)
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        with tempfile.TemporaryDirectory() as scratch:
            pages = Pages(options.memory_of, options.image_kilobytes)
            write_file(Folder(scratch), "ours.parquet", TRIPLETS, pages.rows(), pages.fetch)
        print(peak_of_this_process())
        return
    heads = (("configuration", -14), ("MB", 8), ("ours s", 9), ("write_table s", 15), ("ratio", 7))
    print("".join(f"{name:<14}" if width < 0 else f"{name:>{width}}" for name, width in heads), end="")
    print(f"{'same settings s':>17}{'ratio':>7}")
    for one in compare(options.megabytes, options.image_kilobytes):
        print(
            f"{one['configuration']:<14}{one['MB']:>8.1f}{one['ours']:>9.2f}{one['peer']:>15.2f}"
            f"{one['peer'] / one['ours']:>7.2f}{one['peer_same']:>17.2f}{one['peer_same'] / one['ours']:>7.2f}"
        )
    print("aim: ratio of all three at least 0.70")
    large, small = (peak_memory(size, options.image_kilobytes) for size in (options.megabytes, options.megabytes // 4))
    ratio = f"{large / small:.2f} (aim: at most 1.20)"
    print(f"peak memory {large:.0f} MB, with a quarter of the input {small:.0f} MB: {ratio}")


if __name__ == "__main__":
    main()
