"""The whole job on a small site with the real models of the preset local."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = "publish_dataset: {split_unit: page, shares: {train: 0.5, validation: 0.0, test: 0.5}}\n"


def lensmith(*arguments, **more):
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", "from lensmith.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280, **more)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run: its folder, its input, its configuration."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("site_files", REPOSITORY / "tests" / "conftest.py")
    made = importlib.util.module_from_spec(spec)
    sys.modules["site_files"] = made
    spec.loader.exec_module(made)
    root = tmp_path_factory.mktemp("run")
    answers = made.small_site(pages=4)
    made.write_warc(root / "input" / "a.warc.gz", answers[: len(answers) // 2])
    made.write_warc(root / "input" / "b.warc.gz", answers[len(answers) // 2 :])
    made.write_warc(root / "more" / "c.warc.gz", made.small_site("http://other.example", pages=2, seed=500))
    (root / "own.yaml").write_text(CONFIG)
    done = run(root, root / "out")
    assert done.returncode == 0, done.stderr
    return root


def run(root, output, *more):
    inputs = ["--input", root / "input"]
    return lensmith("run", *inputs, "--output", output, "--config", root / "own.yaml", "--no-fetch", *more)


def rows(output, table):
    return [row for path in sorted((output / table).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_everything_that_is_promised_is_there(finished):
    output = finished / "out"
    names = {"pages", "page_images", "images", "annotations", "pairs", "generations", "triplets", "verified"}
    assert names | {"rejected", "dataset", "funnel.json", "run.json", "report.html"} <= set(os.listdir(output))
    assert rows(output, "verified")
    assert b"<script" in (output / "report.html").read_bytes()


def test_the_dataset_loads_and_no_image_crosses_a_split(finished):
    import datasets

    loaded = datasets.load_dataset(str(finished / "out" / "dataset"))
    assert sum(len(split) for split in loaded.values()) > 0
    shown = {}
    for name, split in loaded.items():
        for row in split:
            assert row["query_image"].size == (180, 140)
            assert row["hard_negatives"][0] == row["query_image_id"]
            for image_id in (row["query_image_id"], row["target_image_id"], *row["hard_negatives"]):
                assert shown.setdefault(image_id, name) == name


def test_the_sums_of_the_funnel_hold_and_rejections_are_rows(finished):
    output = finished / "out"
    stages = json.loads((output / "funnel.json").read_text())["stages"]
    assert {entry["stage"] for entry in stages} == set(
        "extract_pages annotate_images mine_pairs write_instructions verify_triplets publish_dataset".split()
    )
    for entry in stages:
        dropped = sum(entry["rejected"].values()) + sum(entry["failed"].values())
        assert entry["in"] == entry["kept"] + dropped + entry["deferred"], entry
        if entry["unit"] != "candidate_pair" and dropped:
            stored = [row for row in rows(output, f"rejected/{entry['stage']}") if row["unit"] == entry["unit"]]
            assert len(stored) == dropped, entry
    assert json.loads((output / "dataset" / "funnel.json").read_text())["stages"] == stages


def test_every_file_of_a_table_is_named_by_a_manifest(finished):
    output = finished / "out"
    named = set()
    for path in (output / "_work" / "manifests").rglob("*.json"):
        for files in json.loads(path.read_text())["files"].values():
            named |= {file[0] for file in files}
    for table in ("pages", "page_images", "images", "annotations", "pairs", "generations", "triplets", "verified"):
        assert {f"{table}/{path.name}" for path in (output / table).glob("*")} <= named


def test_a_second_run_does_no_work(finished):
    output = finished / "out"
    before = digests(output / "dataset")
    done = run(finished, output)
    assert done.returncode == 0, done.stderr
    assert set(json.loads((output / "run.json").read_text())["shards_worked"].values()) <= {0}
    assert digests(output / "dataset") == before


def test_two_processes_give_the_same_bytes(finished):
    done = run(finished, finished / "two", "--", "--direct_running_mode=multi_processing", "--direct_num_workers=2")
    assert done.returncode == 0, done.stderr
    assert digests(finished / "two" / "dataset") == digests(finished / "out" / "dataset")


def test_kills_at_any_moment_change_nothing(finished):
    output = finished / "killed"
    arguments = [sys.executable, "-c", "from lensmith.cli import main; main()", "run", "--no-fetch"]
    arguments += ["--input", str(finished / "input"), "--output", str(output), "--config", str(finished / "own.yaml")]
    for seconds in (4, 6, 8, 11):
        process = subprocess.Popen(
            arguments,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = run(finished, output)
    assert done.returncode == 0, done.stderr
    assert digests(output / "dataset") == digests(finished / "out" / "dataset")


def test_a_changed_filter_calls_no_model(finished, tmp_path):
    output = finished / "out"
    before = digests(output / "dataset")
    other = tmp_path / "other.yaml"
    other.write_text(CONFIG + "write_instructions: {filters: {min_words: 4}}\n")
    done = lensmith("run", "--input", finished / "input", "--output", output, "--config", other, "--no-fetch")
    assert done.returncode == 0, done.stderr
    worked = json.loads((output / "run.json").read_text())["shards_worked"]
    assert worked["write_instructions.answers"] == 0
    assert worked["write_instructions"] > 0
    assert worked["annotate_images"] == 0
    done = run(finished, output)
    assert digests(output / "dataset") == before


def test_other_inputs_need_extend_and_extending_moves_no_page(finished):
    output = finished / "extended"
    assert run(finished, output, "--until", "extract-pages").returncode == 0
    both = ["--input", finished / "input", "--input", finished / "more"]
    more = ["--output", output, "--config", finished / "own.yaml", "--no-fetch"]
    refused = lensmith("run", *both, *more)
    assert refused.returncode == 2
    assert "--extend" in refused.stderr
    before = {row["page_id"] for row in rows(output, "pages")}
    assert lensmith("run", *both, *more, "--extend").returncode == 0
    assert before < {row["page_id"] for row in rows(output, "pages")}


def test_stage_commands_go_one_by_one(finished):
    output = finished / "stages"
    options = ["--output", output, "--config", finished / "own.yaml", "--no-fetch"]
    too_early = lensmith("mine-pairs", *options)
    assert too_early.returncode == 2
    assert "run extract-pages" in too_early.stderr
    assert lensmith("extract-pages", "--input", finished / "input", *options).returncode == 0
    skipped = lensmith("mine-pairs", *options)
    assert skipped.returncode == 2
    assert "annotate-images" in skipped.stderr
    assert lensmith("fetch-images", *options, "--until", "publish-dataset").returncode == 0
    assert digests(output / "dataset") == digests(finished / "out" / "dataset")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--output", "{tmp}/o"], "no input"),
        (["run", "--input", "{tmp}/none/*.warc.gz", "--output", "{tmp}/o"], "names no archive"),
        (["run", "--input", "{tmp}/none.warc.gz", "--output", "{tmp}/o"], "does not exist"),
        (["run", "--input", "{input}", "--output", "{foreign}"], "is not empty"),
        (["run", "--input", "{input}", "--output", "{tmp}/o", "--until", "cooking"], "no stage"),
        (["run", "--input", "{input}", "--output", "{tmp}/o", "--retry", "all"], "'failed'"),
        (["run", "--input", "{input}", "--output", "{tmp}/o", "--preset", "moon"], "choose one of"),
        (["run", "--input", "{input}", "--output", "{tmp}/o", "--", "runner=Flink"], "no option"),
        (["status", "{tmp}"], "no output folder"),
        (["push", "{tmp}", "owner/name"], "no dataset"),
    ],
)
def test_wrong_usage_ends_at_once_with_a_sentence(finished, tmp_path, arguments, words):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    places = {"tmp": tmp_path, "input": finished / "input", "foreign": foreign}
    done = lensmith(*(one.format(**places) for one in arguments))
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert (foreign / "thesis.txt").read_text() == "mine"


def test_a_second_run_at_once_is_stopped(finished):
    output = finished / "at-once"
    output.joinpath("_work").mkdir(parents=True)
    import fcntl

    with (output / "_work" / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run(finished, output)
    assert done.returncode == 2
    assert "another run is at work" in done.stderr


def test_unreadable_input_fails_and_writes_a_funnel(tmp_path):
    (tmp_path / "bad.warc.gz").write_bytes(b"\x1f\x8b\x08 this is no archive at all")
    done = lensmith("run", "--input", tmp_path / "bad.warc.gz", "--output", tmp_path / "o", "--no-fetch")
    assert done.returncode == 1
    assert "no record" in done.stderr
    assert json.loads((tmp_path / "o" / "funnel.json").read_text())["stages"][0]["failed"]


def test_no_triplets_is_a_result(tmp_path, make_warc, answer):
    make_warc(tmp_path / "in" / "a.warc.gz", [answer("http://a.example/", b"<title>words only</title><p>none")])
    done = lensmith("run", "--input", tmp_path / "in", "--output", tmp_path / "o", "--no-fetch")
    assert done.returncode == 0, done.stderr
    assert "no triplets" in done.stderr
    assert pq.read_table(tmp_path / "o" / "dataset" / "ids" / "train-00000-of-00001.parquet").num_rows == 0


def test_status_report_and_doctor(finished):
    assert "publish_dataset" in lensmith("status", finished / "out").stdout
    assert "report.html" in lensmith("report", finished / "out").stdout
    assert "img2dataset" in lensmith("doctor").stdout
