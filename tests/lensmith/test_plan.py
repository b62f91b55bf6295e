"""What a plan says, what it asks, and that a run asks none of it again."""

import json
from collections import Counter

import pytest
import typer
from typer.testing import CliRunner

from beam_jobs.session import Session
from beam_jobs.write_instructions import run_write
from lensmith.batch_requests import waiting_count
from lensmith.engine import BeamEngine
from lensmith.plan_command import plan_command
from lensmith.plan_pairs import find_pairs
from lensmith.plan_sample import plan
from lensmith.settings import load_settings
from schemas.errors import ConfigurationError
from synthesis.costs import Price

from .mined_pairs import mined

CHAIN = ["caption", "instruction_magiclens"]


class Tiny:
    """A writer that counts what it is asked, and answers as it is told: by default with captions and instructions."""

    revision = "as served"

    def __init__(self, name="m", error=None):
        self.name, self.error = name, error
        self.asked = Counter()

    def stream(self, requests):
        for request in requests:
            self.asked[request["prompt"]] += 1
            if request["image_ids"]:
                assert [image[:2] for image in request["images"]] == [b"\xff\xd8"] * len(request["image_ids"])
            text = "a plain picture of an old thing by the sea"
            if "schema" in request["parameters"]:
                text = json.dumps({"reasoning": "r", "instructions": [{"text": "at night from the other side"}]})
            tokens = {"prompt_tokens": 1000 if request["image_ids"] else 400, "completion_tokens": 20}
            error = self.error if request["prompt"] == "caption" else None
            text = None if error else text
            yield request, {"text": text, "error": error, "finish_reason": "stop", "tries": 1, **tokens}


def settings(verify=(), **more):
    written = {"chain": CHAIN, "backend": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m"}
    return load_settings("local", options={"write_instructions": written | more, "verify_triplets": {"chain": verify}})


PRICES = {"m": Price(input=2.0, output=10.0, tokens_per_second=50)}


def test_a_sample_is_extrapolated_and_its_answers_are_kept(tmp_path):
    workspace, manifests = mined(tmp_path)
    tiny = Tiny()
    found = plan(workspace, settings(), 6, PRICES, lambda config: tiny)
    assert (found.pairs, found.sampled, found.accepted) == (12, 6, 6)
    caption, written = found.steps
    # Four images are asked about once, in however many pairs they stand.
    assert (caption.requests.value, caption.prompt_tokens.value) == (4, 4000)
    assert (written.requests.value, written.prompt_tokens.value, written.completion_tokens.value) == (12, 4800, 240)
    assert written.cost.value == pytest.approx(4800 * 2e-6 + 240 * 1e-5)
    assert written.hours.value == pytest.approx(240 / 50 / 3600)
    assert tiny.asked["instruction_magiclens"] == 6
    seen = dict(tiny.asked)
    again = plan(workspace, settings(), 6, PRICES, lambda config: tiny)
    assert again.steps == found.steps
    assert tiny.asked == seen
    # A larger sample asks what is new; a run asks nothing of it: what is left waits.
    plan(workspace, settings(), 8, PRICES, lambda config: tiny)
    assert tiny.asked["instruction_magiclens"] == 8
    assert tiny.asked["caption"] == 4
    session = Session(workspace, BeamEngine(()))
    run_write(session, manifests, settings(backend="batch").write_instructions)
    assert waiting_count(workspace) == 4


def test_samples_are_the_same_whoever_draws_them_and_hold_both_directions(tmp_path):
    workspace, _ = mined(tmp_path / "one")
    elsewhere, _ = mined(tmp_path / "two")
    first, second = (find_pairs(one, 6) for one in (workspace, elsewhere))
    assert first.sample == second.sample
    ends = {(row["query_image_id"], row["target_image_id"]) for _, row in first.sample}
    assert ends == {(target, query) for query, target in ends}
    assert len(find_pairs(workspace, 100).sample) == 12
    assert (first.units("image", True), first.units("pair", True), first.units("triplet", False)) == (4, 12, 12)


def test_what_failed_tells_nothing_and_is_said(tmp_path):
    workspace, _ = mined(tmp_path)
    found = plan(workspace, settings(), 12, {}, lambda config: Tiny(error="http_500"))
    assert found.failed == {"error:http_500": 4}
    assert [one.requests for one in found.steps] == [None, None]
    assert found.accepted == 0


def test_verifying_is_planned_too(tmp_path):
    workspace, _ = mined(tmp_path)
    found = plan(workspace, settings(verify=["verify_image"]), 12, {}, lambda config: Tiny())
    assert [one.stage for one in found.steps] == ["write_instructions", "write_instructions", "verify_triplets"]
    judged = found.steps[-1]
    assert judged.step == "verify_image"
    # Each text is asked about three times, with the query image and four to choose from.
    assert (judged.requests.value, judged.prompt_tokens.value, judged.sampled) == (36, 36_000, 12)
    assert judged.measured


def test_without_asking_answers_are_made_up_and_forgotten(tmp_path):
    workspace, _ = mined(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    found = plan(workspace, settings(max_tokens=200), 12, PRICES, None)
    assert sorted(tmp_path.rglob("*")) == before
    caption, written = found.steps
    assert (caption.requests.value, written.requests.value) == (4, 12)
    assert (written.completion_tokens.value, written.completion_tokens.high) == (12 * 200, 12 * 200)
    assert 0 < written.completion_tokens.low < 12 * 200
    assert found.accepted is None


def test_what_the_command_says(tmp_path):
    workspace, _ = mined(tmp_path / "out")
    app = typer.Typer()
    app.command()(plan_command)
    file = tmp_path / "own.yaml"
    prices = tmp_path / "prices.yaml"
    prices.write_text("m: {input: 2.0, output: 10.0, tokens_per_second: 50}")
    file.write_text(json.dumps({"write_instructions": {"chain": CHAIN, "backend": "batch", "model": "m"}}))
    asked = CliRunner().invoke(app, [workspace.path, "--config", str(file)])
    assert isinstance(asked.exception, ConfigurationError)
    assert "--no-ask" in str(asked.exception)
    data = json.loads(file.read_text())
    data["write_instructions"]["prices"] = str(prices)
    file.write_text(json.dumps(data))
    options = ["--config", str(file), "--no-ask", "--triplets-per-million", "500000"]
    shown = CliRunner().invoke(app, [workspace.path, *options]).stdout
    lines = [line.split() for line in shown.splitlines()]
    assert lines[0] == ["step", "model", "requests", "prompt", "tokens", "answer", "tokens", "cost", "hours"]
    assert [line[:3] for line in lines[1:4]] == [
        ["caption", "m", "4"],
        ["instruction_magiclens", "m", "12"],
        ["all", "16", *lines[3][2:3]],
    ]
    assert "12 pairs, from a sample of 12" in shown
    assert "for a million pairs: 1.33M requests" in shown
    assert "for each accepted triplet (as expected): 2.67 requests" in shown


def test_an_output_folder_without_pairs_is_said_to_have_none(tmp_path):
    workspace, _ = mined(tmp_path)
    workspace.end_force("mine_pairs")
    with pytest.raises(ConfigurationError, match="no pairs yet"):
        plan(workspace, settings(), 5, {}, None)
