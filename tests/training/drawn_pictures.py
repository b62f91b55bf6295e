"""Drawn pictures, and datasets of them that need both an image and a text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 160, 40),
    "blue": (40, 60, 220),
    "yellow": (230, 210, 40),
    "black": (20, 20, 20),
    "violet": (150, 40, 180),
}
SHAPES = ("circle", "square", "triangle", "bar", "cross", "ring")


def drawn(shape: str, colour: str, seed: int = 0, side: int = 32) -> bytes:
    """A picture of a shape in a colour, as PNG; the seed moves it a little."""
    rng = np.random.default_rng([SHAPES.index(shape), list(COLOURS).index(colour), seed])
    image = Image.new("RGB", (side, side), (250, 250, 250))
    pen, fill = ImageDraw.Draw(image), COLOURS[colour]
    x, y = (int(one) for one in rng.integers(-2, 3, 2))
    a, b = side // 4, side * 3 // 4
    box = (a + x, a + y, b + x, b + y)
    if shape == "circle":
        pen.ellipse(box, fill)
    elif shape == "square":
        pen.rectangle(box, fill)
    elif shape == "triangle":
        pen.polygon([(a + x, b + y), (b + x, b + y), (side // 2 + x, a + y)], fill)
    elif shape == "bar":
        pen.rectangle((a + x, side // 2 - 3 + y, b + x, side // 2 + 3 + y), fill)
    elif shape == "cross":
        pen.line((a + x, a + y, b + x, b + y), fill, 5)
        pen.line((a + x, b + y, b + x, a + y), fill, 5)
    else:
        pen.ellipse(box, outline=fill, width=4)
    sink = io.BytesIO()
    image.save(sink, "PNG")
    return sink.getvalue()


def write_dataset(
    root: Path,
    images: dict[str, bytes],
    rows: Sequence[dict[str, object]],
    split: str = "train",
    group: int = 64,
) -> Path:
    """A dataset with the configurations `ids` and `images`; rows need triplet_id, query, target, instruction."""
    names = {"query": "query_image_id", "target": "target_image_id"}
    columns = {names.get(key, key): [row.get(key) for row in rows] for key in rows[0]}
    if "hard_negatives" in columns:
        columns["hard_negatives"] = pa.array(columns["hard_negatives"], pa.list_(pa.string()))
    order = sorted(images)
    for folder, table in (
        ("ids", pa.table(columns)),
        (
            "images",
            pa.table({"image_id": order, "image": [{"bytes": images[one], "path": f"{one}.png"} for one in order]}),
        ),
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
        pq.write_table(table, root / folder / f"{split}-00000-of-00001.parquet", row_group_size=group)
    return root


def colour_task(rng: np.random.Generator, copies: int = 1) -> tuple[dict[str, bytes], list[dict[str, object]]]:
    """Every shape in every colour, and for each the instruction that leads to the same shape in another colour."""
    images = {
        f"{shape}-{colour}-{copy}": drawn(shape, colour, copy)
        for shape in SHAPES
        for colour in COLOURS
        for copy in range(copies)
    }
    rows: list[dict[str, object]] = []
    for name in images:
        shape, colour, copy = name.split("-")
        rows += [
            {
                "triplet_id": f"{name}-{other}",
                "query": name,
                "target": f"{shape}-{other}-{copy}",
                "instruction": f"the same in {other}",
                "hard_negatives": [name, f"{shape}-{colour}-{copy}"],
                "page_id": None,
                "query_text": f"a {colour} {shape}",
                "target_text": f"a {other} {shape}",
            }
            for other in COLOURS
            if other != colour
        ]
    return images, [rows[one] for one in rng.permutation(len(rows))]
