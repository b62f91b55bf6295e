"""Peak memory of reading a dataset as a training reads it, in bytes, printed as JSON; and a dataset to read."""

from __future__ import annotations

import json
import sys
import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from training.config import DataConfig
from training.data import hash_index
from training.data.batches import BatchPlan
from training.data.open_dataset import open_dataset
from training.data.triplet_table import TripletTable

FILE_BYTES = 2000
WINDOW = 500
#: As the window, small beside the datasets: what is bounded shows its bound.
hash_index._HELD = 1024
hash_index._READ = 512


def write(root: Path, rows: int) -> None:
    """As many images as rows, written a little at a time."""
    draw = np.random.default_rng(0)
    for name in ("ids", "images"):
        (root / name).mkdir(parents=True)
    ids, images = root / "ids" / "train-0-of-1.parquet", root / "images" / "train-0-of-1.parquet"
    triplets = pa.schema([(name, pa.string()) for name in ("triplet_id", "query_image_id", "target_image_id")])
    triplets = triplets.append(pa.field("instruction", pa.string())).append(pa.field("page_id", pa.string()))
    pictures = pa.schema(
        [("image_id", pa.string()), ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))]
    )
    with pq.ParquetWriter(ids, triplets) as first, pq.ParquetWriter(images, pictures) as second:
        for start in range(0, rows, 64):
            some = range(start, min(start + 64, rows))
            made = [
                {
                    "triplet_id": f"t{one}",
                    "query_image_id": f"i{one}",
                    "target_image_id": f"i{(one + 1) % rows}",
                    "instruction": f"text {one} of no great length",
                    "page_id": f"p{one // 4}",
                }
                for one in some
            ]
            first.write_table(pa.Table.from_pylist(made, triplets))
            files = [{"image_id": f"i{one}", "image": {"bytes": draw.bytes(FILE_BYTES), "path": "a"}} for one in some]
            second.write_table(pa.Table.from_pylist(files, pictures))


def main(root: Path) -> None:
    """Read, and say the peaks of what was allocated meanwhile."""
    with TemporaryDirectory() as folder:
        work = Path(folder)
        # What libraries import at their first use is no part of what reading takes.
        pa.array(np.ones(1)).to_pylist()
        tracemalloc.start()
        opened = open_dataset(root, "train", work)
        table = TripletTable(opened.files, DataConfig(window=WINDOW), opened.images.numbers)
        table.check_images()
        plan = BatchPlan(map(table.page_counts, range(len(table))), 64, "distinct", 1, 0)
        assert sum(len(row.texts) for row in table.all_rows()) == plan.rows
        seen = 0
        for step in range(30):
            epoch, window, batch = plan.place(step * plan.batches // 30)
            held = table.window(window)
            places = plan.batches_of(epoch, window, held.pages)[batch]
            for row in table.make_rows(held, places.tolist()):
                seen += len(opened.images.file(row.query))
        assert seen == 30 * 64 * FILE_BYTES
        arrow = pa.default_memory_pool().max_memory()
        print(json.dumps({"rows": plan.rows, "python": tracemalloc.get_traced_memory()[1], "arrow": arrow}))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        write(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        main(Path(sys.argv[1]))
