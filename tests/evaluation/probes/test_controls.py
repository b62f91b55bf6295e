"""Controls beside a result, and when they are worth a warning."""

from __future__ import annotations

import pytest

from evaluation.probes import ControlRow, compare_controls, control_table


def verdicts(controls):
    return [(one.metric, one.verdict) for one in controls.warnings]


def test_a_subset_recall_that_the_text_explains():
    # Chance of Rsubset@1 is 20: the text reaches 40 of the 43 points above it.
    controls = compare_controls(
        {"R@1": 25.0, "Rsubset@1": 63.0}, {"R@1": 12.0, "Rsubset@1": 60.0}, {"R@1": 7.0, "Rsubset@1": 20.0}
    )
    assert verdicts(controls) == [("Rsubset@1", "explained_by_text")]
    assert "93% of what the full result (63.00) has above chance (20.00)" in controls.warnings[0].text
    assert controls.rows == (ControlRow("R@1", 25.0, 12.0, 7.0), ControlRow("Rsubset@1", 63.0, 60.0, 20.0))


@pytest.mark.parametrize(
    ("full", "text", "warned"),
    [(70.0, 60.0, True), (70.0, 59.9, False), (50.0, 55.0, True), (15.0, 19.0, False), (20.0, 20.0, False)],
)
def test_the_share_is_of_what_lies_above_chance(full, text, warned):
    controls = compare_controls({"Rsubset@1": full}, {"Rsubset@1": text}, None)
    assert any(one.verdict == "explained_by_text" for one in controls.warnings) is warned


def test_chance_grows_with_k_and_may_be_given():
    # 60 is chance for Rsubset@3: 62 of text alone is 2 points of 20.
    assert verdicts(compare_controls({"Rsubset@3": 80.0}, {"Rsubset@3": 62.0}, None)) == []
    assert verdicts(compare_controls({"Rsubset@3": 80.0}, {"Rsubset@3": 77.0}, None)) != []
    genecis = {"focus_attribute/R@1": 18.0}, {"focus_attribute/R@1": 17.0}
    assert verdicts(compare_controls(*genecis, None)) == []
    assert verdicts(compare_controls(*genecis, None, chance={"focus_attribute/R@1": 10.0})) == [
        ("focus_attribute/R@1", "explained_by_text")
    ]


def test_any_control_that_is_as_good_is_said():
    controls = compare_controls({"mAP": 10.0, "R@5": 0.0}, {"mAP": 10.0, "R@5": 0.0}, {"mAP": 11.0})
    assert verdicts(controls) == [("mAP", "text_alone_as_good"), ("mAP", "image_alone_as_good")]


def test_controls_that_were_not_run_say_nothing():
    controls = compare_controls({"mAP": 10.0, "Rsubset@1": 20.0}, None, None)
    assert controls.warnings == ()
    assert controls.rows[0] == ControlRow("mAP", 10.0, None, None)


def test_the_table():
    controls = compare_controls({"Rsubset@1": 63.0}, {"Rsubset@1": 60.0, "other": 1.0}, None)
    lines = control_table(controls).split("\n")
    assert lines[0].split() == ["metric", "full", "text", "image"]
    assert lines[1].split() == ["Rsubset@1", "63.00", "60.00", "-"]
    assert lines[2].startswith("warning: Rsubset@1 is explained")
    assert len(lines) == 3
