"""Two processes over gloo train as one does, and speak and write once."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small_trainings import farthest, small_settings, weights_apart, write_colours
from together import CASES, run_cases

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": str(ROOT)}
TORCHRUN = (str(BIN / "torchrun"), "--standalone", "--nproc_per_node", "2")


def started(*command, **more):
    return subprocess.run(
        [str(one) for one in command], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=280, **more
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_colours(tmp_path_factory.mktemp("colours"), ("train", "validation"))


@pytest.fixture(scope="module")
def seen(dataset, tiny_clip, tmp_path_factory):
    """What one process sees, and what two see."""
    alone, together = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("together")
    done = started(*TORCHRUN, Path(__file__).with_name("together.py"), dataset, tiny_clip, together)
    assert done.returncode == 0, done.stderr[-3000:]
    return run_cases(dataset, tiny_clip, alone), pickle.loads((together / "seen.pickle").read_bytes())


@pytest.mark.parametrize("case", CASES)
def test_two_processes_with_half_the_batch_are_one_with_all_of_it(seen, case):
    one, two = seen[0][case], seen[1][case]
    assert two["loss"][0] == pytest.approx(one["loss"][0], abs=1e-5)
    first, other = one["gradients"][0], two["gradients"][0]
    # A parameter that no batch used has no gradient in one process, and one of zeros in two.
    unused = other.keys() - first.keys()
    assert all(not other[name].any() for name in unused)
    assert ("retriever.text_map.weight" in unused) == (case == "no texts")
    assert farthest(first, {name: other[name] for name in first}) < 1e-5
    assert weights_apart(one, two) < 1e-5


def test_cases_differ(seen):
    """Each setting moves the gradients: agreement is not that of things left out."""
    cases = {name: seen[1][name]["gradients"][0] for name in CASES}
    for one, other in (
        ("query negatives", "hard negatives"),
        ("hard negatives", "guarded"),
        ("hard negatives", "symmetric"),
        ("hard negatives", "added"),
    ):
        assert farthest(cases[one], cases[other]) > 1e-3, (one, other)


def command(dataset, clip, folder, **sections):
    """Arguments of `lensmith train`."""
    folder.mkdir(exist_ok=True)
    (folder / "own.yaml").write_text(yaml.safe_dump(small_settings(clip, **sections)))
    given = ["--dataset", dataset, "--output", folder / "model", "--config", folder / "own.yaml"]
    return ["-m", "lensmith", "train", *map(str, given)]


RUN = {"steps": 6, "batch": 16, "checkpoint_steps": 2, "evaluate_steps": 3, "log_steps": 2}
RUN |= {"report_to": ["tensorboard"]}


@pytest.mark.parametrize("launcher", [TORCHRUN, (str(BIN / "accelerate"), "launch", "--cpu", "--num_processes", "2")])
def test_the_command_trains_in_two_processes_and_speaks_once(dataset, tiny_clip, tmp_path, launcher):
    done = started(*launcher, *command(dataset, tiny_clip, tmp_path, model={"train_towers": "none"}, run=RUN))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Warning" not in done.stderr
    lines = done.stdout.splitlines()
    assert lines.count(f"{tmp_path / 'model'}: trained") == 1
    assert len([one for one in lines if "step 6 of 6" in one]) == 1
    assert len([one for one in lines if "step 6 scores" in one]) == 1
    names = {one.name for one in (tmp_path / "model").iterdir()} - {"image_tower", "text_tower"}
    assert names == {"README.md", "history.json", "logs", "model.json", "model.safetensors", "report.html"}
    assert len(list((tmp_path / "model" / "logs").rglob("events.*"))) == 1
    history = json.loads((tmp_path / "model" / "history.json").read_text())
    assert [one["step"] for one in history if "loss" in one] == [1, 2, 4, 6]


def test_what_stops_the_first_stops_all(dataset, tiny_clip, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis.txt").write_text("mine")
    done = started(*TORCHRUN, *command(dataset, tiny_clip, tmp_path, run=RUN))
    assert done.returncode != 0
    assert done.stderr.count("lensmith: ") >= 1
    assert "holds 'thesis.txt'" in done.stderr
