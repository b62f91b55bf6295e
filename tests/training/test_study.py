"""Studies with a tiny CLIP on drawn pictures, and the parts that choose their runs."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from drawn_pictures import colour_task, write_dataset

from schemas.errors import ConfigurationError, RunFailedError
from training.data.open_dataset import open_dataset
from training.study.chart import chart
from training.study.columns import column_runs
from training.study.counts import Counted, counted, cut, fraction_for
from training.study.options import StudyOptions
from training.study.result import RunResult, SeedScores, StudyResult
from training.study.runs import named_runs, over, share_name, share_runs, with_seed
from training.study.study import plan, study
from training.surroundings import Surroundings

MINERS = ("nearest", "near", "far")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """180 triplets on 60 pages of three; `mining` goes with the page, `verdict` is half null."""
    root = tmp_path_factory.mktemp("colours")
    images, rows = colour_task(np.random.default_rng(0))
    for number, row in enumerate(rows):
        page = number // 3
        row["page_id"] = f"page {page}"
        row["mining"] = MINERS[0] if page < 40 else MINERS[1] if page < 58 else MINERS[2]
        row["verdict"] = "pass" if number % 2 else None
        row["visual_similarity"] = number / 180
        row["instructions"] = [
            {"text": row["instruction"], "method": "span" if number % 3 else "copy", "length": "short"},
            {"text": f"it in {row['instruction'].split()[-1]} instead", "method": "copy", "length": "short"},
        ]
    write_dataset(root, images, rows)
    write_dataset(root, images, rows[:40], "validation")
    return root


@pytest.fixture(scope="module")
def settings(tiny_clip):
    model = {"image_tower": str(tiny_clip), "text_tower": None, "width": 48, "layers": 1, "heads": 4}
    return {"model": model, "run": {"steps": 3, "batch": 16, "threads": 1, "report_to": [], "log_steps": 3}}


def opened(dataset, tmp_path):
    return open_dataset(dataset, "train", tmp_path)


def names(runs):
    return [one.name for one in runs]


def test_shares_are_nested_and_named(dataset, settings, tmp_path):
    runs = share_runs(settings, [1.0, 0.125, 0.5, 0.3])
    assert names(runs) == ["1/8", "30%", "1/2", "all"]
    found = [counted(opened(dataset, tmp_path), one) for one in runs]
    assert [one.triplets for one in found] == [3 * one.pages for one in found]
    assert found[-1].triplets == 180
    for small, large in pairwise(found):
        assert set(small.shares) < set(large.shares)
    assert share_name(1 / 3) == "1/3"
    # A training that uses a part already is cut further.
    half = share_runs(over(settings, {"data": {"fraction": 0.5}}), [0.5])
    assert half[0].config.data.fraction == 0.25


def test_a_run_for_each_value_and_one_of_all(dataset, settings, tmp_path):
    data = opened(dataset, tmp_path)
    runs = column_runs(settings, data, "mining", 4)
    assert names(runs) == [*MINERS, "all"]
    assert [counted(data, one).triplets for one in runs] == [120, 54, 6, 180]
    runs = column_runs(settings, data, "verdict", 4)
    assert sorted(names(runs)) == ["(none)", "all", "pass"]
    assert [counted(data, one).triplets for one in runs] == [90, 90, 180]
    # Texts of one method: rows without any are left out.
    runs = column_runs(settings, data, "instructions.method", 4)
    assert {one.name: counted(data, one).triplets for one in runs} == {"copy": 180, "span": 120, "all": 180}
    assert runs[0].config.data.texts.only == {"method": ["copy"]}


def test_a_run_for_each_miner_and_what_is_left_without_it(tmp_path, settings):
    images, rows = colour_task(np.random.default_rng(0))
    for number, row in enumerate(rows):
        row["mining"] = ("near", "far+near", "far")[number % 3]
    write_dataset(tmp_path / "set", images, rows)
    data = opened(tmp_path / "set", tmp_path)
    runs = column_runs(settings, data, "mining", 4, leave_out=True)
    assert {one.name: counted(data, one).triplets for one in runs} == {
        "far": 120,
        "near": 120,
        "all but far": 120,
        "all but near": 120,
        "all": 180,
    }
    with pytest.raises(ConfigurationError, match="--leave-out goes with --by mining"):
        column_runs(settings, data, "verdict", 4, leave_out=True)
    with pytest.raises(ConfigurationError, match="--leave-out goes with --by mining"):
        StudyOptions(leave_out=True).check()


def test_windows_of_numbers_part_the_rows(dataset, settings, tmp_path):
    data = opened(dataset, tmp_path)
    runs = column_runs(settings, data, "visual_similarity", 4)
    assert len(runs) == 5
    found = [counted(data, one).triplets for one in runs]
    assert sum(found[:-1]) == found[-1] == 180
    assert max(found[:-1]) - min(found[:-1]) <= 1


def test_filters_of_the_training_hold_in_every_run(dataset, settings, tmp_path):
    data = opened(dataset, tmp_path)
    filtered = over(settings, {"data": {"where": {"mining": ["nearest", "near"]}}})
    runs = column_runs(filtered, data, "verdict", 4)
    assert [counted(data, one).triplets for one in runs] == [87, 87, 174]
    assert names(column_runs(filtered, data, "mining", 4)) == ["nearest", "near", "all"]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("colour", "'colour', which is no column"),
        ("hard_negatives", "the column holds list"),
        ("triplet_id", "has 180 values"),
        ("instructions.length", "fewer than two values"),
        ("instructions.tone", "texts have length, method, text"),
    ],
)
def test_a_column_that_makes_no_runs_is_said(dataset, settings, tmp_path, column, words):
    with pytest.raises(ConfigurationError, match="--by") as caught:
        column_runs(settings, opened(dataset, tmp_path), column, 4)
    assert words in str(caught.value)


def test_named_runs_change_any_setting(settings):
    changes = {
        "short": {"data": {"texts": {"only": {"length": ["short"]}}}},
        "sum": {"model": {"kind": "sum", "width": 16}},
        "slow": {"run": {"learning_rate": 1e-5}, "objectives": {"info_nce": {"symmetric": True}}},
    }
    short, added, slow = named_runs(settings, changes)
    assert short.config.run.batch == slow.config.run.batch == 16
    assert (slow.config.run.learning_rate, slow.config.objectives.info_nce.symmetric) == (1e-5, True)
    assert added.config.model.kind == "sum"
    assert with_seed(slow, 2).run.seed == 2
    with pytest.raises(ConfigurationError, match=r"the run 'a': unknown key 'run.tempo'"):
        named_runs(settings, {"a": {"run": {"tempo": 1}}})
    with pytest.raises(ConfigurationError, match="must hold a mapping"):
        named_runs(settings, {"a": 3})


def test_equal_size_is_met_to_a_page():
    data = Counted(np.array([0.1, 0.2, 0.4, 0.7]), np.array([3, 1, 5, 2]))
    for wanted, left in ((11, 11), (10, 9), (9, 9), (8, 4), (4, 4), (1, 3)):
        fraction = fraction_for(data, wanted)
        assert cut(data, fraction).triplets == left
    assert fraction_for(data, 11) == 1.0


def test_equal_runs_train_on_what_the_plan_says(dataset, settings, tmp_path):
    options = StudyOptions(by="mining", equal=True, controls=True)
    planned = plan(dataset, settings, options, tmp_path)
    # The smallest run that is trained has 54 triplets; pages of three divide them. The one of six is too small.
    assert [one.data.triplets for one in planned] == [54, 54, 6, 54, 180, 54, 54]
    assert [bool(one.why) for one in planned] == [False, False, True, False, False, False, False]
    for one in planned:
        if one.run.trained and not one.why:
            assert counted(opened(dataset, tmp_path), one.run).triplets == 54


def test_a_study_scores_every_run_and_goes_on(dataset, settings, tmp_path):
    said = []
    around = Surroundings(said.append)
    out = tmp_path / "study"
    options = StudyOptions(by="mining", seeds=2, controls=True)
    result = study(dataset, out, settings, options, around)
    told = json.loads((out / "study.json").read_text())
    assert names(result.runs) == [*MINERS, "all", "untrained", "text only", "image only"]
    assert [one.status for one in result.runs] == ["scored", "scored", "too few", *["scored"] * 4]
    by_name = {one["name"]: one for one in told["runs"]}
    assert "6 triplets are too few" in by_name["far"]["why"]
    values = [one["metrics"]["R@10"] for one in by_name["near"]["seeds"]]
    assert by_name["near"]["mean"]["R@10"] == pytest.approx(np.mean(values))
    assert by_name["near"]["deviation"]["R@10"] == pytest.approx(np.std(values, ddof=1))
    assert [one["seed"] for one in by_name["near"]["seeds"]] == [0, 1]
    # Other rows, halves and seeds give other models.
    scores = [tuple(seed["metrics"].values()) for one in told["runs"] for seed in one["seeds"]]
    assert len(set(scores)) > 8
    page, curve = (out / "report.html").read_text(), (out / "curve.svg").read_text()
    assert page.count("<svg") == 1
    assert all(f">{name}<" in curve for name in ("nearest", "near", "all", "text only"))
    assert "too few" in page
    # Features of one set of images were made once for all twelve trainings.
    work = [one.name for one in (out / "_work").iterdir()]
    assert len([one for one in work if one.startswith("image-features") and "." not in one]) == 2

    # A second call trains nothing; a seed more trains that one alone; other runs take what is there.
    said.clear()
    assert study(dataset, out, settings, options, around) == result
    assert all("trained already" in one or "too few" in one for one in said)
    said.clear()
    more = study(dataset, out, settings, StudyOptions(fractions=(0.5, 1.0), seeds=2), around)
    assert more.runs[1].seeds == result.runs[3].seeds
    assert [one for one in said if one.startswith("all")] == [
        "all, seed 0: trained already",
        "all, seed 1: trained already",
    ]
    assert any(one.startswith("1/2, seed 0: ") and "already" not in one for one in said)


def test_a_run_that_fails_leaves_the_others(dataset, settings, tmp_path):
    named = {"good": {}, "bad": {"objectives": {"info_nce": {"hard_negatives": 2}}, "data": {"where": {"mining": "x"}}}}
    options = StudyOptions(named=named, seeds=1, least=2)
    result = study(dataset, tmp_path / "s", settings, options, Surroundings(lambda _: None))
    assert [one.status for one in result.runs] == ["scored", "too few"]
    named["bad"] = {"run": {"learning_rate": 1e30, "max_gradient": 1e30, "steps": 8}}
    result = study(dataset, tmp_path / "s", settings, options, Surroundings(lambda _: None))
    assert [one.status for one in result.runs] == ["scored", "failed"]
    assert "lower run.learning_rate" in result.runs[1].why
    with pytest.raises(RunFailedError, match=r"lower run\.learning_rate"):
        study(
            dataset,
            tmp_path / "s",
            settings,
            replace(options, named={"bad": named["bad"]}),
            Surroundings(lambda _: None),
        )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (StudyOptions(metric="R@11"), "there are R@1, R@5"),
        (StudyOptions(split="moon"), "cannot score on the split 'moon'"),
        (StudyOptions(by="mining", fractions=(0.5,)), "--fractions and --by name different studies"),
        (StudyOptions(fractions=(1.5,)), "above 0 and at most 1"),
        (StudyOptions(equal=True), "--equal cuts runs to one size"),
        (StudyOptions(named={}), "names no run"),
        (StudyOptions(seeds=0), "--seeds is 0"),
        (StudyOptions(named={"untrained": {}}, controls=True), "two runs are called 'untrained'"),
        (StudyOptions(least=1000), "--least says how few"),
    ],
)
def test_wrong_options_have_a_sentence(dataset, settings, tmp_path, options, words):
    with pytest.raises((ConfigurationError, RunFailedError)) as caught:
        study(dataset, tmp_path / "s", settings, options, Surroundings(lambda _: None))
    assert words in str(caught.value)


def test_a_foreign_folder_is_left_alone(dataset, settings, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"thesis\.txt"):
        study(dataset, tmp_path, settings, StudyOptions(), Surroundings(lambda _: None))


def result_of(*runs):
    return StudyResult("d", "t", "validation", 10, 20, "R@10", False, {"run": {"steps": 3}}, runs)


def run_of(name, triplets, values, **more):
    seeds = [SeedScores(number, {"R@10": value}, "runs/x", 1.0) for number, value in enumerate(values)]
    return RunResult(name, triplets, triplets, "scored", seeds=seeds, **more)


def test_the_curve_rises_where_the_scores_do():
    low, high = run_of("1/2", 100, [10.0, 14.0], share=0.5), run_of("all", 200, [30.0, 34.0], share=1.0)
    drawn = ET.fromstring(chart(result_of(low, high, run_of("<b>", 0, [12.0], control=True))))
    (line,) = (one for one in drawn if one.tag.endswith("polyline"))
    (x1, y1), (x2, y2) = ([float(one) for one in place.split(",")] for place in line.get("points").split())
    assert x2 > x1
    assert y2 < y1
    dots = [one for one in drawn if one.tag.endswith("circle")]
    # A dot for each seed and one for each mean, which lies between its seeds'.
    assert len(dots) == 6
    heights = sorted(float(one.get("cy")) for one in dots if float(one.get("cx")) == pytest.approx(x1, abs=0.1))
    assert heights[0] < heights[1] < heights[2]
    assert heights[1] == pytest.approx(y1, abs=0.1)
    assert any(one.text == "<b> 12.0" for one in drawn if one.tag.endswith("text"))


def test_runs_that_are_no_shares_are_rows_in_their_order():
    drawn = ET.fromstring(chart(result_of(run_of("one", 5, [50.0]), run_of("two & more", 5, [50.0, 60.0]))))
    texts = [one.text for one in drawn if one.tag.endswith("text")]
    assert texts.index("one") < texts.index("two & more")
    assert {"50.00", "55.00"} <= set(texts)


def test_a_control_far_away_does_not_flatten_the_picture():
    low, high = run_of("1/2", 100, [70.0, 71.0], share=0.5), run_of("all", 200, [74.0, 75.0], share=1.0)
    far, near = run_of("text only", 200, [3.0], control=True), run_of("untrained", 0, [72.0], control=True)
    drawn = ET.fromstring(chart(result_of(low, high, far, near)))
    texts = [one.text for one in drawn if one.tag.endswith("text")]
    assert "text only 3.0 ↓" in texts
    assert "untrained 72.0" in texts
    (line,) = (one for one in drawn if one.tag.endswith("polyline"))
    heights = [float(place.split(",")[1]) for place in line.get("points").split()]
    assert heights[0] - heights[1] > 150
