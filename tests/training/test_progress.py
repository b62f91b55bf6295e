"""What a training says, draws and logs, and its curve of rates."""

import io
import json
import time

import pytest
from rich.console import Console
from small_trainings import small_settings, write_colours

from training.arguments import rate_factor
from training.config import RunConfig, train_config
from training.progress import Meter, clock, line
from training.run import train
from training.surroundings import Surroundings


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_colours(tmp_path_factory.mktemp("colours"), ("train", "validation"))


RUN = {"steps": 6, "batch": 8, "log_steps": 2, "evaluate_steps": 3, "accumulate": 2, "report_to": ["tensorboard"]}
TWO = {"info_nce": {}, "uncertainty": {"weight": 0.5}}


@pytest.fixture(scope="module")
def model(dataset, tiny_clip, tmp_path_factory):
    """The folder of a model trained with two objectives, and the lines that were said."""
    output, said = tmp_path_factory.mktemp("model") / "m", []
    settings = small_settings(tiny_clip, run=RUN, objectives=TWO)
    train(dataset, output, train_config(settings), Surroundings(said.append))
    return output, said


def test_a_line_every_few_steps(model):
    said = [one for one in model[1] if "loss" in one]
    assert [one.split(",")[0] for one in said] == [f"training: step {step} of 6" for step in (1, 2, 4, 6)]
    for one in said:
        for word in ("(info_nce ", "uncertainty ", ", rate ", " samples/s, waits ", "% for data, 0:0", " left"):
            assert word in one
    scored = [one for one in model[1] if "scores" in one]
    assert scored[0].startswith("training: step 3 scores R@10 ")
    assert scored[0].endswith("; the best so far")
    assert len(scored) == 2


def test_scalars_land_in_tensorboard(model):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (folder,) = (model[0] / "logs").iterdir()
    assert folder.name == "1-training"
    events = EventAccumulator(str(folder)).Reload()
    history = json.loads((model[0] / "history.json").read_text())
    for name, key in (
        ("train/loss", "loss"),
        ("train/loss_info_nce", "loss_info_nce"),
        ("train/loss_uncertainty", "loss_uncertainty"),
        ("train/data_wait", "data_wait"),
        ("train/samples_per_second", "samples_per_second"),
        ("train/learning_rate", "learning_rate"),
        ("eval/R@10", "eval_R@10"),
    ):
        logged = [(one.step, one.value) for one in events.Scalars(name)]
        assert logged == [(one["step"], pytest.approx(one[key], rel=1e-5)) for one in history if key in one], name


def test_the_parts_add_up_to_the_loss(model):
    steps = [one for one in json.loads((model[0] / "history.json").read_text()) if "loss" in one]
    assert len(steps) == 4
    for one in steps:
        assert one["loss"] == pytest.approx(one["loss_info_nce"] + 0.5 * one["loss_uncertainty"], abs=1e-4)
        assert one["loss_info_nce"] != pytest.approx(one["loss_uncertainty"], abs=1e-3)
        assert 0 <= one["data_wait"] <= 1


def test_nothing_else_is_printed(dataset, tiny_clip, tmp_path, capfd):
    said = []
    settings = small_settings(tiny_clip, run=RUN | {"report_to": []})
    train(dataset, tmp_path / "m", train_config(settings), Surroundings(said.append))
    assert said
    assert capfd.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(dataset, tiny_clip, tmp_path):
    drawn, said = io.StringIO(), []
    console = Console(file=drawn, force_terminal=True, width=160, height=20)
    settings = small_settings(tiny_clip, run=RUN | {"report_to": []})
    train(dataset, tmp_path / "m", train_config(settings), Surroundings(said.append, console=console))
    assert "step 6 of 6, loss" in drawn.getvalue()
    assert "━" in drawn.getvalue()
    assert not [one for one in said if "loss" in one]
    assert len([one for one in said if "scores" in one]) == 2


def test_the_first_step_of_a_warm_up_moves_and_the_peak_is_reached():
    run = RunConfig(steps=10, warmup=0.4)
    factors = [rate_factor(step, run) for step in range(10)]
    assert factors[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    # Half a cosine over the six steps after the rise: its middle, then nearly down.
    assert factors[7] == pytest.approx(0.5)
    assert factors[4:] == sorted(factors[4:], reverse=True)
    assert 0 < factors[9] < 0.1
    assert [rate_factor(step, RunConfig(steps=2, warmup=0)) for step in range(2)] == [1.0, pytest.approx(0.5)]


def test_a_meter_counts_neither_scoring_nor_what_was_before():
    meter = Meter()
    meter.count(100)
    meter.read()
    meter.count(10)
    with meter.waiting():
        time.sleep(0.05)
    with meter.aside():
        time.sleep(0.2)
    time.sleep(0.05)
    found = meter.read()
    assert 10 / 0.2 < found["samples_per_second"] <= 10 / 0.1
    assert 0.25 < found["data_wait"] < 0.75
    assert meter.read()["samples_per_second"] == 0


def test_words():
    logs = {"loss": 2.31, "learning_rate": 3e-4, "samples_per_second": 412.4, "data_wait": 0.021}
    assert line(logs, 20, 300, 65.2) == (
        "step 20 of 300, loss 2.310, rate 0.0003, 412 samples/s, waits 2% for data, 1:05 left"
    )
    parts = logs | {"loss_info_nce": 2.0, "loss_memory": 0.31}
    assert "loss 2.310 (info_nce 2.000, memory 0.310), rate" in line(parts, 20, 300, 1)
    assert (clock(5), clock(7209)) == ("0:05", "2:00:09")
