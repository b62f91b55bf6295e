"""What cannot be read is counted and told, and nothing else is lost with it."""

from __future__ import annotations

import json
import os

import pytest

from schemas.errors import ConfigurationError
from training.data.layouts import convert, find_layout
from training.data.layouts.json_records import LONGEST, json_records

GOOD = {"q_img": "a.png", "q_text": ["in red"], "t_img": "b.png", "hns": ["a.png", "c.png"]}


def test_each_kind_of_bad_record_is_counted_with_its_first_place(pictures, lines, read):
    pictures("a.png", "b.png", "c.png")
    path = lines(
        "train.jsonl",
        [
            '{"q_img": "a.png", "q_te',
            GOOD,
            "",
            "[" * 100_000,
            [1, 2],
            {name: value for name, value in GOOD.items() if name != "t_img"},
            GOOD | {"q_text": [" ", None]},
            GOOD | {"q_img": ""},
            GOOD | {"t_img": 7},
            GOOD | {"t_img": "a.png"},
            GOOD | {"q_text": ["half a pair \ud800"]},
            GOOD | {"t_img": "../../etc/passwd"},
            GOOD | {"t_img": "no/such.png"},
            GOOD | {"hns": ["no/such.png", "c.png"]},
        ],
    )
    said: list[str] = []
    rows, found = read(say=said.append)
    assert [row["hard_negatives"] for row in rows] == [["c.png"], ["c.png"]]
    assert {name: one.count for name, one in found.tally.rejected.items()} == {
        "broken_json": 2,
        "not_an_object": 1,
        "missing_field": 1,
        "no_text": 1,
        "no_query_image": 1,
        "wrong_type": 1,
        "same_image": 1,
        "broken_text": 1,
        "image_outside_folder": 1,
        "no_image_file": 1,
    }
    tally = found.tally
    assert tally.records == 13 == tally.triplets + sum(one.count for one in tally.rejected.values())
    assert f"megapairs, train: 2 of 13 records are left out, broken_json: the first is {path}:1 (broken_json)" in said
    assert (
        f"megapairs, train: 1 of 13 records are left out, missing_field: the first is {path}:6 (missing_field: t_img)"
        in said
    )
    assert "megapairs, train: 1 image files are not there, such as no/such.png" in said


def test_bytes_that_are_no_text_break_their_record_alone(pictures, lines, read):
    pictures("a.png", "b.png", "c.png")
    path = lines("train.jsonl", [GOOD, GOOD | {"q_text": ["caf?"]}])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"caf?", b"caf\xe9"))
    rows, found = read()
    assert len(rows) == 1
    assert {name: one.count for name, one in found.tally.rejected.items()} == {"broken_text": 1}


def test_a_line_without_end_is_one_broken_record(tmp_path):
    path = tmp_path / "long.jsonl"
    path.write_text('{"a": 1}\n{"b": "' + "x" * (3 * LONGEST) + '"}\n{"c": 2}')
    records = list(json_records(path))
    assert [(one.place, one.value, one.broken) for one in records] == [
        (":1", {"a": 1}, None),
        (":2", None, "broken_json"),
        (":3", {"c": 2}, None),
    ]


@pytest.mark.parametrize("end", ["\n]\n", ""])
@pytest.mark.parametrize("between", [",\n", ","])
def test_an_array_goes_on_behind_a_broken_element_and_ends_with_the_file(tmp_path, end, between):
    path = tmp_path / "array.json"
    elements = [json.dumps({"number": number, "text": "],{"}) for number in range(5)]
    elements[2] = '{"number": 2, "text: oh}'
    path.write_text("\n[" + between.join(elements) + end)
    records = list(json_records(path))
    assert [one.value["number"] for one in records if one.broken is None] == [0, 1, 3, 4]
    broken = [one.place for one in records if one.broken]
    assert broken[0] == (":4 (element 3)" if between == ",\n" else ":2 (element 3)")
    assert len(broken) == (1 if end else 2), "a file that ends within its array says so"


def test_an_array_larger_than_what_is_held(tmp_path):
    path = tmp_path / "array.json"
    padding = "y" * 50_000
    path.write_text(json.dumps([{"number": number, "padding": padding} for number in range(100)]))
    assert path.stat().st_size > 4 * LONGEST
    assert [one.value["number"] for one in json_records(path)] == list(range(100))


def test_a_file_of_which_nothing_can_be_read_stops_with_its_place(pictures, lines, read, tmp_path):
    pictures("a.png", "b.png", "c.png")
    lines("megapairs.jsonl", [GOOD])
    path = lines("megapairs_test.jsonl", ["PK\x03\x04", "no"])
    assert len(read()[0]) == 1
    with pytest.raises(ConfigurationError, match=f"no record can be read as megapairs.*{path}:1 .*broken_json"):
        read("test")
    assert not list((tmp_path / "work").glob("megapairs-test-*/conversion.json"))


def test_nothing_left_says_why(pictures, lines, read, tmp_path):
    pictures("elsewhere/a.png")
    lines("megapairs.jsonl", [GOOD, GOOD])
    with pytest.raises(ConfigurationError, match=r"2 of 2 records are left out, no_image_file.*data.images"):
        read()
    with pytest.raises(ConfigurationError, match=r"there is no folder .*data.images"):
        read(images=tmp_path / "nowhere")
    lines("megapairs.jsonl", [GOOD | {"q_text": []}])
    with pytest.raises(ConfigurationError, match="can be used, 1 of 1 records are left out, no_text"):
        read()
    lines("megapairs.jsonl", [])
    with pytest.raises(ConfigurationError, match="holds no records"):
        read()


def test_images_in_another_folder_and_absolute_paths(pictures, lines, read, tmp_path):
    pictures("elsewhere/a.png", "elsewhere/b.png", "elsewhere/c.png")
    images = tmp_path / "data" / "elsewhere"
    lines("megapairs.jsonl", [GOOD | {"t_img": str(images / "b.png")}])
    (row,), found = read(images=images)
    assert (row["query_image_id"], row["target_image_id"]) == ("a.png", "b.png")
    assert found.folder == images


def test_made_once_until_files_change_or_missing_images_come(pictures, lines, read):
    pictures("a.png", "b.png")
    path = lines("megapairs.jsonl", [GOOD, GOOD | {"t_img": "late.png"}])
    rows, found = read()
    before = found.ids.stat().st_mtime_ns
    again = read()[1]
    assert (again.ids.stat().st_mtime_ns, again.digest, again.tally) == (before, found.digest, found.tally)
    assert len(rows) == 1
    pictures("late.png")
    rows, late = read()
    assert len(rows) == 2
    assert late.digest != found.digest
    assert "no_image_file" not in late.tally.rejected
    lines("megapairs.jsonl", [GOOD])
    os.utime(path, ns=(1, 1))
    rows, changed = read()
    assert len(rows) == 1
    assert changed.digest != late.digest


def test_long_readings_say_how_far_they_are(pictures, lines, read, monkeypatch):
    monkeypatch.setattr(convert, "TOLD_AFTER", 2)
    pictures("a.png", "b.png", "c.png")
    lines("megapairs.jsonl", [GOOD] * 5)
    said: list[str] = []
    read(say=said.append)
    assert said[1:] == ["2 triplets are read", "4 triplets are read"]


def test_folders_that_no_layout_fits(tmp_path, lines):
    (tmp_path / "data").mkdir()
    with pytest.raises(ConfigurationError, match=r"megapairs .*q_img.*mtcir .*lasco .*mmeb .*qry_image_path"):
        find_layout(tmp_path / "data")
    lines("train.jsonl", [{"image": "a.png", "caption": "a thing"}])
    with pytest.raises(ConfigurationError, match="no dataset that training reads"):
        find_layout(tmp_path / "data")
    with pytest.raises(ConfigurationError, match="there is no folder"):
        find_layout(tmp_path / "nowhere")


def test_of_several_layouts_the_first_is_taken(tmp_path, lines, read, pictures):
    pictures("a.png", "b.png", "c.png")
    lines("one.jsonl", [GOOD])
    lines("two.jsonl", [{"id": "1", "image": "a.png", "target_image": "b.png", "modifications": ["x"]}])
    assert find_layout(tmp_path / "data").name == "megapairs"
    assert len(read()[0]) == 1
    with pytest.raises(ConfigurationError, match="no split 'validation': name one of its own: train"):
        read("validation")
