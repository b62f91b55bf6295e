"""What was chosen against what there was, in numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from publishing.selection.choose import Choice
from publishing.selection.clusters import Int64Array
from publishing.selection.columns import codes
from publishing.selection.facility import coverage
from schemas.ids import digest
from schemas.protocols import Float32Array

#: Values of a column that are told one by one.
_TOP = 12
_BINS = 20


def coverage_report(
    rows: pa.Table, vectors: Float32Array | None, choice: Choice, columns: Iterable[str]
) -> dict[str, Any]:
    """Numbers of all rows, of the chosen ones and of as many that a hash of their ids picks: quality, clusters,
    likeness to the nearest chosen row of the block, and the values of columns. Nothing of clock or path."""
    count = rows.num_rows
    chosen, drawn = choice.mask(count), _drawn(rows["triplet_id"].to_pylist(), len(choice.rows))
    found: dict[str, Any] = {"triplets": count, "chosen": len(choice.rows), "by_quality": choice.by_quality}
    if choice.quality is not None:
        found["quality"] = {
            "mean": {name: _round(choice.quality[mask].mean()) for name, mask in _sets(chosen, drawn).items()},
            "histogram": {
                name: np.histogram(choice.quality[mask], _BINS, (0.0, 1.0))[0].tolist()
                for name, mask in _sets(chosen, drawn).items()
            },
        }
    if choice.clusters is not None and vectors is not None:
        found["clusters"] = _clusters(choice.clusters, chosen, drawn)
        found["likeness"] = {
            name: _likeness(vectors, choice.blocks, mask) for name, mask in (("chosen", chosen), ("random", drawn))
        }
    found["columns"] = {name: _values(rows, name, chosen, drawn) for name in columns}
    return found


def _sets(chosen: npt.NDArray[np.bool_], drawn: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[np.bool_]]:
    return {"all": np.ones(len(chosen), bool), "chosen": chosen, "random": drawn}


def _drawn(ids: list[str], size: int) -> npt.NDArray[np.bool_]:
    """As many rows as were chosen, by a hash of their ids."""
    places = sorted(range(len(ids)), key=lambda place: digest("random subset", ids[place]))[:size]
    found = np.zeros(len(ids), bool)
    found[places] = True
    return found


def _clusters(labels: Int64Array, chosen: npt.NDArray[np.bool_], drawn: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Rows of each cluster, the largest first; how many clusters have a row; and how many equal ones they would be
    (the exponential of the entropy)."""
    count = int(labels.max()) + 1
    sizes = {name: np.bincount(labels[mask], minlength=count) for name, mask in _sets(chosen, drawn).items()}
    order = np.argsort(-sizes["all"], kind="stable")
    return {
        "count": count,
        "with_rows": {name: int((one > 0).sum()) for name, one in sizes.items()},
        "effective": {name: _effective(one) for name, one in sizes.items()},
        "sizes": {name: one[order].tolist() for name, one in sizes.items()},
    }


def _effective(sizes: Int64Array) -> float:
    shares = sizes[sizes > 0] / sizes.sum()
    return round(float(np.exp(-(shares * np.log(shares)).sum())), 2)


def _likeness(vectors: Float32Array, blocks: Iterable[Int64Array], mask: npt.NDArray[np.bool_]) -> float:
    """The mean over all rows of the cosine to the nearest row of a set within the block; 0 where there is none."""
    return _round(sum(coverage(vectors[one], np.flatnonzero(mask[one])) for one in blocks) / len(vectors))


def _values(rows: pa.Table, name: str, chosen: npt.NDArray[np.bool_], drawn: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Rows of the most frequent values, and how many values have a row."""
    names, starts, values = codes(rows[name], name)
    owners = np.repeat(np.arange(rows.num_rows), np.diff(starts))
    counts = {
        key: np.bincount(values[mask[owners]], minlength=len(names)) for key, mask in _sets(chosen, drawn).items()
    }
    order = sorted(range(len(names)), key=lambda one: (-int(counts["all"][one]), names[one]))[:_TOP]
    return {
        "values": {key: int((one > 0).sum()) for key, one in counts.items()},
        "top": [{"value": names[one], **{key: int(counts[key][one]) for key in counts}} for one in order],
    }


def _round(value: float) -> float:
    return round(float(value), 4)
