"""MMEB's form, which VLM2Vec reads with `load_dataset(FOLDER, "Lensmith", split=…)` and `image_dir=FOLDER`.

Subset `Lensmith` has the splits `original` (train) and `validation` with one row a text: `qry`, `qry_image_path`,
`pos_text`, `pos_image_path`, `neg_text`, `neg_image_path` (the query image, the negative that matters most); subset
`Lensmith_neg` the same with lists of all hard negatives, which VLM2Vec's parser `mmeb_neg` takes. Subset
`LensmithEval`, split `test`, is MMEB's form for evaluation: `tgt_text` and `tgt_img_path` are lists of candidates with
the target first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import pyarrow as pa
import yaml

from publishing.exporters.source import Source, texts
from schemas.ids import digest
from schemas.storage import PARQUET, Folder

#: VLM2Vec replaces this token by the one of its backbone.
IMAGE_TOKEN = "<|image_1|>"
_QUERY = f"{IMAGE_TOKEN}\nGiven an image, find a similar image with the described changes: %s\n"
_TARGET = f"{IMAGE_TOKEN}\nRepresent the given image.\n"
#: Candidates of an evaluation query, as in MMEB.
CANDIDATES = 1000

_ONE = pa.schema([(name, pa.string()) for name in ("qry", "qry_image_path", "pos_text", "pos_image_path")])
_SINGLE = pa.schema([*_ONE, ("neg_text", pa.string()), ("neg_image_path", pa.string())])
_LISTS = pa.schema([*_ONE, ("neg_text", pa.list_(pa.string())), ("neg_image_path", pa.list_(pa.string()))])
_EVAL = pa.schema(
    [
        ("qry_text", pa.string()),
        ("qry_img_path", pa.string()),
        ("tgt_text", pa.list_(pa.string())),
        ("tgt_img_path", pa.list_(pa.string())),
    ]
)
_SPLITS = {"train": "original", "validation": "validation"}


def write(source: Source, output: Folder) -> int:
    """Write the export; the number of rows of `Lensmith` and `LensmithEval`."""
    source.write_all_images(output)
    rows, subsets = 0, []
    for split, name in _SPLITS.items():
        if split in source.splits():
            single, lists = f"Lensmith/{name}.parquet", f"Lensmith_neg/{name}.parquet"
            rows += _write(output, single, _SINGLE, _pairs(source, split))
            _write(output, lists, _LISTS, _pairs_with_lists(source, split))
            subsets += [("Lensmith", name, single), ("Lensmith_neg", name, lists)]
    if "test" in source.splits():
        rows += _write(output, "LensmithEval/test.parquet", _EVAL, _queries(source))
        subsets.append(("LensmithEval", "test", "LensmithEval/test.parquet"))
    configs = [
        {
            "config_name": subset,
            "data_files": [{"split": name, "path": path} for own, name, path in subsets if own == subset],
        }
        for subset in dict.fromkeys(subset for subset, _, _ in subsets)
    ]
    card = f"---\n{yaml.safe_dump({'configs': configs}, sort_keys=False)}---\n\n{source.about.config.title}, as MMEB.\n"
    output.replace("README.md", card.encode())
    return rows


def _pairs(source: Source, split: str) -> Iterator[dict[str, Any]]:
    for pair, row in _each_text(source, split):
        yield pair | {"neg_text": _TARGET, "neg_image_path": source.path(row["query_image_id"])}


def _pairs_with_lists(source: Source, split: str) -> Iterator[dict[str, Any]]:
    for pair, row in _each_text(source, split):
        paths = [source.path(one) for one in _negatives(row)]
        yield pair | {"neg_text": [_TARGET] * len(paths), "neg_image_path": paths}


def _each_text(source: Source, split: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for row in source.triplets(split):
        for text in texts(row):
            pair = {
                "qry": _QUERY % text,
                "qry_image_path": source.path(row["query_image_id"]),
                "pos_text": _TARGET,
                "pos_image_path": source.path(row["target_image_id"]),
            }
            yield pair, row


def _negatives(row: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys([row["query_image_id"], *(row["hard_negatives"] or ())]))


def _queries(source: Source) -> Iterator[dict[str, Any]]:
    """Evaluation rows: the target, then the triplet's hard negatives, then images of the split chosen by hash."""
    pool = _pool(row["target_image_id"] for row in source.triplets("test"))
    for row in source.triplets("test"):
        ids = list(dict.fromkeys([row["target_image_id"], *_negatives(row), *pool]))[:CANDIDATES]
        yield {
            "qry_text": _QUERY % row["instruction"],
            "qry_img_path": source.path(row["query_image_id"]),
            "tgt_text": [_TARGET] * len(ids),
            "tgt_img_path": [source.path(one) for one in ids],
        }


def _pool(image_ids: Iterable[str]) -> list[str]:
    """At most `CANDIDATES` distinct images, those whose hashes are smallest."""
    chosen: dict[str, str] = {}
    for image_id in image_ids:
        chosen[digest("candidate", image_id)] = image_id
        if len(chosen) >= 2 * CANDIDATES:
            chosen = {key: chosen[key] for key in sorted(chosen)[:CANDIDATES]}
    return [chosen[key] for key in sorted(chosen)[:CANDIDATES]]


def _write(output: Folder, name: str, schema: pa.Schema, records: Iterator[dict[str, Any]]) -> int:
    count = 0
    with output.parquet_writer(name, schema, **PARQUET) as writer:
        while batch := list(islice(records, 1024)):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            count += len(batch)
    return count
