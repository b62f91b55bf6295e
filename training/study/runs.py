"""The runs of a study: names, and the configuration of each over the training's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from schemas.errors import ConfigurationError
from training.config import TrainConfig, train_config

ALL = "all"
UNTRAINED = "untrained"


@dataclass(frozen=True)
class StudyRun:
    """One training of a study, before seeds."""

    name: str
    config: TrainConfig
    #: The share of the pages, in a study of shares.
    share: float | None = None
    #: A yardstick for the others: not trained, or without a half of the queries.
    control: bool = False
    trained: bool = True


def over(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with changes in their place, key by key; a model of another `kind` replaces the model."""
    found = dict(settings)
    for key, value in changes.items():
        old = found.get(key)
        other = key == "model" and isinstance(value, Mapping) and value.get("kind", None) is not None
        if isinstance(old, Mapping) and isinstance(value, Mapping) and not (other and value["kind"] != old.get("kind")):
            found[key] = over(old, value)
        else:
            found[key] = value
    return found


def changed_run(settings: Mapping[str, Any], name: str, changes: Mapping[str, Any]) -> StudyRun:
    """A run of changed settings. Raises ConfigurationError that names the run."""
    try:
        return StudyRun(name, train_config(over(settings, changes)))
    except ConfigurationError as error:
        raise ConfigurationError(f"the run {name!r}: {error}") from error


def share_runs(settings: Mapping[str, Any], shares: Sequence[float]) -> list[StudyRun]:
    """A run for each share of the pages, the smallest first; smaller ones lie within larger ones."""
    base = train_config(settings)
    found = []
    for share in sorted(set(shares)):
        data = base.data.model_copy(update={"fraction": share * base.data.fraction})
        found.append(StudyRun(share_name(share), base.model_copy(update={"data": data}), share))
    return found


def share_name(share: float) -> str:
    """`1/8`, `all`, or percent where no small fraction is meant."""
    near = Fraction(share).limit_denominator(1024)
    if share == 1:
        return ALL
    return str(near) if near.numerator == 1 else f"{100 * share:g}%"


def named_runs(settings: Mapping[str, Any], named: Mapping[str, Any]) -> list[StudyRun]:
    """Runs as a file names them. Raises ConfigurationError for one that is no mapping of sections."""
    for name, changes in named.items():
        if not isinstance(changes, Mapping):
            raise ConfigurationError(f"the run {name!r} must hold a mapping of sections, such as `data: {{where: …}}`.")
    return [changed_run(settings, str(name), changes) for name, changes in named.items()]


def control_runs(settings: Mapping[str, Any]) -> list[StudyRun]:
    """What the others must beat: the model before training, and trained and asked without a half of the queries."""
    base = train_config(settings)
    found = [StudyRun(UNTRAINED, base, control=True, trained=False)]
    for name, hidden in (("text only", "image"), ("image only", "text")):
        data = base.data.model_copy(update={"hide": hidden})
        found.append(StudyRun(name, base.model_copy(update={"data": data}), control=True))
    return found


def with_seed(run: StudyRun, number: int) -> TrainConfig:
    """The configuration of a run's seed (counted from 0)."""
    config = run.config
    return config.model_copy(update={"run": config.run.model_copy(update={"seed": config.run.seed + number})})
