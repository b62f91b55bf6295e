"""The whole job on a small site with the real models of the preset local."""

import json
import os

import pyarrow.parquet as pq
import pytest

from lensmith.settings import STAGES

pytestmark = pytest.mark.timeout(900)
TABLES = (
    "pages",
    "page_images",
    "images",
    "annotations",
    "pairs",
    "generations",
    "triplets",
    "verified",
    "captions",
)


def worked(output):
    return json.loads((output / "run.json").read_text())["shards_worked"]


def test_everything_that_is_promised_is_there(finished, rows):
    names = {*TABLES, "rejected", "dataset", "funnel.json", "run.json", "report.html", "_work"}
    # Nothing was fetched, and everything else was kept: there is no folder of rejections then.
    assert names - {"rejected"} <= set(os.listdir(finished)) <= names
    assert rows(finished, "verified")
    assert b"<script" in (finished / "report.html").read_bytes()


def test_the_dataset_loads_and_no_image_crosses_a_split(finished):
    import datasets

    loaded = datasets.load_dataset(str(finished / "dataset"))
    assert sum(len(split) for split in loaded.values()) > 0
    shown = {}
    for name, split in loaded.items():
        for row in split:
            assert row["query_image"].size == (180, 140)
            assert row["hard_negatives"][0] == row["query_image_id"]
            for image_id in (row["query_image_id"], row["target_image_id"], *row["hard_negatives"]):
                assert shown.setdefault(image_id, name) == name


def test_the_sums_of_the_funnel_hold_and_rejections_are_rows(finished, rows):
    stages = json.loads((finished / "funnel.json").read_text())["stages"]
    assert list(dict.fromkeys(entry["stage"] for entry in stages)) == list(STAGES)
    for entry in stages:
        dropped = sum(entry["rejected"].values()) + sum(entry["failed"].values())
        assert entry["in"] == entry["kept"] + dropped + entry["deferred"], entry
        if entry["unit"] != "candidate_pair" and dropped:
            stored = [row for row in rows(finished, f"rejected/{entry['stage']}") if row["unit"] == entry["unit"]]
            assert len(stored) == dropped, entry
    assert json.loads((finished / "dataset" / "funnel.json").read_text())["stages"] == stages


def test_every_file_of_a_table_is_named_by_a_manifest(finished):
    named = set()
    for path in (finished / "_work" / "manifests").rglob("*.json"):
        for files in json.loads(path.read_text())["files"].values():
            named |= {file[0] for file in files}
    for table in TABLES:
        assert {f"{table}/{path.name}" for path in (finished / table).glob("*")} <= named


def test_a_second_run_does_no_work(job, finished, digests):
    before = digests(finished / "dataset")
    done = job.run(finished)
    assert done.returncode == 0, done.stderr
    assert set(worked(finished).values()) <= {0}
    assert digests(finished / "dataset") == before


def test_the_inputs_need_not_be_named_again(job, finished, digests):
    before = digests(finished / "dataset")
    done = job.lensmith("run", "--output", finished, "--config", job.root / "own.yaml", "--no-fetch")
    assert done.returncode == 0, done.stderr
    assert set(worked(finished).values()) <= {0}
    assert digests(finished / "dataset") == before


def test_a_changed_filter_calls_no_model_and_redoes_only_what_it_touches(job, finished, digests, tmp_path):
    before = digests(finished / "dataset")
    other = tmp_path / "other.yaml"
    other.write_text((job.root / "own.yaml").read_text() + "write_instructions: {filters: {min_words: 4}}\n")
    done = job.run(finished, "--config", other)
    assert done.returncode == 0, done.stderr
    assert "write_instructions: inputs or settings changed" in done.stderr
    did = worked(finished)
    assert did["write_instructions"] > 0
    assert {
        did[name] for name in ("extract_pages", "annotate_images", "mine_pairs", "write_instructions.span_copy")
    } == {0}
    assert job.run(finished).returncode == 0
    assert digests(finished / "dataset") == before


def test_a_forced_stage_is_done_again_and_gives_the_same(job, finished, digests):
    before = digests(finished / "dataset")
    done = job.run(finished, "--force", "verify-triplets", "--force", "mine_pairs")
    assert done.returncode == 0, done.stderr
    did = worked(finished)
    assert did["mine_pairs"] > 0
    assert did["verify_triplets"] > 0
    assert {did[name] for name in ("annotate_images", "write_instructions", "publish_dataset")} == {0}
    assert digests(finished / "dataset") == before


def test_other_inputs_need_extend_and_extending_moves_no_page(job, digests, rows):
    output = job.root / "extended"
    assert job.run(output, "--until", "extract-pages").returncode == 0
    before = {row["page_id"] for row in rows(output, "pages")}
    refused = job.run(output, "--input", job.root / "more")
    assert refused.returncode == 2
    assert "--extend" in refused.stderr
    assert job.run(output, "--input", job.root / "more", "--extend").returncode == 0
    assert before < {row["page_id"] for row in rows(output, "pages")}


def test_stage_commands_go_one_by_one(job, finished, digests):
    output = job.root / "stages"
    options = ["--output", output, "--config", job.root / "own.yaml", "--no-fetch"]
    too_early = job.lensmith("mine-pairs", *options)
    assert too_early.returncode == 2
    assert "run extract-pages" in too_early.stderr
    assert not output.exists()
    assert job.lensmith("extract-pages", "--input", job.root / "input", *options).returncode == 0
    skipped = job.lensmith("mine-pairs", *options)
    assert skipped.returncode == 2
    assert "annotate-images" in skipped.stderr
    assert job.lensmith("fetch-images", *options, "--until", "publish_dataset").returncode == 0
    assert digests(output / "dataset") == digests(finished / "dataset")


def test_unreadable_input_fails_and_writes_a_funnel(job, tmp_path):
    (tmp_path / "bad.warc.gz").write_bytes(b"\x1f\x8b\x08 this is no archive at all")
    done = job.lensmith("run", "--input", tmp_path / "bad.warc.gz", "--output", tmp_path / "o", "--no-fetch")
    assert done.returncode == 1
    assert "no record" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "o" / "funnel.json").read_text())["stages"][0]["failed"]


def test_no_triplets_is_a_result(job, tmp_path, make_warc, answer):
    make_warc(tmp_path / "in" / "a.warc.gz", [answer("http://a.example/", b"<title>words only</title><p>none")])
    done = job.lensmith("run", "--input", tmp_path / "in", "--output", tmp_path / "o", "--no-fetch")
    assert done.returncode == 0, done.stderr
    assert "no triplets" in done.stderr
    assert pq.read_table(tmp_path / "o" / "dataset" / "ids" / "train-00000-of-00001.parquet").num_rows == 0
    stages = json.loads((tmp_path / "o" / "funnel.json").read_text())["stages"]
    assert {"stage": "publish_dataset", "unit": "triplet", "in": 0, "kept": 0}.items() <= stages[-1].items()


def test_status_and_report(job, finished):
    status = job.lensmith("status", finished).stdout
    assert status.splitlines()[-1] == "done"
    assert [line.split()[0] for line in status.splitlines()[1 : 1 + len(STAGES)]] == list(STAGES)
    assert "report.html" in job.lensmith("report", finished).stdout
