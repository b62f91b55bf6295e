"""`mining.corpus_pairs.corpus_pair` for thousands of found pairs at once: the same rows, as columns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mining.mine import joined_signals
from mining.mine_config import MineConfig
from mining.place_columns import PlaceColumns
from schemas.crawl_tables import ELIGIBLE, PAIRS
from schemas.ids import pair_id

Places = npt.NDArray[np.int64]


def corpus_pairs(found: pa.RecordBatch, places: PlaceColumns, config: MineConfig) -> pa.Table:
    """Rows of `candidates` of rows of `found`, in their order. Query and target of each must be among the places."""
    query, target = (places.places(found[f"{side}_image_id"].to_pylist()) for side in ("query", "target"))
    columns = _columns(found, places, query, target)
    columns["hard_negatives"] = _named(places, hard_negatives(query, target, _negatives(found, places), places, config))
    filled = {
        field.name: columns[field.name] if field.name in columns else pa.nulls(len(query), field.type)
        for field in PAIRS.schema
    }
    return pa.table(filled).cast(PAIRS.schema)


def pages_of_pairs(pairs: pa.Table, places: PlaceColumns) -> pa.Table:
    """`mining.corpus_pairs.page_of_pairs` for whole pages of pairs, in their order: rows of `eligible`."""
    page_ids = pairs["page_id"].to_pylist()
    starts = [row for row, page_id in enumerate(page_ids) if row == 0 or page_id != page_ids[row - 1]]
    pages = np.repeat(np.arange(len(starts)), np.diff([*starts, len(page_ids)]))
    negatives = pairs["hard_negatives"].combine_chunks()
    sides = [places.places(pairs[name].to_pylist()) for name in ("query_image_id", "target_image_id")]
    rows = np.concatenate([*sides, places.places(negatives.flatten().to_pylist())])
    named = np.concatenate([pages, pages, np.repeat(pages, np.diff(negatives.offsets.to_numpy()))])
    there = rows >= 0
    # An image once a page, by id, which is the order of places.
    both = np.unique(named[there] * len(places.texted) + rows[there])
    shown = places.taken(both % len(places.texted))
    page = pa.array([page_ids[starts[one]] for one in (both // len(places.texted)).tolist()], pa.string())
    own = pc.coalesce(shown["own_page_id"], shown["page_id"])
    elsewhere = pc.if_else(pc.not_equal(own, page), own, pa.scalar(None, pa.string()))
    for name, column in (("page_id", page), ("own_page_id", elsewhere)):
        shown = shown.set_column(shown.schema.get_field_index(name), name, column)
    return shown.cast(ELIGIBLE.schema)


def near_duplicates(query: Places, target: Places, places: PlaceColumns, config: MineConfig) -> npt.NDArray[np.bool_]:
    """Which of the pairs look the same, bool (n), as `mining.eligibility.near_duplicates` has it."""
    hashes = places.hashes
    close = np.bitwise_count(hashes[query] ^ hashes[target]) <= config.near_duplicate_bits
    rows = np.flatnonzero(close)
    close[rows] = places.cosines(query[rows], target[rows]) >= config.near_duplicate_similarity
    return close


def near_duplicate_pairs(found: pa.RecordBatch, places: PlaceColumns, config: MineConfig) -> npt.NDArray[np.bool_]:
    """Of which rows of `found` query and target look the same, bool (n)."""
    query, target = (places.places(found[f"{side}_image_id"].to_pylist()) for side in ("query", "target"))
    return near_duplicates(query, target, places, config)


def hard_negatives(
    query: Places, target: Places, pool: Places, places: PlaceColumns, config: MineConfig
) -> tuple[Places, Places]:
    """`mining.hard_negatives` for n pairs with pools (n, w) of rows of places, -1 for none: counts int64 (n), and the
    chosen rows one pair after the other, each the query first."""
    pool = np.sort(pool, axis=1)
    # Places are sorted by id, so that their order breaks ties.
    pool[:, 1:][pool[:, 1:] == pool[:, :-1]] = -1
    possible = (pool >= 0) & (pool != query[:, None]) & (pool != target[:, None])
    rows, slots = np.nonzero(possible)
    images = pool[rows, slots]
    similar = places.cosines(target[rows], images)
    good = similar <= config.hard_negatives.similarity_max
    good &= ~near_duplicates(images, query[rows], places, config)
    good &= ~near_duplicates(images, target[rows], places, config)
    rows, images, similar = rows[good], images[good], similar[good]
    order = np.lexsort((images, -similar, rows))
    rows, images = rows[order], images[order]
    ranks = np.arange(len(rows)) - np.searchsorted(rows, rows)
    first = ranks < config.hard_negatives.count
    rows, images = rows[first], images[first]
    counts = 1 + np.bincount(rows, minlength=len(query))
    chosen = np.insert(images, np.searchsorted(rows, np.arange(len(query))), query)
    return counts, chosen


def _negatives(found: pa.RecordBatch, places: PlaceColumns) -> Places:
    """The negatives of rows of `found` as rows of places (n, w), -1 for none."""
    column = found["negatives"]
    sizes = np.diff(column.offsets.to_numpy())
    pool = np.full((len(sizes), max(1, int(sizes.max(initial=0)))), -1, np.int64)
    pool[np.arange(pool.shape[1]) < sizes[:, None]] = places.places(column.flatten().to_pylist())
    return pool


def _named(places: PlaceColumns, chosen: tuple[Places, Places]) -> pa.ListArray:
    counts, rows = chosen
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    names = places.rows["image_id"].take(pa.array(rows))
    return pa.ListArray.from_arrays(pa.array(offsets), pa.concat_arrays(names.chunks))


def _columns(found: pa.RecordBatch, places: PlaceColumns, query: Places, target: Places) -> dict[str, pa.Array]:
    first, second = (places.rows.take(pa.array(rows)).combine_chunks() for rows in (query, target))
    apart = pc.not_equal(first["page_id"], second["page_id"])
    text = places.text_cosines(query, target)
    ids = zip(*(one.to_pylist() for one in (first["page_id"], first["image_id"], second["image_id"])), strict=True)
    elsewhere = {
        f"target_{name}": pc.if_else(apart, second[name], pa.scalar(None, pa.string()))
        for name in ("page_id", "page_url", "page_title")
    }
    return {
        "pair_id": pa.array([pair_id(*one) for one in ids], pa.string()),
        "page_id": first["page_id"],
        "query_image_id": first["image_id"],
        "target_image_id": second["image_id"],
        "visual_similarity": pa.array(places.cosines(query, target).astype(np.float32)),
        "text_similarity": pa.array(text.astype(np.float32), mask=np.isnan(text)),
        "mining": found["miner"],
        "mining_details": pc.binary_join_element_wise(found["miner"], found["why"], ": "),
        "page_url": first["page_url"],
        "page_title": first["page_title"],
        "query_image_url": first["url"],
        "target_image_url": second["url"],
        "query_text": first["text"],
        "target_text": second["text"],
        "target_text_shared": pa.array(_say_the_same(first["text"], second["text"]), pa.bool_()),
        "query_label": first["label"],
        "target_label": second["label"],
        "language": first["language"],
        "license": pc.if_else(pc.equal(first["license"], second["license"]), first["license"], None),
        "opt_out": _signals(first["opt_out"], second["opt_out"]),
        "crawl_date": first["crawl_date"],
        "site": first["site"],
        **elsewhere,
        "query_box": found["query_box"],
        "target_box": found["target_box"],
        "query_generated": first["generated"],
        "target_generated": second["generated"],
    }


def _say_the_same(first: pa.ChunkedArray, second: pa.ChunkedArray) -> list[bool]:
    def folded(text: str | None) -> list[str]:
        return (text or "").casefold().split()

    pairs = zip(first.to_pylist(), second.to_pylist(), strict=True)
    return [bool(other) and bool(said := folded(other)) and said == folded(one) for one, other in pairs]


def _signals(first: pa.ChunkedArray, second: pa.ChunkedArray) -> pa.Array:
    if first.null_count == len(first) and second.null_count == len(second):
        return pa.nulls(len(first), pa.string())
    pairs = zip(first.to_pylist(), second.to_pylist(), strict=True)
    return pa.array([joined_signals(one, other) for one, other in pairs], pa.string())
