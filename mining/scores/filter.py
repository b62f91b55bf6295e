"""A filter over score columns of pairs: for each column a window, and what becomes of pairs without a value."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.errors import ConfigurationError


class ColumnWindow(BaseModel):
    """The values of one column that are kept, both ends included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min: float | None = Field(default=None, description="pairs with less are dropped (below_COLUMN); null for no bound")
    max: float | None = Field(default=None, description="pairs with more are dropped (above_COLUMN); null for no bound")
    missing: Literal["keep", "drop"] = Field(
        default="keep", description="pairs without a value are kept or dropped (without_COLUMN)"
    )

    @model_validator(mode="after")
    def _keeps_something(self) -> ColumnWindow:
        if any(bound is not None and math.isnan(bound) for bound in (self.min, self.max)):
            raise ValueError("a bound is a number")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min ({self.min:g}) lies above max ({self.max:g}), so that no pair could be kept")
        if self.min is None and self.max is None and self.missing == "keep":
            raise ValueError("a window without min and max that keeps missing values filters nothing: give one of them")
        return self


#: Windows over score columns, by column; a pair is kept if all of them keep it.
PairFilter = Mapping[str, ColumnWindow]


def check_columns(windows: PairFilter, columns: Collection[str]) -> None:
    """Raise ConfigurationError, naming the columns there are, if the filter names another one."""
    unknown = sorted(set(windows) - set(columns))
    if unknown:
        names = ", ".join(repr(name) for name in unknown)
        there = ", ".join(sorted(columns)) or "none"
        raise ConfigurationError(f"The filter of pairs names {names}, but the score columns are: {there}.")


def fault(row: Mapping[str, Any], windows: PairFilter) -> tuple[str, str | None] | None:
    """Why a pair is dropped, (reason, value as a detail), or None if it is kept.

    Reasons: `without_COLUMN` (null or NaN), `below_COLUMN`, `above_COLUMN`; of several the one whose column comes first
    by name. True and false count as 1 and 0. Raises KeyError on a row that lacks a column, which `check_columns` finds
    before, and TypeError on a column that holds no numbers.
    """
    for column in sorted(windows):
        window, value = windows[column], row[column]
        if value is None or (isinstance(value, float) and math.isnan(value)):
            if window.missing == "drop":
                return f"without_{column}", None
        elif not isinstance(value, (int, float)):
            raise TypeError(f"the column {column!r} holds {type(value).__name__}, and a filter compares numbers")
        elif window.min is not None and value < window.min:
            return f"below_{column}", f"{value:g}"
        elif window.max is not None and value > window.max:
            return f"above_{column}", f"{value:g}"
    return None
