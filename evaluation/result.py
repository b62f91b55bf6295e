"""A result: metrics with bounds as the contract writes them, and the values of every query behind them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import ConfigurationError

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class QueryValues:
    """Values of one part's queries: ids (n), and for each metric percentages (n), NaN where a query has none."""

    part: str
    ids: Sequence[str]
    values: Mapping[str, Float64Array]


@dataclass(frozen=True)
class Result:
    """Percentages by metric, [pessimistic, optimistic] bounds over ties, counts, and the queries behind them.

    A metric of `averages` is the plain mean of the metrics it names; every other is the mean over the queries that
    carry it, so that a bootstrap can draw queries of each part and average again.
    """

    benchmark: str
    protocol: str
    split: str
    metrics: Mapping[str, float]
    bounds: Mapping[str, tuple[float, float]]
    counts: Mapping[str, int]
    queries: Sequence[QueryValues] = ()
    averages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What `--output` holds: benchmark, protocol, metrics, bounds, counts."""
        return {
            "benchmark": self.benchmark,
            "protocol": self.protocol,
            "metrics": dict(self.metrics),
            "bounds": {name: list(pair) for name, pair in self.bounds.items()},
            "counts": dict(self.counts),
        }

    def queries_json(self) -> dict[str, Any]:
        """The values of every query, and what else a comparison of two results needs."""
        return {
            "benchmark": self.benchmark,
            "protocol": self.protocol,
            "split": self.split,
            "averages": {name: list(of) for name, of in self.averages.items()},
            "queries": [
                {
                    "part": one.part,
                    "ids": list(one.ids),
                    "values": {
                        name: [None if np.isnan(value) else round(float(value), 6) for value in values]
                        for name, values in one.values.items()
                    },
                }
                for one in self.queries
            ],
        }


def queries_path(output: Path) -> Path:
    """Where the values of the queries lie: `NAME.queries.json` beside `NAME.json`."""
    return output.with_name(f"{output.stem}.queries.json")


def write_result(result: Result, output: Path, more: Mapping[str, Any] | None = None) -> None:
    """Write the result to `output`, with further keys where there is `more` to say, and the queries' values beside
    it."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result.to_json() | dict(more or {}), indent=1) + "\n", encoding="utf-8")
    queries_path(output).write_text(json.dumps(result.queries_json()) + "\n", encoding="utf-8")


def read_result(output: Path) -> Result:
    """Read what `write_result` wrote; without the queries' file the result has no queries.

    Raises ConfigurationError for a file that is no result."""
    try:
        found = json.loads(output.read_text(encoding="utf-8"))
        beside = queries_path(output)
        more = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
        return Result(
            found["benchmark"],
            found["protocol"],
            more.get("split", ""),
            found["metrics"],
            {name: (low, high) for name, (low, high) in found["bounds"].items()},
            found["counts"],
            [_query_values(one) for one in more.get("queries", ())],
            {name: tuple(of) for name, of in more.get("averages", {}).items()},
        )
    except OSError as error:
        raise ConfigurationError(f"cannot read the result {output}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{output} is no result of `lensmith evaluate`: give its --output.") from error


def _query_values(found: Mapping[str, Any]) -> QueryValues:
    values = {
        name: np.array([np.nan if value is None else value for value in column], np.float64)
        for name, column in found["values"].items()
    }
    return QueryValues(found["part"], tuple(found["ids"]), values)
