"""The page of a training."""

import json
from html.parser import HTMLParser

import pytest
from small_trainings import small_settings, write_colours

from training.config import train_config
from training.report.curves import Curve, chart, round_values
from training.report.page import render, settings
from training.run import train
from training.surroundings import Surroundings

VOID = {"meta", "link", "br", "img", "line", "polyline", "circle", "path", "hr"}


class Page(HTMLParser):
    """Tags that are closed in order, texts, and attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.words = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(" ".join(data.split()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_clip):
    """A model trained in two stages, the first of them scored."""
    root = write_colours(tmp_path_factory.mktemp("colours"), ("train", "validation"))
    scored = {"steps": 6, "evaluate_steps": 2, "metric": "R@5"}
    stages = [
        {"name": "wide <b>", "run": scored},
        {"name": "narrow", "objectives": {"info_nce": {}, "uncertainty": {}}},
    ]
    run = {"steps": 4, "batch": 8, "log_steps": 1}
    train(
        root,
        root / "m",
        train_config(small_settings(tiny_clip, run=run, stages=stages)),
        Surroundings(lambda _: None),
    )
    return root / "m"


def test_the_page_stands_alone_and_shows_what_was_logged(folder):
    text = (folder / "report.html").read_text()
    page = Page(text)
    assert "script" not in {tag for tag, _ in page.seen}
    assert not [one for _, one in page.seen if any(name in one for name in ("src", "href"))]
    assert "Stage 1:" in page.words
    assert "wide <b>" in page.words
    history = json.loads((folder / "history.json").read_text())
    scored = [one for one in history if "eval_R@5" in one]
    assert len(scored) == 3
    best = max(scored, key=lambda one: one["eval_R@5"])
    assert f"{best['eval_R@5']:.2f}" in page.words
    assert f"R@5 of step {best['step']}, which was kept" in page.words
    for fact in ("180", "triplets", "36", "images"):
        assert fact in page.words
    labels = [one["aria-label"] for tag, one in page.seen if tag == "svg" and "aria-label" in one]
    losses = [one["loss"] for one in history if "loss" in one and one["stage"] == "narrow"]
    assert f"loss in sum from {losses[0]:.4g} to {losses[-1]:.4g}" in labels[-4]
    assert "; info_nce from" in labels[-4]
    assert "; uncertainty from" in labels[-4]
    assert labels[0].startswith("Loss: loss from")
    assert labels[1].startswith("Scores: R@5 from")


def test_settings_that_differ_are_told(tiny_clip):
    config = train_config(small_settings(tiny_clip, run={"steps": 7}))
    told = {name: (value, own) for name, value, own in settings(config)}
    assert told["run.steps"] == ("7", True)
    assert told["model.text_tower"] == ("none", True)
    assert told["run.max_gradient"] == ("1.0", False)


def test_a_training_without_a_line_has_a_page(folder):
    from training.models.make import from_pretrained, read_description

    config = train_config(read_description(folder)["training"])
    text = render([], config, from_pretrained(folder), {})
    assert "nothing was logged" in text
    Page(text)


def places(picture):
    return [
        [tuple(map(float, pair.split(","))) for pair in one["points"].split()]
        for tag, one in Page(str(picture)).seen
        if tag == "polyline"
    ]


def test_curves_lie_where_their_values_are():
    up, down = Curve("up", ((0, 0), (50, 5), (100, 10))), Curve("down & out", ((0, 10), (100, 0)))
    picture = chart([up, down], "Two", marked=50)
    (first, middle, last), (high, low) = places(picture)
    assert middle == pytest.approx(((first[0] + last[0]) / 2, (first[1] + last[1]) / 2), abs=0.1)
    assert first[0] < last[0]
    # The page counts downwards.
    assert first[1] > last[1]
    assert (high[1], low[1]) == (last[1], first[1])
    assert "down &amp; out" in str(picture)
    dotted = [one for tag, one in Page(str(picture)).seen if tag == "line" and one["x1"] == one["x2"]]
    assert float(dotted[0]["x1"]) == pytest.approx(middle[0], abs=0.1)


def test_curves_that_have_little_to_show():
    assert "nothing was logged" in chart([Curve("none", ())], "None")
    assert "nothing was logged" in chart([Curve("nan", ((1, float("nan")),))], "None")
    one = Page(str(chart([Curve("one", ((3, 2.0),))], "One")))
    assert [tag for tag, _ in one.seen if tag == "circle"] == ["circle"]
    flat = places(chart([Curve("flat", ((1, -4.0), (2, -4.0)))], "Flat"))
    assert flat[0][0][1] == flat[0][1][1]


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 300, [0, 100, 200, 300]),
        (0.1, 0.34, [0.1, 0.15, 0.2, 0.25, 0.3]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
    ],
)
def test_round_values(low, high, values):
    assert round_values(low, high) == pytest.approx(values)
