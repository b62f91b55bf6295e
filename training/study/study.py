"""A study from its options to its result: runs, their data, their models, and what is written of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from schemas.errors import ConfigurationError, LensmithError, RunFailedError
from training.config import train_config
from training.data.open_dataset import open_dataset
from training.data.parquet_files import Location, located
from training.own_files import make_folder, write_whole
from training.scoring import check_metric
from training.study.chart import chart
from training.study.columns import column_runs
from training.study.counts import Counted, counted, cut, fraction_for
from training.study.options import FRACTIONS, StudyOptions
from training.study.page import render
from training.study.result import RunResult, SeedScores, StudyResult
from training.study.runs import StudyRun, control_runs, named_runs, share_runs
from training.study.scored import Bench, plain_split
from training.study.subsets import subset_runs
from training.surroundings import Surroundings

RESULT, PAGE, CURVE, RUNS, WORK = "study.json", "report.html", "curve.svg", "runs", "_work"
SUBSETS = "subsets"


@dataclass(frozen=True)
class Planned:
    """A run and its data."""

    run: StudyRun
    data: Counted
    #: Why it is not trained.
    why: str = ""


def study(
    dataset: Location,
    output: Path,
    settings: Mapping[str, Any],
    options: StudyOptions,
    around: Surroundings | None = None,
) -> StudyResult:
    """Train and score every run with every seed that is not there yet; `study.json`, `report.html` and `curve.svg` in
    `output` tell of it. Results that an earlier call left are taken, so that a stopped study goes on.

    Raises ConfigurationError for options and settings that do not fit. A run that fails is told, and the others go on;
    if all do, the first error is raised.
    """
    options.check()
    around, dataset = around or Surroundings(), located(dataset)
    make_folder(output, {RESULT, PAGE, CURVE, RUNS, WORK}, "study")
    work = output / WORK
    images = train_config(settings).data.images
    split = plain_split(dataset, options.split, work, images)
    check_metric("--metric", options.metric, split)
    planned = plan(dataset, settings, options, work)
    bench = Bench(dataset, output / RUNS, work, options.split, options.keep_models, replace(around, work=work), images)
    for one in planned:
        if one.why:
            around.say(f"{one.run.name}: {one.why}")
    results = [_begun(one, train_config(settings).data.model_dump(mode="json")) for one in planned]
    errors: list[LensmithError] = []

    def told() -> StudyResult:
        return StudyResult(
            dataset=_dataset_name(dataset),
            title=_title(options),
            split=options.split,
            queries=len(split.rows),
            gallery=len(split.gallery),
            metric=options.metric,
            equal=options.equal,
            training=train_config(settings).model_dump(mode="json"),
            runs=results,
        )

    for number, one in enumerate(planned):
        if not one.why:
            results[number] = _scored(one, results[number], options.seeds, bench, around, errors)
            write(output, told())
    write(output, told())
    if errors and not told().scored:
        raise errors[0]
    if not told().scored:
        raise RunFailedError("no run has triplets enough to be trained: --least says how few are too few.")
    return told()


def plan(dataset: Location, settings: Mapping[str, Any], options: StudyOptions, work: Path) -> list[Planned]:
    """The runs with their data, those with too little of it marked; cut to one size where that is asked for."""
    data = train_config(settings).data
    opened = open_dataset(dataset, data.split, work, data.images)
    if options.by:
        runs = column_runs(settings, opened, options.by, options.windows, options.leave_out)
    elif options.subsets:
        runs = subset_runs(settings, opened, options.subsets, options.randoms, work / SUBSETS)
    elif options.named is not None:
        runs = named_runs(settings, options.named)
    else:
        runs = share_runs(settings, options.fractions or FRACTIONS)
    runs += control_runs(settings) if options.controls else []
    names = [one.name for one in runs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ConfigurationError(f"two runs are called {twice!r}: give one of them another name.")
    found = []
    for run in runs:
        of_run = run.config.data
        rows = counted(open_dataset(dataset, of_run.split, work, of_run.images), run)
        found.append(Planned(run, rows, _too_few(run, rows, options.least)))
    sizes = [one.data.triplets for one in found if not one.why and not one.run.control]
    return [_equal(one, min(sizes)) for one in found] if options.equal and sizes else found


def _too_few(run: StudyRun, data: Counted, least: int) -> str:
    if not run.trained:
        return ""
    if data.triplets < least:
        return f"{data.triplets} triplets are too few to be trained on (--least {least})"
    if data.pages < 2 and run.config.data.pages == "distinct":
        return "its triplets are of one page: batches of distinct pages need two (data.pages)"
    return ""


def _equal(one: Planned, triplets: int) -> Planned:
    if one.why or not one.run.trained:
        return one
    config, fraction = one.run.config, fraction_for(one.data, triplets)
    data = config.data.model_copy(update={"fraction": min(fraction, config.data.fraction)})
    return Planned(replace(one.run, config=config.model_copy(update={"data": data})), cut(one.data, fraction))


def _begun(one: Planned, base: Mapping[str, Any]) -> RunResult:
    own = one.run.config.data.model_dump(mode="json")
    return RunResult(
        name=one.run.name,
        triplets=one.data.triplets if one.run.trained else 0,
        pages=one.data.pages if one.run.trained else 0,
        status="too few" if one.why else "waiting",
        share=one.run.share,
        control=one.run.control,
        data={name: value for name, value in own.items() if value != base[name]},
        why=one.why,
    )


def _scored(
    one: Planned, result: RunResult, seeds: int, bench: Bench, around: Surroundings, errors: list[LensmithError]
) -> RunResult:
    """A run with the scores of all its seeds; a seed that fails ends the run."""
    found: list[SeedScores] = []
    for number in range(seeds):
        name = f"{one.run.name}, seed {one.run.config.run.seed + number}"
        scores = bench.found(one.run, number)
        if scores is None:
            try:
                scores = bench.scored(one.run, number, replace(bench.around, say=_named(around.say, name)))
            except LensmithError as error:
                errors.append(error)
                around.say(f"{name}: failed: {error}")
                return replace(result, status="failed", why=str(error), seeds=tuple(found))
        else:
            around.say(f"{name}: trained already")
        found.append(scores)
    return replace(result, status="scored", seeds=tuple(found))


def _named(say: Callable[[str], None], name: str) -> Callable[[str], None]:
    return lambda text: say(f"{name}: {text}")


def write(output: Path, result: StudyResult) -> None:
    """The files of a result, each at once."""
    texts = {RESULT: json.dumps(result.as_json(), indent=1)}
    if result.scored:
        drawn = chart(result)
        texts |= {CURVE: drawn, PAGE: render(result, drawn)}
    for name, text in texts.items():
        write_whole(output / name, text)


def _dataset_name(dataset: Location) -> str:
    """What the page calls a dataset: its folder, or the one around `dataset`."""
    path = dataset.resolve() if isinstance(dataset, Path) else PurePosixPath(dataset)
    return path.parent.name if path.name == "dataset" else path.name


def _title(options: StudyOptions) -> str:
    if options.by:
        return f"by {options.by}"
    if options.subsets:
        return "subsets and random ones of their size"
    return "named runs" if options.named is not None else "shares of the pages"
