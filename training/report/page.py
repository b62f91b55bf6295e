"""The report of a training as one HTML page: no request leaves it, no script runs in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from training.config import TrainConfig
from training.models.interface import Retriever
from training.own_files import write_whole
from training.progress import PART, SPEED, WAIT
from training.report.curves import Curve, chart
from training.scoring import METRICS
from training.stages import Stage, stages_of
from training.text_to_image import NAME

History = Sequence[Mapping[str, Any]]
_SCORE = "eval_"
#: Rows of scores that are shown at once; of more, the first, the last and some between them.
_ROWS = 40


@dataclass(frozen=True)
class StageReport:
    """What the page shows of a stage."""

    name: str
    facts: Mapping[str, int]
    last_step: int
    last_loss: float | None
    speed: float | None
    wait: float | None
    #: The metric by which the best checkpoint was chosen, its value and its step; None where nothing was scored.
    best: tuple[str, float, int] | None
    metrics: tuple[str, ...]
    scores: Sequence[tuple[int, Sequence[float]]]
    charts: Mapping[str, Any]


def write_report(
    path: Path, history: History, config: TrainConfig, model: Retriever, facts: Mapping[str, Mapping[str, int]]
) -> None:
    """Write the page of a training: `history` is what was logged (each entry with its `stage`), `facts` are counts of
    each stage's data."""
    write_whole(path, render(history, config, model, facts))


def render(history: History, config: TrainConfig, model: Retriever, facts: Mapping[str, Mapping[str, int]]) -> str:
    """The page as text."""
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [
                jinja2.PackageLoader("training.report", "templates"),
                jinja2.PackageLoader("evaluation.report", "templates"),
            ]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": "{:,}".format, "percent": "{:.2f}".format}
    weights = list(model.parameters())
    return environment.get_template("training.html.jinja2").render(
        title=f"Training of a {model.kind} model",
        kind=model.kind,
        towers=model.towers(),
        width=model.width,
        parameters=sum(one.numel() for one in weights),
        trained=sum(one.numel() for one in weights if one.requires_grad),
        stages=[stage_report(one, history, facts.get(one.name, {})) for one in stages_of(config)],
        settings=settings(config),
    )


def stage_report(stage: Stage, history: History, facts: Mapping[str, int]) -> StageReport:
    """What a stage has logged, in curves and numbers."""
    own = [one for one in history if one.get("stage") == stage.name]
    steps = [one for one in own if "loss" in one]
    scored = [one for one in own if any(name.startswith(_SCORE) for name in one)]
    metric = stage.run.metric
    known = {name.removeprefix(_SCORE) for one in scored for name in one if name.startswith(_SCORE)}
    metrics = tuple(name for name in dict.fromkeys([metric, *METRICS]) if name in known)
    best = None
    if metric in metrics:
        winner = max(scored, key=lambda one: (one[_SCORE + metric], -one["step"]))
        best = metric, float(winner[_SCORE + metric]), int(winner["step"])
    speeds = [one for one in steps if SPEED in one and one["step"] > 1] or steps
    return StageReport(
        name=stage.name,
        facts=facts,
        last_step=int(steps[-1]["step"]) if steps else 0,
        last_loss=float(steps[-1]["loss"]) if steps else None,
        speed=_mean(speeds, SPEED),
        wait=_mean(speeds, WAIT),
        best=best,
        metrics=metrics,
        scores=_some([(int(one["step"]), [float(one[_SCORE + name]) for name in metrics]) for one in scored]),
        charts=_charts(own, metrics, best[2] if best else None),
    )


def _charts(entries: History, metrics: Sequence[str], best: int | None) -> dict[str, Any]:
    steps = [one for one in entries if "loss" in one]
    parts = list(dict.fromkeys(name for one in steps for name in one if name.startswith(PART)))
    losses = [_curve(steps, "loss", "loss in sum" if parts else "loss")]
    losses += [_curve(steps, name, name.removeprefix(PART)) for name in parts]
    made = {"Loss": chart(losses, "Loss")}
    if metrics:
        curves = [_curve(entries, _SCORE + name, name) for name in metrics]
        made["Scores on the validation split, percent"] = chart(curves, "Scores", best)
    searched = list(dict.fromkeys(name for one in entries for name in one if name.startswith(NAME)))
    if searched:
        curves = [_curve(entries, name, name.removeprefix(NAME)) for name in searched]
        made["Texts that find their image, percent"] = chart(curves, "Texts find images")
    made["Learning rate"] = chart([_curve(steps, "learning_rate", "learning rate")], "Learning rate")
    made["Norm of the gradients, before it is cut"] = chart([_curve(steps, "grad_norm", "norm")], "Gradients")
    made["Triplets a second"] = chart([_curve(steps, SPEED, "triplets a second")], "Speed")
    return made


def _curve(entries: History, key: str, name: str) -> Curve:
    return Curve(name, tuple((float(one["step"]), float(one[key])) for one in entries if key in one))


def _mean(entries: History, key: str) -> float | None:
    values = [float(one[key]) for one in entries if key in one]
    return sum(values) / len(values) if values else None


def _some(rows: list[tuple[int, list[float]]]) -> list[tuple[int, list[float]]]:
    every = -(-len(rows) // _ROWS) or 1
    return [row for number, row in enumerate(rows) if number % every == 0 or number == len(rows) - 1]


def settings(config: TrainConfig) -> list[tuple[str, str, bool]]:
    """Every setting by its dotted name, its value, and whether it is another one than by default."""
    given = _flat(config.model_dump(mode="json"))
    base = TrainConfig(model=type(config.model)())
    usual = _flat(base.model_dump(mode="json"))
    return [(name, value, usual.get(name) != value) for name, value in given.items()]


def _flat(section: Mapping[str, Any], before: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in section.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{before}{name}.")
        else:
            found[before + name] = "none" if value is None else str(value)
    return found
