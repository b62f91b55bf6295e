"""MMEB (arXiv 2410.05160): a folder a subset with parquet (or JSON lines) of `qry`, `qry_image_path`, `pos_text`,
`pos_image_path`, `neg_text`, `neg_image_path` (one or a list); for evaluation `qry_text`, `qry_img_path`, `tgt_text`,
`tgt_img_path` (candidates, the target first).

Texts are of the query alone: a target is its image. Each stands in a template with a token for the image, both of
which are taken off. Subsets whose queries or targets have no image give no triplets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from training.data.layouts.fields import field, image_in, images_in, texts_in, triplet
from training.data.layouts.files import files_in, has_fields, split_of
from training.data.layouts.interface import Layout, Record, RecordError, Triplet
from training.data.layouts.json_records import json_records
from training.data.parquet_files import open_parquet

_TRAIN = ("qry", "qry_image_path", "pos_image_path")
_EVAL = ("qry_text", "qry_img_path", "tgt_img_path")
_COLUMNS = (*_TRAIN, *_EVAL, "neg_image_path")
_BATCH = 1024

#: What stands for an image in the texts of several models.
_TOKEN = re.compile(r"<\|image(_\d+|_pad)?\|>|<image>|<\|vision_(start|end)\|>|<\|image_soft_token\|>")
#: A sentence on images up to its colon: "Given an image, find a similar everyday image with the described changes:".
_TEMPLATE = re.compile(r"[^:\n]{0,200}\b(image|picture|photo|photograph|scene)s?\b[^:\n]{0,200}:\s+(?=\S)", re.I)

#: Names of MMEB's splits; the same rows as `original` in other words are a split of their own.
_NAMES = {"original": "train", "diverse_instruction": "diverse_instruction"}


def instruction(text: str) -> str:
    """The text without tokens of images and without the template before it."""
    bare = _TOKEN.sub("", text).strip()
    before = _TEMPLATE.match(bare)
    return bare[before.end() :] if before else bare


def _splits(folder: Path) -> dict[str, list[Path]]:
    found: dict[tuple[Path, str], list[Path]] = {}
    for path in files_in(folder, (".parquet", ".jsonl")):
        if _fits(path):
            found.setdefault((path.parent, _name(path)), []).append(path)
    splits: dict[str, list[Path]] = {}
    for (parent, name), files in sorted(found.items()):
        # Older copies of the same rows, and subsets that stand there again with all of their negatives.
        renewed = name == "train" and (parent, "original") in found
        with_lists = (Path(f"{parent}_neg"), name) in found
        if not renewed and not with_lists:
            splits.setdefault(_NAMES.get(name, split_of(name)), []).extend(files)
    return splits


def _name(path: Path) -> str:
    return re.sub(r"-\d+-of-\d+$", "", path.stem).lower()


def _fits(path: Path) -> bool:
    if path.suffix == ".jsonl":
        return has_fields(path, _TRAIN) or has_fields(path, _EVAL)
    with open_parquet(path) as parquet:
        names = parquet.schema_arrow.names
    return any(all(one in names for one in fields) for fields in (_TRAIN, _EVAL))


def _records(path: Path) -> Iterator[Record]:
    if path.suffix == ".jsonl":
        yield from json_records(path)
        return
    number = 0
    with open_parquet(path) as parquet:
        columns = [one for one in _COLUMNS if one in parquet.schema_arrow.names]
        for batch in parquet.iter_batches(_BATCH, columns=columns):
            for value in batch.to_pylist():
                number += 1
                yield Record(path, f" row {number}", value)


def _triplet(record: Mapping[str, Any]) -> Triplet:
    query = image_in(field(record, "qry_image_path", "qry_img_path"), "no_query_image")
    targets = images_in(field(record, "pos_image_path", "tgt_img_path"))
    if not targets:
        raise RecordError("no_target_image")
    text = field(record, "qry", "qry_text")
    texts = texts_in(instruction(text) if isinstance(text, str) else None)
    return triplet(None, query, targets[0], texts, images_in(record.get("neg_image_path")))


MMEB = Layout(
    name="mmeb",
    looks="SUBSET/original-*.parquet with qry, qry_image_path, pos_text, pos_image_path, neg_text, neg_image_path",
    splits=_splits,
    records=_records,
    triplet=_triplet,
    joins=True,
)
