"""The backend `batch` from a run to files, from results to the run again, until nothing waits."""

import base64
import io
import json
from collections import Counter

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from beam_jobs.session import Session
from beam_jobs.tables import rows
from beam_jobs.workspace import Workspace
from beam_jobs.write_instructions import run_write
from lensmith.batch_commands import batch_read_command, batch_write_command
from lensmith.batch_read import read_batches
from lensmith.batch_requests import next_command, waiting_count
from lensmith.batch_write import write_batches
from lensmith.engine import BeamEngine
from lensmith.settings import load_settings
from schemas.errors import ConfigurationError
from schemas.storage import Folder
from synthesis.batch_files import Limits

from .mined_pairs import mined


def settings(**more):
    written = {"chain": ["caption", "instruction_magiclens"], "backend": "batch", "model": "org/m", "image_side": 96}
    return load_settings("local", options={"write_instructions": written | more})


def run(workspace, manifests, chosen, retry=False):
    """Write, and leave `run.json` as a run does."""
    session = Session(workspace, BeamEngine(()), retry_failed=retry)
    session.force()
    written, _ = run_write(session, manifests, chosen.write_instructions)
    data = {"settings": chosen.model_dump(mode="json"), "command": f"lensmith run --output {workspace.path}"}
    workspace.folder.replace("run.json", json.dumps(data).encode())
    return written


def instruction(text):
    return json.dumps({"reasoning": "they differ", "instructions": [{"text": text, "category": "attribute"}]})


class Served:
    """What a batch API would answer, and how often it was asked what it had answered."""

    def __init__(self):
        self.asked = Counter()
        self.sides = set()

    def answer(self, line, unreadable=()):
        name, body = line["custom_id"], line["body"]
        self.asked[name] += 1
        last = body["messages"][-1]["content"]
        if isinstance(last, list):
            kind, _, data = last[0]["image_url"]["url"].partition(";base64,")
            assert kind == "data:image/jpeg"
            self.sides.add(max(Image.open(io.BytesIO(base64.b64decode(data))).size))
            text = f"a plain picture of {300} by {len(data)} dots"
        elif any(one in str(body["messages"]) for one in unreadable) and len(body["messages"]) % 2 == 0:
            text = "I had rather not use JSON"
        else:
            text = instruction("show it from the other side at night")
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 10}
        response = {"status_code": 200, "request_id": "r", "body": {"choices": [choice], "usage": usage}}
        return {"id": "x", "custom_id": name, "response": response, "error": None}


def lines_of(folder):
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


def write_results(path, results):
    path.write_text("".join(json.dumps(one) + "\n" for one in results))
    return str(path)


def counts(manifests, unit):
    (manifest,) = manifests
    return manifest.counts.entry(unit)


def test_from_requests_to_triplets_by_batches(tmp_path):
    workspace, manifests = mined(tmp_path / "out")
    chosen, served = settings(), Served()
    written = run(workspace, manifests, chosen)
    assert (counts(written, "pair").deferred, waiting_count(workspace)) == (12, 4)

    first = tmp_path / "first"
    done = write_batches(workspace, Folder(str(first)), Limits(requests=3))
    assert list(done.files.values()) == [3, 1]
    asked = lines_of(first)
    assert {one["body"]["model"] for one in asked} == {"org/m"}
    good = [served.answer(one) for one in asked]
    assert served.sides == {96}
    # One is missing, one failed, one is there twice, one was never asked.
    lost, expired = good[0]["custom_id"], good[1] | {"response": None, "error": {"code": "batch_expired"}}
    served.asked.subtract([lost, expired["custom_id"]])
    output = write_results(tmp_path / "o.jsonl", [good[2], good[3], good[2], good[3] | {"custom_id": "stranger"}])
    errors = write_results(tmp_path / "e.jsonl", [expired])
    found = read_batches(workspace, [errors, output])
    expected = {"requests that waited": 4, "answered": 2, "failed: batch_expired": 1, "missing": 1, "doubled": 1}
    assert {name: found[name] for name in expected} == expected
    assert (found["unknown custom_id"], found["answered before"], found["read in"]) == (1, 0, 2)

    # Without --retry nothing is taken up; with it the pair of the two captions goes on, in either direction.
    again = run(workspace, manifests, chosen)
    assert counts(again, "pair").deferred == 12
    run(workspace, manifests, chosen, retry=True)
    assert waiting_count(workspace) == 4
    second = tmp_path / "second"
    write_batches(workspace, Folder(str(second)), Limits())
    asked = lines_of(second)
    assert {lost, expired["custom_id"]} < {one["custom_id"] for one in asked}
    # What could not be read is asked once more, in a batch of its own.
    results = [served.answer(one, unreadable=("red fox", "old bridge", "paper boat", "stone arch")) for one in asked]
    found = read_batches(workspace, [output, write_results(tmp_path / "second.jsonl", results)])
    assert (found["answered"], found["answered before"], found["missing"]) == (4, 2, 0)
    run(workspace, manifests, chosen, retry=True)
    third = tmp_path / "third"
    write_batches(workspace, Folder(str(third)), Limits())
    asked = lines_of(third)
    follow_ups = [one for one in asked if one["body"]["messages"][-2]["content"] == "I had rather not use JSON"]
    assert (len(follow_ups), len(asked)) == (2, 12)
    read_batches(workspace, [write_results(tmp_path / "third.jsonl", [served.answer(one) for one in asked])])
    written = run(workspace, manifests, chosen, retry=True)
    assert (waiting_count(workspace), counts(written, "pair").kept) == (0, 12)
    # 4 captions, 12 pairs, 2 of them asked again; nothing that was answered was asked again.
    assert sorted(served.asked.values()) == [1] * 18
    made = list(rows(workspace, written[0], "triplets"))
    assert {row["instructions"][0]["model"] for row in made} == {"org/m (as served)"}
    (job,) = [one for one in workspace.jobs_in_force("write_instructions") if one.endswith("magiclens")]
    usage = [one.notes["usage"] for one in workspace.manifests(job, workspace.in_force(job))]
    assert usage == [
        [
            [
                "instruction_magiclens@1",
                "org/m (as served)",
                {"requests": 14, "prompt_tokens": 1400, "completion_tokens": 140},
            ]
        ]
    ]


def test_an_endpoint_takes_over_what_batches_answered(tmp_path):
    """Rows of batches are those that an endpoint leaves: another backend asks nothing again."""
    workspace, manifests = mined(tmp_path / "out")
    chosen, served = settings(chain=["instruction_magiclens"]), Served()
    run(workspace, manifests, chosen)
    write_batches(workspace, Folder(str(tmp_path / "b")), Limits())
    results = [served.answer(one) for one in lines_of(tmp_path / "b")]
    assert len(results) == 12
    read_batches(workspace, [write_results(tmp_path / "r.jsonl", results)])
    unreachable = {"base_url": "http://127.0.0.1:9/v1", "attempts": 1}
    moved = settings(chain=["instruction_magiclens"], backend="openai", **unreachable)
    written = run(workspace, manifests, moved, retry=True)
    assert counts(written, "pair").kept == 12


def test_equal_runs_give_equal_files_and_a_folder_with_others_is_refused(tmp_path):
    found = []
    for name in ("one", "two"):
        workspace, manifests = mined(tmp_path / name)
        run(workspace, manifests, settings())
        write_batches(workspace, Folder(str(tmp_path / name / "batch")), Limits(requests=2))
        found.append({path.name: path.read_bytes() for path in (tmp_path / name / "batch").iterdir()})
    assert found[0] == found[1]
    assert len(found[0]) == 2
    with pytest.raises(ConfigurationError, match="not empty"):
        write_batches(workspace, Folder(str(tmp_path / "two" / "batch")), Limits())


def test_the_store_that_a_run_names_is_the_one_that_is_read_into(tmp_path):
    workspace, manifests = mined(tmp_path / "out")
    chosen, served = settings(generations=[str(tmp_path / "store")]), Served()
    run(workspace, manifests, chosen)
    write_batches(workspace, Folder(str(tmp_path / "b")), Limits())
    results = [served.answer(one) for one in lines_of(tmp_path / "b")]
    assert read_batches(workspace, [write_results(tmp_path / "r.jsonl", results)])["read in"] == 4
    assert list((tmp_path / "store").rglob("*.parquet"))
    run(workspace, manifests, chosen, retry=True)
    assert waiting_count(workspace) == 12
    # Nothing that a store answers is written again, be it taken up by a run or not.
    read = write_results(tmp_path / "again.jsonl", results)
    assert read_batches(workspace, [read])["read in"] == 0


def test_what_commands_say(tmp_path):
    workspace, manifests = mined(tmp_path / "out")
    run(workspace, manifests, settings())
    app, out, batch = typer.Typer(), workspace.path, str(tmp_path / "b")
    app.command("batch-write")(batch_write_command)
    app.command("batch-read")(batch_read_command)
    shown = CliRunner().invoke(app, ["batch-write", out, "--output", batch, "--max-bytes", "100"]).stdout
    assert "left out, too_large: 4" in shown
    shown = CliRunner().invoke(app, ["batch-write", out, "--output", batch]).stdout
    assert "4 requests of org/m" in shown
    assert f"lensmith batch-read {out}" in shown
    served = Served()
    results = write_results(tmp_path / "r.jsonl", [served.answer(one) for one in lines_of(tmp_path / "b")])
    shown = CliRunner().invoke(app, ["batch-read", out, results]).stdout
    assert "answered: 4\n" in shown
    assert f"lensmith write-instructions --output {out} --until publish-dataset --retry failed\n" in shown
    assert "missing" not in shown
    with pytest.raises(ConfigurationError, match=r"cannot read .*none\.jsonl"):
        read_batches(workspace, [str(tmp_path / "none.jsonl")])


@pytest.mark.parametrize(
    ("last", "following"),
    [
        (
            "lensmith run --input 'a b.warc' --output o --sample=3 --seed 4 --no-fetch -- --runner=x",
            "lensmith write-instructions --output o --no-fetch --until publish-dataset --retry failed -- --runner=x",
        ),
        (
            "lensmith run --output o --until verify-triplets --retry failed",
            "lensmith write-instructions --output o --until verify-triplets --retry failed",
        ),
        ("lensmith write-instructions --output o", "lensmith write-instructions --output o --retry failed"),
    ],
)
def test_the_command_that_goes_on_fetches_nothing_again(tmp_path, last, following):
    workspace = Workspace(str(tmp_path))
    workspace.folder.replace("run.json", json.dumps({"command": last}).encode())
    assert next_command(workspace) == following
