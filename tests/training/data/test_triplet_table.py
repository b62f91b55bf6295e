"""Rows of a split in windows: wherever files and row groups end, and whatever is missing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import ConfigurationError
from training.config import DataConfig
from training.data.triplet_table import TripletTable

NAMES = [f"image-{number}" for number in range(60)]


def numbers(names):
    known = {name: number for number, name in enumerate(NAMES)}
    return np.array([known.get(one, -1) for one in names], np.int64)


def row(number, **other):
    return {
        "triplet_id": f"t{number}",
        "query_image_id": NAMES[number],
        "target_image_id": NAMES[number + 1],
        "instruction": f"text {number}",
        "instructions": [
            {"text": f"long text {number}", "length": "medium", "score": 0.5},
            {"text": f"text {number}", "length": "short", "score": 0.9},
        ],
        "hard_negatives": [NAMES[number], NAMES[number + 2], "nowhere", NAMES[number + 1]],
        "page_id": f"page {number // 5}",
        "visual_similarity": number / 40,
        "query_text": None,
        "target_text": f"picture {number + 1}",
    } | other


def written(root, rows, cuts=(40,), group=7):
    """Files with so many rows each, in row groups of `group`."""
    paths, start = [], 0
    for number, count in enumerate(cuts):
        path = root / f"train-{number}.parquet"
        pq.write_table(pa.Table.from_pylist(rows[start : start + count]), path, row_group_size=group)
        paths.append(path)
        start += count
    return paths


def table(root, rows=None, cuts=(40,), group=7, **settings):
    rows = rows or [row(number) for number in range(40)]
    return TripletTable(written(root, rows, cuts, group), DataConfig(**settings), numbers)


def test_rows_and_windows_do_not_depend_on_how_files_are_cut(tmp_path):
    found = []
    for number, (cuts, group) in enumerate((((40,), 7), ((13, 27), 100), ((1, 1, 38), 3))):
        (folder := tmp_path / str(number)).mkdir()
        one = table(folder, cuts=cuts, group=group, window=12)
        found.append(
            [[each.row_id for each in one.make_rows(w, range(len(w.table)))] for w in map(one.window, range(4))]
        )
        assert [int(one.page_counts(w).sum()) for w in range(4)] == [10] * 4
    assert found[0] == found[1] == found[2]
    assert [name for window in found[0] for name in window] == [f"t{number}" for number in range(40)]


def test_a_row_holds_what_the_files_say(tmp_path):
    first = next(table(tmp_path).all_rows())
    assert (first.row_id, first.query, first.target) == ("t0", 0, 1)
    assert first.texts == ("text 0", "long text 0"), "the best first"
    assert first.negatives == (2,), "neither query nor target nor what is not there"
    assert (first.query_text, first.target_text) == ("", "picture 1")


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ({"visual_similarity": {"min": 0.5}}, range(20, 40)),
        ({"visual_similarity": {"min": 0.25, "max": 0.5}}, range(10, 21)),
        ({"triplet_id": ["t3", "t7", "nobody"]}, [3, 7]),
        ({"page_id": "page 1"}, range(5, 10)),
        ({"page_id": "page 1", "visual_similarity": {"max": 0.15}}, [5, 6]),
    ],
)
def test_where(tmp_path, where, kept):
    one = table(tmp_path, where=where, window=15)
    assert [each.row_id for each in one.all_rows()] == [f"t{number}" for number in kept]
    assert one.counts().filtered == 40 - len(list(kept))
    assert one.counts().kept == len(list(kept))


def test_names_that_are_joined(tmp_path):
    rows = [row(number, mining=("near", "far+near", None)[number % 3]) for number in range(12)]

    def kept(wanted):
        return [int(one.row_id[1:]) for one in table(tmp_path, rows, (12,), where={"mining": wanted}).all_rows()]

    assert kept({"names": ["far"]}) == [1, 4, 7, 10]
    assert kept({"names": ["near"]}) == [0, 1, 3, 4, 6, 7, 9, 10]
    assert kept({"without": ["near"]}) == [1, 4, 7, 10]
    for wrong in ({"names": "near"}, {"names": ["near"], "min": 1}):
        with pytest.raises(ConfigurationError, match=r"data\.where\.mining"):
            kept(wrong)


def test_a_share_of_the_pages_by_their_names(tmp_path):
    rows = [row(number % 40, page_id=f"page {number}", triplet_id=f"t{number}") for number in range(2000)]
    taken = {
        share: {each.row_id for each in table(tmp_path, rows, (2000,), 500, fraction=share).all_rows()}
        for share in (0.25, 0.5)
    }
    assert 400 < len(taken[0.25]) < 600
    assert 900 < len(taken[0.5]) < 1100
    assert taken[0.25] < taken[0.5], "more data hold the less"
    whole = [each.row_id for each in table(tmp_path, fraction=0.5).all_rows()]
    assert all(
        whole.count(f"t{5 * page + more}") == whole.count(f"t{5 * page}") for page in range(8) for more in range(5)
    )


def test_rows_without_a_page_have_pages_of_their_own(tmp_path):
    (bare_folder := tmp_path / "bare").mkdir()
    one = table(tmp_path, [row(number, page_id=None) for number in range(40)], window=20)
    assert one.page_counts(0).tolist() == [1] * 20
    bare = [{name: value for name, value in row(number).items() if name != "page_id"} for number in range(40)]
    other = table(bare_folder, bare, window=40)
    assert other.page_counts(0).tolist() == [1] * 40
    assert [each.page for each in other.all_rows()] == [each.page for each in one.all_rows()]


def test_texts_that_settings_take(tmp_path):
    short = table(tmp_path, texts={"only": {"length": ["short"]}})
    assert next(short.all_rows()).texts == ("text 0",)
    medium = table(tmp_path, texts={"only": {"length": ["medium"]}})
    assert next(medium.all_rows()).texts == ("long text 0",)
    nothing = table(tmp_path, texts={"only": {"length": ["fine"]}})
    assert not list(nothing.all_rows())
    assert nothing.counts().no_text == 40


def test_rows_without_images_or_texts_are_counted_and_nothing_else_is_lost(tmp_path):
    rows = [row(number) for number in range(40)]
    rows[4] |= {"query_image_id": "lost"}
    rows[9] |= {"target_image_id": None}
    rows[11] |= {"instruction": ""}
    rows[12] |= {"instruction": None}
    one = table(tmp_path, rows, window=15)
    assert [each.row_id for each in one.all_rows()] == [f"t{n}" for n in range(40) if n not in (4, 9, 11, 12)]
    found = one.counts()
    assert (found.rows, found.kept, found.no_image, found.no_text, found.missing) == (40, 36, 2, 2, "lost")
    one.check_images()


def test_images_that_are_nearly_all_missing_stop_a_training(tmp_path):
    rows = [row(number, query_image_id=f"lost-{number}") for number in range(30)] + [
        row(number) for number in range(30, 40)
    ]
    with pytest.raises(ConfigurationError, match=r"30 of 40 triplets .* such as lost-0: .*data\.images"):
        table(tmp_path, rows).check_images()


def test_a_file_without_an_optional_column_beside_one_with_it(tmp_path):
    rows = [row(number) for number in range(40)]
    paths = written(tmp_path, rows, (20, 20))
    bare = pq.read_table(paths[1]).drop_columns(["hard_negatives", "page_id"])
    pq.write_table(bare, paths[1])
    found = list(TripletTable(paths, DataConfig(), numbers).all_rows())
    assert [one.negatives for one in found] == [(number + 2,) for number in range(20)] + [()] * 20


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"where": {"nothing": 1}}, "data.where names 'nothing'"),
        ({"where": {"visual_similarity": {"at_least": 1}}}, "a window has min and max"),
        ({"where": {"visual_similarity": ["high"]}}, "cannot be compared with the column"),
        ({"where": {"visual_similarity": {"min": "high"}}}, "cannot be compared with the column"),
        ({"where": {"page_id": {"min": 3}}}, "cannot be compared with the column"),
        ({"texts": {"only": {"colour": ["red"]}}}, "data.texts.only names 'colour'"),
    ],
)
def test_settings_that_do_not_fit_have_a_sentence(tmp_path, settings, says):
    with pytest.raises(ConfigurationError, match=says):
        table(tmp_path, **settings).counts()


def test_files_that_are_no_triplets_have_a_sentence(tmp_path):
    pq.write_table(pa.table({"triplet_id": ["a"]}), path := tmp_path / "train.parquet")
    with pytest.raises(ConfigurationError, match="has no column query_image_id, target_image_id, instruction"):
        TripletTable([path], DataConfig(), numbers)
    (broken := tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ConfigurationError, match=r"cannot read .*broken\.parquet"):
        TripletTable([broken], DataConfig(), numbers)
    with pytest.raises(ConfigurationError, match=r"instructions of .* must be a list of objects with a text"):
        table(tmp_path, [row(0, instructions=["a text"])])
    with pytest.raises(ConfigurationError, match="no split 'dev'"):
        TripletTable([], DataConfig(split="dev"), numbers)
