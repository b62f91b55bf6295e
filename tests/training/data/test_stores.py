"""Images, strings and features by number: looked up in files, made once, carried into workers."""

from __future__ import annotations

import multiprocessing
import pickle
import time
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import ConfigurationError
from training.data import hash_index
from training.data.feature_store import make_features
from training.data.hash_index import HashIndex
from training.data.image_store import FolderImages, ParquetImages, picture
from training.data.made_once import made_once
from training.data.string_table import StringTable, write_strings
from training.towers.interface import TowerShape

NAMES = [f"image-{number}" for number in range(200)]


def parquet_images(root, cuts=(120, 80), group=13):
    paths, start = [], 0
    for number, count in enumerate(cuts):
        names = NAMES[start : start + count]
        table = pa.table(
            {"image_id": names, "image": [{"bytes": f"file of {one}".encode(), "path": one} for one in names]}
        )
        pq.write_table(table, path := root / f"train-{number}.parquet", row_group_size=group)
        paths.append(path)
        start += count
    return paths


def test_images_over_files_and_row_groups(tmp_path):
    images = ParquetImages(parquet_images(tmp_path), tmp_path / "index")
    asked = [*NAMES[::-1], "nobody"]
    found = images.numbers(asked)
    assert found.tolist() == [*range(199, -1, -1), -1]
    assert [images.file(one) for one in found[:-1]] == [f"file of {one}".encode() for one in NAMES[::-1]]
    assert images.describe(121) == f"in row 1 of row group 0 of {tmp_path}/train-1.parquet"
    assert list(images.ids()) == NAMES


def test_images_in_a_copy_of_the_store(tmp_path):
    """What a loader worker gets: small, and as good as the store."""
    images = ParquetImages(parquet_images(tmp_path), tmp_path / "index")
    images.file(0)
    data = pickle.dumps(images)
    assert len(data) < 4000
    again = pickle.loads(data)
    assert again.file(150) == b"file of image-150"
    assert again.numbers(["image-7"]).tolist() == [7]


def test_images_that_are_none(tmp_path):
    pq.write_table(pa.table({"image_id": ["a"]}), path := tmp_path / "train.parquet")
    with pytest.raises(ConfigurationError, match="has no column image"):
        ParquetImages([path], tmp_path / "index")
    pq.write_table(pa.table({"image_id": ["a", "a"], "image": [{"bytes": b"1", "path": "a"}] * 2}), path)
    with pytest.raises(ConfigurationError, match="two images of the dataset have one id"):
        ParquetImages([path], tmp_path / "twice")
    empty = pa.array([{"bytes": None, "path": "a"}], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    pq.write_table(pa.table({"image_id": ["a"], "image": empty}), path)
    with pytest.raises(ConfigurationError, match=r"row 0 of row group 0 .* has no bytes"):
        ParquetImages([path], tmp_path / "bare").file(0)
    with pytest.raises(ConfigurationError, match="the image of somebody cannot be decoded"):
        picture(b"no picture", "of somebody")


def test_images_in_a_folder(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"one")
    (strings := tmp_path / "names").mkdir()
    write_strings(strings, ["a/1.png", "a/2.png", "a/1.png"])
    for names in (["a/1.png", "a/2.png"], StringTable(strings)):
        images = pickle.loads(pickle.dumps(FolderImages(tmp_path, names)))
        one, two, nobody = images.numbers(["a/1.png", "a/2.png", "b"]).tolist()
        assert (len(images), images.file(one), nobody) == (2, b"one", -1)
        with pytest.raises(ConfigurationError, match=r"cannot read the image .*a/2\.png"):
            images.file(two)


def test_an_index_of_more_names_than_are_sorted_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(hash_index, "_HELD", 64)
    names = [f"name {number}" for number in range(3000)]
    HashIndex.write(tmp_path, iter(names))
    index = HashIndex(tmp_path)
    assert len(index) == 3000
    assert index.numbers([*names[::-1], "other"]).tolist() == [*range(2999, -1, -1), -1]
    (none := tmp_path / "none").mkdir()
    HashIndex.write(none, iter(()))
    assert HashIndex(none).numbers(["a"]).tolist() == [-1]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), max_size=60))
def test_strings_by_number_and_numbers_by_string(tmp_path_factory, strings):
    digests = []
    for order in (strings, strings[::-1]):
        folder = tmp_path_factory.mktemp("strings")
        digests.append(write_strings(folder, iter(order)))
        table = pickle.loads(pickle.dumps(StringTable(folder)))
        numbers = table.numbers(strings)
        assert [table[int(one)] for one in numbers] == strings
        assert sorted(set(numbers.tolist())) == list(range(len(table))) == list(range(len(set(strings))))
        assert table[:3] == [table[one] for one in range(min(3, len(table)))]
        unknown = next(text for number in range(100) if (text := f"unknown {number}") not in strings)
        assert table.numbers([unknown]).tolist() == [-1]
    assert digests[0] == digests[1], "equal strings give equal tables, in whatever order"


def test_strings_that_are_kept_are_asked_for_once(tmp_path):
    asked = []
    write_strings(tmp_path, ["a", "b", "a", "c", "b"], lambda one: not asked.append(one) and one != "b")
    assert sorted(asked) == ["a", "b", "c"]
    assert sorted(StringTable(tmp_path)) == ["a", "c"]


def test_strings_are_not_held(tmp_path):
    """A set of 80,000 texts takes about 15 MB; their table is written with a small part of that."""
    tracemalloc.start()
    try:
        write_strings(tmp_path, (f"text {number} of no great length" for number in range(80_000)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(StringTable(tmp_path)) == 80_000
    assert peak < 4_000_000


def features(numbers):
    return {"pooled": torch.tensor([[float(one), 1.0] for one in numbers]).reshape(-1, 2)}


def test_features_are_made_once(tmp_path):
    told = []
    made = make_features(tmp_path / "f", 70, TowerShape(2), features, lambda done, all: told.append((done, all)))
    assert told == [(32, 70), (64, 70), (70, 70)]
    assert made.of([69, 3])["pooled"].tolist() == [[69, 1], [3, 1]]

    def never(numbers):
        raise AssertionError("made again")

    again = make_features(tmp_path / "f", 70, TowerShape(2), never, lambda *_: None)
    assert pickle.loads(pickle.dumps(again)).pooled([5]).tolist() == [[5, 1]]
    assert len(pickle.dumps(again)) < 1000


def test_features_of_nothing(tmp_path):
    assert len(make_features(tmp_path / "f", 0, TowerShape(2), features, lambda *_: None)) == 0


def test_a_stopped_making_begins_again(tmp_path):
    def stops(numbers):
        if numbers.start:
            raise KeyboardInterrupt
        return {"pooled": torch.full((len(numbers), 2), 9.0)}

    with pytest.raises(KeyboardInterrupt):
        make_features(tmp_path / "f", 70, TowerShape(2), stops, lambda *_: None)
    assert not (tmp_path / "f").exists()
    made = make_features(tmp_path / "f", 70, TowerShape(2), features, lambda *_: None)
    assert made.pooled(range(70))[:, 0].tolist() == list(range(70))


@pytest.mark.parametrize("left", [False, True], ids=["padded right", "padded left"])
def test_tokens_keep_their_lengths_wherever_they_are_padded(tmp_path, left):
    lengths = [3, 1, 5, 2]

    def tokens(numbers):
        own = [lengths[one] for one in numbers]
        mask = torch.arange(max(own))[None] < torch.tensor(own)[:, None]
        seen = torch.arange(max(own))[None].repeat(len(own), 1).float()
        if left:
            mask, seen = mask.flip(1), (seen - (max(own) - torch.tensor(own))[:, None]).float()
        shown = seen[..., None].repeat(1, 1, 3) * mask[..., None]
        return {"pooled": torch.zeros(len(own), 2), "tokens": shown, "mask": mask}

    made = make_features(tmp_path / "f", 4, TowerShape(2, 3, 6), tokens, lambda *_: None)
    found = made.of([1, 0])
    assert found["mask"].tolist() == [[True, False, False], [True, True, True]]
    assert found["tokens"][1, :, 0].tolist() == [0, 1, 2]
    assert made.of([2])["tokens"].shape == (1, 5, 3)


def test_tokens_too_large_for_their_files_stay_numbers(tmp_path):
    def large(numbers):
        return {"pooled": torch.zeros(1, 2), "tokens": torch.tensor([[[1e6, -1e6]]])}

    made = make_features(tmp_path / "f", 1, TowerShape(2, 2, 1), large, lambda *_: None)
    assert torch.isfinite(made.of([0])["tokens"]).all()


def _make_slowly(folder: Path, log: Path) -> None:
    def of(numbers):
        with log.open("a") as sink:
            sink.write("made\n")
        time.sleep(0.2)
        return features(numbers)

    store = make_features(folder, 40, TowerShape(2), of, lambda *_: None)
    assert store.pooled([39]).tolist() == [[39, 1]]


def test_of_several_processes_one_makes_and_the_others_wait(tmp_path):
    context = multiprocessing.get_context("fork")
    some = [context.Process(target=_make_slowly, args=(tmp_path / "f", tmp_path / "log")) for _ in range(3)]
    for one in some:
        one.start()
    for one in some:
        one.join(60)
    assert [one.exitcode for one in some] == [0, 0, 0]
    assert (tmp_path / "log").read_text() == "made\n" * 2, "each of the two parts once"


def _killed_within(folder: Path) -> None:
    with made_once(folder) as empty:
        assert empty is not None
        (empty / "half").write_text("half")
        multiprocessing.current_process().kill()


def test_what_a_kill_left_half_made_stops_nobody(tmp_path):
    killed = multiprocessing.get_context("fork").Process(target=_killed_within, args=(tmp_path / "f",))
    killed.start()
    killed.join(60)
    with made_once(tmp_path / "f") as empty:
        assert empty is not None
        assert list(empty.iterdir()) == []
        (empty / "whole").write_text("whole")
    assert [one.name for one in (tmp_path / "f").iterdir()] == ["whole"]


def test_a_disk_that_takes_nothing_has_a_sentence(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigurationError, match="cannot keep what training makes in"):
        make_features(tmp_path / "file" / "f", 1, TowerShape(2), features, lambda *_: None)
