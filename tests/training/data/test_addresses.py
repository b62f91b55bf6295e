"""Datasets at addresses: the rows and images of the same dataset on a disk."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from drawn_pictures import colour_task, write_dataset
from torch.utils.data import DataLoader, Dataset

from schemas.errors import ConfigurationError
from training.config import DataConfig
from training.data.open_dataset import open_dataset
from training.data.triplet_table import TripletTable


class Rows(Dataset):
    """Each row with the files of its images."""

    def __init__(self, table, images):
        self._table, self._images = table, images
        self._rows = list(table.all_rows())

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, number):
        row = self._rows[number]
        return row.row_id, row.texts, self._images.file(row.query), self._images.file(row.target)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    images, rows = colour_task(np.random.default_rng(0))
    return write_dataset(tmp_path_factory.mktemp("colours"), images, rows[:60], group=7)


@pytest.fixture(scope="module")
def bucket(dataset, s3_environment):
    """The dataset's address on an S3-compatible server on loopback, and a filesystem that leads to it."""
    import s3fs

    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_environment.items():
            patch.setenv(name, value)
        files = s3fs.S3FileSystem(skip_instance_cache=True)
        files.mkdir("sets")
        files.put(f"{dataset}/", "sets/colours/", recursive=True)
        yield "s3://sets/colours", files


def read(address, work, **settings):
    opened = open_dataset(address, "train", work)
    table = TripletTable(opened.files, DataConfig(**settings), opened.images.numbers)
    return opened, table, Rows(table, opened.images)


def test_rows_and_images_are_those_of_the_disk(dataset, bucket, tmp_path):
    settings = {"window": 25, "fraction": 0.8}
    _, here, near = read(dataset, tmp_path / "near", **settings)
    opened, there, far = read(bucket[0], tmp_path / "far", **settings)
    assert list(near) == list(far)
    assert here.counts() == there.counts()
    assert 20 < len(far) < 60
    again = pickle.loads(pickle.dumps(opened.images))
    assert again.file(5) == opened.images.file(5)
    assert (
        opened.images.describe(8) == "in row 1 of row group 1 of s3://sets/colours/images/train-00000-of-00001.parquet"
    )


def test_workers_read_it_too(bucket, tmp_path):
    """They are forks of a process that has read already, whose connections they cannot share."""
    _, _, rows = read(bucket[0], tmp_path)
    loader = DataLoader(rows, batch_size=None, num_workers=2, timeout=60, collate_fn=lambda one: one)
    assert list(loader) == [rows[number] for number in range(len(rows))]


def test_what_is_kept_of_it_is_found_again_until_it_changes(bucket, tmp_path):
    address, files = bucket
    opened, _, _ = read(address, tmp_path)
    made = sorted(one.name for one in tmp_path.iterdir())
    assert open_dataset(address, "train", tmp_path).digest == opened.digest
    assert sorted(one.name for one in tmp_path.iterdir()) == made
    name = "sets/colours/ids/train-00000-of-00001.parquet"
    before = files.cat_file(name)
    try:
        files.pipe_file(name, before + b"more")
        assert open_dataset(address, "train", tmp_path).digest != opened.digest
        with pytest.raises(ConfigurationError, match=r"cannot read s3://sets/colours/ids/train"):
            read(address, tmp_path)
    finally:
        files.pipe_file(name, before)


@pytest.mark.parametrize(
    ("address", "split", "says"),
    [
        ("s3://sets/nothing", "train", r"s3://sets/nothing is no dataset of Lensmith"),
        ("s3://sets/colours", "test", r"s3://sets/colours has no split 'test'"),
        ("s3://nowhere/colours", "train", r"s3://nowhere/colours"),
        ("nothing://sets", "train", r"cannot open nothing://sets"),
    ],
)
def test_addresses_that_lead_nowhere_have_a_sentence(bucket, tmp_path, address, split, says):
    with pytest.raises(ConfigurationError, match=says):
        open_dataset(address, split, tmp_path)
