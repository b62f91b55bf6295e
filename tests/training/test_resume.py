"""A training that is killed, at any moment, and resumed gives the weights of an undisturbed one, bit for bit."""

import json
import re
import shutil

import numpy as np
import pytest
import yaml
from command_server import Commands
from small_trainings import small_settings, write_colours

from training.checkpoints import checkpoints, is_complete, last_complete, mark, remove_old

STAGES = [
    {"name": "both towers", "run": {"evaluate_steps": 2, "patience": 2, "metric": "R@1", "learning_rate": 0.01}},
    {"name": "the rest", "run": {"accumulate": 2, "chunk": 30, "steps": 12}, "train": ["encoder", "image_map"]},
]
RUN = {"steps": 16, "batch": 24, "checkpoint_steps": 1, "log_steps": 1}


@pytest.fixture(scope="module")
def lensmith(tmp_path_factory):
    server = Commands(tmp_path_factory.mktemp("server"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def given(tmp_path_factory, tiny_clip):
    """A dataset, and settings with dropout, stages, early stopping and a cached loss."""
    root = write_colours(tmp_path_factory.mktemp("colours"), ("train", "validation"))
    settings = small_settings(tiny_clip, model={"dropout": 0.2}, run=RUN, stages=STAGES)
    (root / "own.yaml").write_text(yaml.safe_dump(settings))
    return root


def arguments(given, output):
    return ["train", "--dataset", given, "--output", output, "--config", given / "own.yaml"]


@pytest.fixture(scope="module")
def undisturbed(given, lensmith, tmp_path_factory):
    output = tmp_path_factory.mktemp("undisturbed") / "m"
    status, said = lensmith.run(*arguments(given, output))
    assert status == 0, said
    return output


def test_patience_ends_a_stage_and_the_best_step_is_kept(undisturbed):
    history = json.loads((undisturbed / "history.json").read_text())
    scored = [one for one in history if "eval_R@1" in one]
    values = [one["eval_R@1"] for one in scored]
    best = int(np.argmax(values))
    assert len(values) == best + 3
    assert scored[-1]["step"] < RUN["steps"]
    assert max(one["step"] for one in history if one["stage"] == "the rest") == 12


class Later:
    """True some seconds after the run has written its first checkpoint."""

    def __init__(self, output, seconds):
        self._output, self._seconds, self._since = output, seconds, None
        self._before = self._marks()

    def _marks(self):
        return {
            path: path.stat().st_mtime_ns for path in self._output.glob("_work/stages/*/checkpoint-*/complete.json")
        }

    def __call__(self, seconds):
        if self._since is None and self._marks().items() - self._before.items():
            self._since = seconds
        return self._since is not None and seconds - self._since > self._seconds


def test_kills_at_random_moments(given, lensmith, undisturbed, tmp_path):
    output, rng, went_on = tmp_path / "m", np.random.default_rng(0), []
    # The first before there is any checkpoint, the others from a moment to some steps after the next one.
    for number in range(6):
        until = Later(output, rng.uniform(0, 0.25)) if number else lambda seconds: seconds > 0.5
        status, said = lensmith.run(*arguments(given, output), "--resume", until=until)
        went_on += re.findall(r"(.*): goes on after step \d+", said)
        if status == 0:
            break
        assert status == -9, said
    else:
        status, said = lensmith.run(*arguments(given, output), "--resume")
        assert status == 0, said
    assert len(went_on) >= 3
    same_weights(undisturbed, output)


def test_kills_while_checkpoints_are_written(given, lensmith, undisturbed, tmp_path):
    """Each time a checkpoint's folder is there and its mark is not."""
    stage = tmp_path / "m" / "_work" / "stages" / "0"
    cut_off = 0
    for number in (2, 4, 5):
        folder = stage / f"checkpoint-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        status, said = lensmith.run(
            *arguments(given, tmp_path / "m"),
            "--resume",
            until=lambda _, folder=folder: folder.exists() and not (folder / "complete.json").exists(),
        )
        assert status == -9, said
        cut_off += folder.exists() and not is_complete(folder)
    assert cut_off >= 1
    assert last_complete(stage) in (stage / "checkpoint-4", stage / "checkpoint-5")
    status, said = lensmith.run(*arguments(given, tmp_path / "m"), "--resume")
    assert status == 0, said
    assert "both towers: goes on after step 4" in said or "both towers: goes on after step 5" in said
    same_weights(undisturbed, tmp_path / "m")


def same_weights(one, other):
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    assert sorted(path.name for path in other.iterdir()) == sorted(path.name for path in one.iterdir())


def test_a_finished_model_says_so_and_other_settings_are_refused(given, lensmith, undisturbed, tmp_path):
    output = tmp_path / "m"
    shutil.copytree(undisturbed, output)
    status, said = lensmith.run(*arguments(given, output), "--resume")
    assert (status, "is trained already" in said) == (0, True)
    other = tmp_path / "other"
    other.mkdir()
    settings = yaml.safe_load((given / "own.yaml").read_text())
    settings["run"]["seed"] = 5
    (other / "own.yaml").write_text(yaml.safe_dump(settings))
    command = ["train", "--dataset", given, "--output", output, "--config", other / "own.yaml"]
    status, said = lensmith.run(*command, "--resume")
    assert (status, "holds a model of other settings" in said) == (2, True)
    # A training that is begun anew over a finished model is what --resume goes on with.
    begun = output / "_work" / "stages" / "0" / "checkpoint-2" / "complete.json"
    status, said = lensmith.run(*command, until=lambda _: begun.exists())
    assert status == -9, said
    status, said = lensmith.run(*arguments(given, output), "--resume")
    assert (status, "holds checkpoints of another dataset or other settings" in said) == (2, True)
    status, said = lensmith.run(*command, "--resume")
    assert status == 0, said
    assert "goes on after step" in said
    assert (output / "model.safetensors").read_bytes() != (undisturbed / "model.safetensors").read_bytes()


def test_a_checkpoint_counts_when_all_of_it_is_there(tmp_path):
    for number in (8, 9, 10):
        folder = tmp_path / f"checkpoint-{number}"
        folder.mkdir()
        (folder / "learner.pt").write_bytes(b"weights")
        (folder / "optimizer.pt").write_bytes(b"moments")
        if number < 10:
            mark(folder)
    assert last_complete(tmp_path) == tmp_path / "checkpoint-9"
    mark(tmp_path / "checkpoint-10")
    assert last_complete(tmp_path) == tmp_path / "checkpoint-10"
    (tmp_path / "checkpoint-10" / "optimizer.pt").write_bytes(b"mom")
    assert last_complete(tmp_path) == tmp_path / "checkpoint-9"
    (tmp_path / "checkpoint-9" / "complete.json").write_text('{"learner.pt": 7')
    assert last_complete(tmp_path) == tmp_path / "checkpoint-8"
    mark(tmp_path / "checkpoint-10")
    (tmp_path / "checkpoint-7").mkdir()
    remove_old(tmp_path)
    assert [one.name for one in checkpoints(tmp_path)] == ["checkpoint-8", "checkpoint-10"]
