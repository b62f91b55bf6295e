"""A round of `hard_rounds` from end to end: a small site, a small model trained on its dataset, and its mistakes."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from beam_jobs.corpus.rounds import stored_rounds
from beam_jobs.workspace import Workspace

from .called import lensmith

pytestmark = pytest.mark.timeout(1800)
SMALL = """
model: {width: 24, layers: 1, heads: 3}
run: {steps: STEPS, batch: 4, threads: 1, report_to: [], seed: 5}
"""
QUOTA = 5
#: Pictures of the site are alike: every window is open, so that the order of the model alone decides.
OPEN = f"""
run: {{host_buckets: 2}}
annotate_images: {{safety_model: null}}
write_instructions: {{chain: [templates]}}
mine_pairs:
  miners: [co_occurrence, hard_rounds]
  quotas: {{hard_rounds: {QUOTA}}}
  hard_rounds: {{similarity_min: -1.0, similarity_max: 1.0}}
  hard_negatives: {{similarity_max: 1.0, site_pool: 0}}
  co_occurrence: {{pairs_per_page: 4, pairs_per_query: 1}}
publish_dataset: {{split_unit: page, shares: {{train: 0.7, validation: 0.0, test: 0.3}}}}
"""


def trained(root, output, name, steps):
    settings = root / f"{name}.yaml"
    settings.write_text(SMALL.replace("STEPS", str(steps)))
    code, said = lensmith("train", "--dataset", output / "dataset", "--output", root / name, "--config", settings)
    assert code == 0, said
    return root / name


@pytest.fixture(scope="module")
def guided(job, tmp_path_factory):
    """The folder of a run before its first round (`before`), after it (`out`), and the model (`model`)."""
    root = tmp_path_factory.mktemp("guided")
    (root / "own.yaml").write_text(OPEN)
    done = run(job, root, root / "out", "--input", job.root / "input")
    assert done.returncode == 0, done.stderr
    shutil.copytree(root / "out", root / "before")
    trained(root, root / "out", "model", 2)
    done = run(job, root, root / "out", "--guided-by", root / "model", "--extend")
    assert done.returncode == 0, done.stderr
    assert "hard_rounds: round 1, a fusion model answers the train split" in done.stderr
    return root


def run(job, root, output, *more):
    return job.lensmith("run", "--output", output, "--config", root / "own.yaml", "--no-fetch", *more)


def table(output, name):
    found = []
    for path in sorted((output / name).glob("*.parquet")):
        found += pq.read_table(path).to_pylist()
    return found


def test_wrong_answers_become_negatives_of_the_pairs_that_were_answered(guided):
    mistakes = table(guided / "out", "_work/side/mistakes")
    pairs = {(row["query_image_id"], row["target_image_id"]): row for row in table(guided / "out", "pairs")}
    earlier = {(row["query_image_id"], row["target_image_id"]): row for row in table(guided / "before", "pairs")}
    assert mistakes
    changed = 0
    for row in mistakes:
        ends = row["query_image_id"], row["target_image_id"]
        now = pairs[ends]["hard_negatives"]
        assert now[0] == row["query_image_id"]
        assert now[1 : 1 + len(row["negatives"])] == row["negatives"]
        assert len(now) <= 6
        changed += now != earlier[ends]["hard_negatives"]
    assert changed
    # Of other pages too, and published where they are in the split.
    published = {(row["query_image_id"], row["target_image_id"]): row for row in table(guided / "out", "dataset/ids")}
    kept = [one for row in mistakes for one in row["negatives"]]
    shown = {
        one for row in mistakes for one in published[row["query_image_id"], row["target_image_id"]]["hard_negatives"]
    }
    assert set(kept) <= shown
    assert table(guided / "out", "_work/side/negative_images")


def test_every_answer_of_the_model_is_an_image_of_the_train_split(guided):
    images = {
        row["image_id"]
        for row in pq.read_table(
            guided / "before" / "dataset" / "images" / "train-00000-of-00001.parquet", columns=["image_id"]
        ).to_pylist()
    }
    rankings = table(guided / "out", "_work/side/rankings")
    ids = pq.read_table(guided / "before" / "dataset" / "ids" / "train-00000-of-00001.parquet").to_pylist()
    asked = {(row["query_image_id"], row["target_image_id"], row["text"]) for row in rankings}
    assert asked == {(row["query_image_id"], row["target_image_id"], row["instruction"]) for row in ids}
    for row in rankings:
        assert set(row["answers"]) <= images - {row["query_image_id"]}
        assert row["scores"] == sorted(row["scores"], reverse=True)
        if row["target_image_id"] in row["answers"]:
            score = row["scores"][row["answers"].index(row["target_image_id"])]
            assert score == pytest.approx(row["target_score"], abs=1e-6)


def test_pairs_near_mistakes_name_the_model_and_stay_below_their_quota(guided):
    (one,) = stored_rounds(Workspace(str(guided / "out")))
    new = [row for row in table(guided / "out", "pairs") if row["mining"] == "hard_rounds"]
    assert 0 < len(new) <= QUOTA
    for row in new:
        assert row["mining_details"].startswith(f"hard_rounds: round 1, model {one.model[:12]}: ")
        assert row["hard_negatives"][0] == row["query_image_id"]
    everything = [(row["query_image_id"], row["target_image_id"]) for row in table(guided / "out", "pairs")]
    assert len(set(everything)) == len(everything)
    rejected = table(guided / "out", "rejected/mine_pairs")
    assert any(row["reason"] == "quota" for row in rejected)


def test_the_round_stands_in_run_json_and_the_card(guided):
    (one,) = stored_rounds(Workspace(str(guided / "out")))
    about = json.loads((guided / "out" / "run.json").read_text())
    assert [entry["model"] for entry in about["guided_by"]] == [one.model]
    card = (guided / "out" / "dataset" / "README.md").read_text()
    assert f"| answers whose mistakes were mined, round 1 | a fusion retriever | {one.model} |" in card
    assert str(guided) not in card
    assert "--guided-by MODEL_OF_ROUND_1 --extend" in card


def test_the_same_model_gives_the_same_bytes_wherever_it_lies(job, guided, digests, tmp_path):
    before = digests(guided / "out" / "dataset")
    again = run(job, guided, guided / "out", "--guided-by", guided / "model", "--extend")
    assert again.returncode == 0, again.stderr
    assert set(json.loads((guided / "out" / "run.json").read_text())["shards_worked"].values()) <= {0}
    assert digests(guided / "out" / "dataset") == before
    # Without the model too, and from the beginning with a copy of it.
    plain = run(job, guided, guided / "out")
    assert plain.returncode == 0, plain.stderr
    assert digests(guided / "out" / "dataset") == before
    shutil.copytree(guided / "model", tmp_path / "copy")
    shutil.copytree(guided / "before", tmp_path / "out")
    other = run(job, guided, tmp_path / "out", "--guided-by", tmp_path / "copy", "--extend")
    assert other.returncode == 0, other.stderr
    assert digests(tmp_path / "out" / "dataset") == before


def test_another_model_is_another_round_and_the_pairs_of_the_first_stay(job, guided, tmp_path):
    shutil.copytree(guided / "out", tmp_path / "out")
    (tmp_path / "own.yaml").write_text(OPEN.replace(f"quotas: {{hard_rounds: {QUOTA}}}", "quotas: {}"))
    done = run(job, tmp_path, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    first = {row["pair_id"] for row in table(tmp_path / "out", "pairs")}
    second = trained(tmp_path, tmp_path / "out", "second", 3)
    done = run(job, tmp_path, tmp_path / "out", "--guided-by", second, "--extend")
    assert done.returncode == 0, done.stderr
    rounds = stored_rounds(Workspace(str(tmp_path / "out")))
    assert [one.number for one in rounds] == [1, 2]
    assert rounds[0].model != rounds[1].model
    assert first <= {row["pair_id"] for row in table(tmp_path / "out", "pairs")}
    # A setting leaves rounds out, and gives them back.
    (tmp_path / "own.yaml").write_text(OPEN.replace("similarity_min: -1.0,", "similarity_min: -1.0, rounds: 0,"))
    done = run(job, tmp_path, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert not [row for row in table(tmp_path / "out", "pairs") if row["mining"] == "hard_rounds"]


def test_what_cannot_guide_is_said_in_a_sentence(job, guided, tmp_path):
    def said(output, *more):
        code, words = lensmith("run", "--output", output, "--config", guided / "own.yaml", "--no-fetch", *more)
        assert code == 2, words
        return words

    (tmp_path / "empty").mkdir()
    assert "holds no model of Lensmith" in said(guided / "out", "--guided-by", tmp_path / "empty", "--extend")
    assert "add --extend" in said(guided / "out", "--guided-by", guided / "model")
    arguments = ("--guided-by", guided / "model", "--extend", "--input", job.root / "input")
    assert "has published no dataset yet" in said(tmp_path / "new", *arguments)
    # A folder whose weights are gone.
    shutil.copytree(guided / "model", tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").unlink()
    assert "holds no model of Lensmith" in said(guided / "out", "--guided-by", tmp_path / "broken", "--extend")
