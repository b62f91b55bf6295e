"""Costs of a run from its manifests, in the funnel, the card and the report."""

import json

import pytest

from beam_jobs.workspace import Manifest, Workspace
from lensmith.costs import keep_prices, kept_prices, run_costs
from lensmith.funnel import funnel
from publishing.card import money, render_card
from publishing.config import PublishConfig
from publishing.description import Description, Facts
from publishing.statistics import DatasetStatistics
from schemas.outcomes import Counts
from synthesis.costs import Price


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path))


def used(prompt, model, requests, prompt_tokens, completion_tokens):
    tokens = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    return [prompt, model, {"requests": requests, **tokens}]


def commit(workspace, job, key, usage=(), triplets=0, kept=None):
    counts = Counts()
    counts.made["triplet"] = triplets
    if kept is not None:
        entry = counts.entry("triplet")
        entry.entered = entry.kept = kept
    workspace.commit(Manifest(job, key, {}, counts, notes={"usage": list(usage)} if usage else {}))


@pytest.fixture
def written(workspace):
    commit(workspace, "write_instructions.caption", "a", [used("caption@1", "eyes (as served)", 10, 8000, 300)])
    commit(workspace, "write_instructions.caption", "b", [used("caption@1", "eyes (as served)", 6, 4000, 100)])
    commit(workspace, "write_instructions.caption", "old", [used("caption@1", "eyes (as served)", 99, 9999, 999)])
    commit(workspace, "write_instructions.mtcir", "c", [used("mtcir@2", "hand (0.1)", 20, 2000, 1000)])
    commit(workspace, "write_instructions", "d", triplets=8)
    for job, keys in (("caption", "ab"), ("mtcir", "c")):
        workspace.set_in_force(f"write_instructions.{job}", list(keys), "basis")
    workspace.set_in_force("write_instructions", ["d"], "basis")
    return workspace


def test_what_is_in_force_is_summed_and_shared_among_what_was_accepted(written):
    keep_prices(written, {"eyes": Price(input=0.5, output=2.0), "hand": Price(gpu_hour=3.6, tokens_per_second=100)})
    costs = funnel(written)["costs"]
    first, second = costs["tasks"]
    tokens = {"requests": 16, "prompt_tokens": 12_000, "completion_tokens": 400}
    assert first == {"stage": "write_instructions", "prompt": "caption@1", "model": "eyes (as served)"} | tokens | {
        "cost": 0.0068
    }
    # A thousand tokens at a hundred a second are ten seconds of an hour that costs 3.6.
    assert (second["prompt"], second["cost"]) == ("mtcir@2", 0.01)
    assert costs["total"] == {"requests": 36, "prompt_tokens": 14_000, "completion_tokens": 1400, "cost": 0.0168}
    share = {"requests": 4.5, "prompt_tokens": 1750.0, "completion_tokens": 175.0, "cost": 0.0021}
    assert costs["accepted"] == {"triplets": 8, "by": "written", **share}
    commit(written, "verify_triplets", "v", kept=5)
    commit(written, "verify_triplets.check", "w", [used("check@1", "eyes (as served)", 4, 1000, 0)])
    written.set_in_force("verify_triplets", ["v"], "basis")
    written.set_in_force("verify_triplets.check", ["w"], "basis")
    costs = run_costs(written)
    assert [one["stage"] for one in costs["tasks"]][-1] == "verify_triplets"
    assert (costs["accepted"]["triplets"], costs["accepted"]["by"]) == (5, "verified")
    assert costs["accepted"]["requests"] == 8.0


def test_without_prices_there_are_tokens_and_no_cost(written):
    costs = run_costs(written)
    assert [one["cost"] for one in costs["tasks"]] == [None, None]
    assert (costs["total"]["cost"], costs["accepted"]["cost"], costs["unpriced"]) == (None, None, [])
    keep_prices(written, {"hand": Price(output=1.0)})
    costs = run_costs(written)
    assert (costs["total"]["cost"], costs["unpriced"]) == (0.001, ["eyes"])
    # A run without prices tells none, whatever one before it had.
    keep_prices(written, {})
    assert kept_prices(written) == {}
    assert run_costs(written)["total"]["cost"] is None


def test_a_run_that_asked_no_model_has_no_costs(workspace):
    commit(workspace, "write_instructions", "d", triplets=8)
    workspace.set_in_force("write_instructions", ["d"], "basis")
    assert run_costs(workspace) is None
    assert "costs" not in funnel(workspace)


def test_the_card_tells_costs(written):
    keep_prices(written, {"eyes": Price(input=0.5, output=2.0)})
    about = Description("run", PublishConfig(), Facts(version="1"), (), DatasetStatistics(), funnel(written))
    card = render_card(about)
    assert "| write\\_instructions | caption@1 | eyes (as served) | 16 | 12,000 | 400 | 0.0068 |" in card
    assert "| all | | | 36 | 14,000 | 1,400 | 0.0068 |" in card
    assert "For each of the 8 triplets that were written: 4.5 requests, 1,750 tokens of prompts, 175 of answers" in card
    assert "without hand." in card
    assert json.loads(json.dumps(about.funnel)) == about.funnel
    without = Description("run", PublishConfig(), Facts(version="1"), (), DatasetStatistics(), {"stages": []})
    assert "What the answers took" not in render_card(without)


@pytest.mark.parametrize(
    ("cost", "shown"), [(None, ""), (0.0, "0.00"), (1234.5, "1,234.50"), (0.00021, "0.00021"), (0.5, "0.5")]
)
def test_money(cost, shown):
    assert money(cost) == shown
