"""docs/evaluation.md names every benchmark, protocol, split and template that there is, and no option that is not."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import typer.main

from evaluation.benchmarks import BENCHMARKS
from evaluation.templates import TEMPLATES
from lensmith.cli import app

_DOCS = Path(__file__).parents[2] / "docs"
PAGE = (_DOCS / "evaluation.md").read_text()
_COMMANDS = [
    shlex.split(line)
    for page in (PAGE, (_DOCS / "bring_your_own_embeddings.md").read_text())
    for line in page.splitlines()
    if line.startswith("lensmith evaluate") and "[" not in line
]


def test_every_benchmark_has_a_command():
    named = {words[words.index("--benchmark") + 1] for words in _COMMANDS}
    assert named == set(BENCHMARKS)


def test_commands_have_known_options_and_values():
    command = typer.main.get_command(app).commands["evaluate"]  # type: ignore[attr-defined]
    for words in _COMMANDS:
        given = command.make_context("evaluate", words[2:]).params
        benchmark = BENCHMARKS[given["benchmark"]]
        assert given["split"] is None or given["split"] in benchmark.splits
        assert (given["embeddings"] is None) != (given["model"] is None)
        assert given["output"] is not None or given["submission"] is not None


def test_the_page_names_what_there_is():
    prose = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    named = set(re.findall(r"`([^`]+)`", prose))
    for benchmark in BENCHMARKS.values():
        if len(benchmark.protocols) > 1:
            assert named.issuperset(benchmark.protocols)
    assert named.issuperset(name for found in TEMPLATES.values() for name in found)
