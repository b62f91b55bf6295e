"""What users will meet, each in a sentence that says the mend."""

import re
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from command_server import ROOT, Commands
from drawn_pictures import colour_task, write_dataset
from small_trainings import small_settings, write_colours

from schemas.errors import ConfigurationError, RunFailedError
from training.config import train_config
from training.run import train
from training.stages import check, stages_of
from training.surroundings import Surroundings

SILENT = Surroundings(lambda _: None)
RUN = {"steps": 4, "batch": 8}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_colours(tmp_path_factory.mktemp("colours"), ("train", "validation"))


@pytest.fixture(scope="module")
def lensmith(tmp_path_factory):
    server = Commands(tmp_path_factory.mktemp("server"))
    yield server
    server.close()


def refused(dataset, tmp_path, clip, **sections):
    """What a training says that is refused, before it has trained."""
    with pytest.raises(ConfigurationError) as caught:
        train(
            dataset,
            tmp_path / "m",
            train_config(small_settings(clip, run=RUN | sections.pop("run", {}), **sections)),
            SILENT,
        )
    assert not list((tmp_path / "m").rglob("checkpoint-*"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"run": {"patience": 2}}, "run.patience counts evaluations: set run.evaluate_steps too."),
        (
            {"run": {"evaluate_steps": 2, "metric": "recall"}},
            "run.metric 'recall' is none of the evaluator's: there are",
        ),
        ({"run": {"report_to": ["paper"]}}, "run.report_to names 'paper', which is no logger: there are azure_ml, "),
        ({"run": {"report_to": ["comet_ml"]}}, "install it with `uv pip install comet-ml`."),
        (
            {"stages": [{"name": "a"}, {"name": "b", "train": ["fuser."]}]},
            "begins with 'fuser.' (train of the stage 'b')",
        ),
        ({"stages": [{"name": "a"}, {"name": "b", "run": {"pace": 1}}]}, "stages.1.run: unknown key 'pace'"),
        ({"stages": [{"name": "a"}, {"name": "b", "run": {"steps": 0}}]}, "stages.1.run: steps in the training"),
        ({"stages": [{"name": "a"}, {"name": "b", "data": {"split": "dev"}}]}, "has no split 'dev'"),
        ({"stages": [{"name": "a", "train": ["image_tower."]}], "model": {"train_towers": "none"}}, "is frozen"),
    ],
)
def test_settings_that_do_not_fit(dataset, tiny_clip, tmp_path, sections, words):
    assert words in refused(dataset, tmp_path, tiny_clip, **sections)


def test_the_metrics_are_listed(dataset, tiny_clip, tmp_path):
    said = refused(dataset, tmp_path, tiny_clip, run={"evaluate_steps": 2, "metric": "recall"})
    for name in ("R@1", "R@10", "mAP@10"):
        assert name in said.split("there are")[1]


def test_a_batch_that_processes_cannot_share(tiny_clip):
    (stage,) = stages_of(train_config(small_settings(tiny_clip, run={"batch": 33})))
    check(stage, 1)
    check(stage, 3)
    with pytest.raises(
        ConfigurationError, match=r"run.batch is 33, which 2 processes cannot share evenly: .* 32 or 34"
    ):
        check(stage, 2)
    with pytest.raises(ConfigurationError, match=r"64 processes .* set it to 64 or 128"):
        check(stage, 64)


def test_data_that_does_not_fit(dataset, tiny_clip, tmp_path):
    images, rows = colour_task(np.random.default_rng(0))
    plain = write_dataset(tmp_path / "plain", images, rows[:20])
    hard = {"info_nce": {"hard_negatives": 2}}
    said = refused(plain, tmp_path / "a", tiny_clip, objectives=hard)
    assert "objectives.info_nce.hard_negatives is set, and no row of the dataset has hard negatives" in said
    # So it is where the stage that asks for them comes later.
    said = refused(plain, tmp_path / "b", tiny_clip, stages=[{"name": "a"}, {"name": "b", "objectives": hard}])
    assert "no row of the dataset has hard negatives" in said
    said = refused(plain, tmp_path / "c", tiny_clip, run={"evaluate_steps": 2})
    assert "run.evaluate_steps needs the split `validation`: " in said
    path = next((plain / "ids").iterdir())
    pq.write_table(pq.read_table(path).drop_columns(["instruction"]), path)
    said = refused(plain, tmp_path / "d", tiny_clip)
    assert "has no column instruction: training reads triplet_id, query_image_id" in said


def test_a_loss_that_is_no_number_stops_and_names_its_batch(dataset, tiny_clip, tmp_path):
    run = RUN | {"learning_rate": 1e30, "warmup": 0, "checkpoint_steps": 100}
    config = train_config(small_settings(tiny_clip, run=run))
    with pytest.raises(RunFailedError) as caught:
        train(dataset, tmp_path / "m", config, SILENT)
    said = str(caught.value)
    assert re.match(r"the (loss is|gradients are) nan in step [23] ", said)
    named = said.split("begins with the triplets ")[1].partition(")")[0].split(", ")
    known = set(pq.read_table(next((dataset / "ids").glob("train-*"))).column("triplet_id").to_pylist())
    assert len(named) == 3
    assert set(named) <= known
    assert "lower run.learning_rate" in said


def written(settings, folder):
    (folder / "own.yaml").write_text(yaml.safe_dump(settings))
    return ["--output", folder / "m", "--config", folder / "own.yaml"]


def test_memory_that_runs_out(lensmith, tiny_clip, tmp_path):
    """In so little memory a large batch does not fit; in chunks, as the sentence says, it does."""
    images, rows = colour_task(np.random.default_rng(0), copies=4)
    large = write_dataset(tmp_path / "large", images, rows)
    model = {"width": 256, "layers": 12, "train_towers": "none"}
    run = {"steps": 1, "batch": 720, "checkpoint_steps": 100}
    for chunk, expected in ((None, 1), (32, 0)):
        folder = tmp_path / str(chunk)
        folder.mkdir()
        command = written(small_settings(tiny_clip, model=model, run=run | {"chunk": chunk}), folder)
        status, said = lensmith.run("train", "--dataset", large, *command, memory=330 << 20)
        assert status == expected, said
        if status:
            assert said.splitlines()[-1].startswith("lensmith: memory ran out in a training step: set run.chunk")
            assert "lower run.batch" in said
            assert "Traceback" not in said


def test_a_backbone_that_is_not_there(lensmith, dataset, tmp_path):
    command = written({"model": {"image_tower": "nobody/no-model"}, "run": RUN}, tmp_path)
    status, said = lensmith.run("train", "--dataset", dataset, *command)
    assert status == 2
    assert "the backbone 'nobody/no-model': give the folder of a downloaded model" in said
    assert "Traceback" not in said


def test_packages_that_are_missing(lensmith, dataset, tiny_clip, tmp_path):
    command = ["train", "--dataset", dataset, *written(small_settings(tiny_clip, run=RUN), tmp_path)]
    status, said = lensmith.run(*command, without=("accelerate",))
    assert (status, said.strip().splitlines()[-1]) == (
        2,
        "lensmith: training needs the package 'accelerate': install it with `uv pip install 'lensmith[train]'`.",
    )
    program = "import sys; sys.modules['torch'] = None; from lensmith.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program, *map(str, command)], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, "training needs the package 'torch'" in done.stderr) == (2, True)
