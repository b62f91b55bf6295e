"""What a study is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.errors import ConfigurationError
from training.data.parquet_files import Location

FRACTIONS = (0.125, 0.25, 0.5, 1.0)


@dataclass(frozen=True)
class StudyOptions:
    """Which runs, and how they are compared. At most one of `fractions`, `by`, `named` and `subsets` is given; without
    any the runs are `FRACTIONS`."""

    #: Shares of the pages, above 0 and at most 1.
    fractions: tuple[float, ...] = ()
    #: A column of the triplets, or `instructions.KEY`: a run for each of its values, or window of values.
    by: str | None = None
    #: With `by` mining: runs of what is left without each miner as well.
    leave_out: bool = False
    #: Windows into which a column of numbers is cut, by quantiles.
    windows: int = 4
    #: Runs by name: what each changes of the training's settings.
    named: Mapping[str, Mapping[str, Any]] | None = None
    #: Parts of the triplets by name: a dataset selected from this one, or a file of triplet ids.
    subsets: Mapping[str, Location] | None = None
    #: Random subsets for each size of `subsets`.
    randoms: int = 1
    #: Cut all runs to the triplets of the smallest one.
    equal: bool = False
    #: Add runs without training, and without one half of the queries.
    controls: bool = False
    seeds: int = 3
    #: The split that every model is scored on.
    split: str = "validation"
    metric: str = "R@10"
    #: Fewer triplets are not trained on.
    least: int = 8
    keep_models: bool = False

    def check(self) -> None:
        """Raise ConfigurationError for options that do not go together."""
        kinds = [name for name in ("fractions", "by", "named", "subsets") if getattr(self, name)]
        options = {"fractions": "--fractions", "by": "--by", "named": "--runs", "subsets": "--subset"}
        if len(kinds) > 1:
            raise ConfigurationError(
                f"{' and '.join(options[one] for one in kinds)} name different studies: give one of them, and another "
                "--output for the other."
            )
        if self.named is not None and not self.named:
            raise ConfigurationError("the file of --runs names no run: it holds {runs: {NAME: {data: {...}}}}.")
        if self.leave_out and not self.by:
            raise ConfigurationError("--leave-out goes with --by mining.")
        if self.equal and not (self.by or self.named):
            raise ConfigurationError("--equal cuts runs to one size, which fractions are not meant to have: add --by.")
        for share in self.fractions:
            if not 0 < share <= 1:
                raise ConfigurationError(f"--fractions has {share:g}: shares are above 0 and at most 1.")
        for value, option, low in (
            (self.seeds, "--seeds", 1),
            (self.windows, "--windows", 2),
            (self.least, "--least", 2),
            (self.randoms, "--randoms", 1),
        ):
            if value < low:
                raise ConfigurationError(f"{option} is {value}: give at least {low}.")
