"""The command that tells what writing will take before it is started."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lensmith.output_folder import exclusive, known_output
from lensmith.plan_sample import Plan, plan
from lensmith.requirements import check_needs
from lensmith.settings import Settings, load_settings
from publishing.card import money
from schemas.errors import ConfigurationError
from synthesis.chain import make_chain
from synthesis.costs import load_prices
from synthesis.planning import Spread, StepPlan

_MILLION = 1_000_000
#: Columns of the table: so wide that nothing breaks where no terminal says how wide it is.
_WIDTH = 200


def plan_command(
    output_dir: Annotated[str, typer.Argument(help="Output folder of a run that has mined pairs.")],
    preset: Annotated[str, typer.Option("--preset", help="Settings to begin with.")] = "local",
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file that overrides them.", show_default="none")
    ] = None,
    sample: Annotated[int, typer.Option("--sample", min=2, help="Pairs that are taken along the chain.")] = 20,
    no_ask: Annotated[
        bool,
        typer.Option("--no-ask", help="Ask nothing: reckon with characters, and answers as long as they may be."),
    ] = False,
    triplets_per_million: Annotated[
        int | None,
        typer.Option(
            "--triplets-per-million",
            min=1,
            max=_MILLION,
            help="Triplets that a million pairs are expected to give.",
            show_default="what the sample gives",
        ),
    ] = None,
) -> None:
    """Tokens, money and hours of writing and verifying, from a sample; its answers are kept and never paid twice."""
    workspace = known_output(output_dir)
    settings = load_settings(preset, config)
    prices = load_prices(settings.write_instructions.prices)
    if not no_ask:
        _check(settings)
    with exclusive(workspace):
        from synthesis.writers import load_writer

        found = plan(workspace, settings, sample, prices, None if no_ask else load_writer)
    show_plan(Console(width=_WIDTH), found, triplets_per_million)


def _check(settings: Settings) -> None:
    check_needs(settings, ["write_instructions", "verify_triplets"])
    for chain in (settings.write_instructions, settings.verify_triplets):
        for link in make_chain(chain).links:
            if link.config.backend == "batch":
                raise ConfigurationError(
                    f"{link.name} waits for a batch, and a plan asks at once: add --no-ask, or name an endpoint of the "
                    "same model with backend: openai in a file for --config."
                )


def show_plan(console: Console, found: Plan, triplets_per_million: int | None = None) -> None:
    """The plan as a table, with all of it for a million pairs and for each accepted triplet."""
    table = Table(box=None, pad_edge=False)
    for name in ("step", "model", "requests", "prompt tokens", "answer tokens", "cost", "hours"):
        table.add_column(name, justify="left" if name in ("step", "model") else "right", no_wrap=True)
    for step in found.steps:
        if step.requests is None:
            table.add_row(step.step, step.model, "unknown")
            continue
        hours = _spread(step.hours, measured=step.measured)
        table.add_row(step.step, step.model, *_counts(step), _cost(step.cost), hours)
    known = [one for one in found.steps if one.requests is not None]
    if known:
        every = _sums(known)
        table.add_row("all", "", *(_spread(one) for one in every[:3]), _cost(every[3]), _spread(every[4]))
    console.print(table)

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    say(f"{found.pairs:,} pairs, from a sample of {found.sampled}; in brackets the 95% interval, equal requests once")
    if any(one.measured for one in known):
        say("~ hours as fast as the sample was answered here: a price file with tokens_per_second tells better")
    for reason, count in sorted(found.failed.items()):
        say(f"left out: {count} requests of the sample, {reason}")
    if len(known) < len(found.steps):
        say("unknown: a step that asks about answers of earlier ones; only asking tells")
    if not known or not found.pairs:
        return
    say(f"for a million pairs: {_line([one and one.times(_MILLION / found.pairs) for one in every])}")
    share = _share(found, triplets_per_million)
    if share:
        said = (
            "as expected" if triplets_per_million else f"{found.accepted} of {found.sampled} in the sample have a text"
        )
        line = _line([one and one.times(1 / (found.pairs * share)) for one in every])
        say(f"for each accepted triplet ({said}): {line}")


def _share(found: Plan, triplets_per_million: int | None) -> float:
    if triplets_per_million is not None:
        return triplets_per_million / _MILLION
    return (found.accepted or 0) / found.sampled if found.sampled else 0.0


def _sums(steps: Sequence[StepPlan]) -> list[Spread | None]:
    """Requests, tokens of prompts and answers, cost and hours of all steps; None where no step tells."""
    columns: list[list[Spread | None]] = [
        [one.requests for one in steps],
        [one.prompt_tokens for one in steps],
        [one.completion_tokens for one in steps],
        [one.cost for one in steps],
        [one.hours for one in steps],
    ]
    told = [[one for one in column if one is not None] for column in columns]
    return [reduce(add, column) if column else None for column in told]


def _counts(step: StepPlan) -> list[str]:
    return [_spread(one) for one in (step.requests, step.prompt_tokens, step.completion_tokens)]


def _line(every: Sequence[Spread | None]) -> str:
    requests, prompt, completion, cost, hours = every
    parts = [
        f"{_number(requests)} requests",
        f"{_number(prompt)} prompt tokens",
        f"{_number(completion)} answer tokens",
    ]
    parts += [f"{money(cost.value)} in money"] if cost is not None else []
    parts += [f"{_short(hours.value)} hours"] if hours is not None else []
    return ", ".join(parts)


def _number(one: Spread | None) -> str:
    return "0" if one is None else _short(one.value)


def _spread(one: Spread | None, *, measured: bool = False) -> str:
    if one is None:
        return ""
    ends = "" if one.low == one.high else f" ({_short(one.low)}–{_short(one.high)})"
    return f"{'~' if measured else ''}{_short(one.value)}{ends}"


def _cost(one: Spread | None) -> str:
    if one is None:
        return ""
    ends = "" if one.low == one.high else f" ({money(one.low)}–{money(one.high)})"
    return f"{money(one.value)}{ends}"


def _short(value: float) -> str:
    """Three digits that count: 0.0123, 12.3, 1,230, 12.3M, 1.23G."""
    for name, size in (("G", 1e9), ("M", 1e6)):
        if abs(value) >= size:
            return f"{value / size:.3g}{name}"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
