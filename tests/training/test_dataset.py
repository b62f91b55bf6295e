import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import ConfigurationError
from training.dataset import Triplet, read_images, read_triplets


def test_a_split_is_read_in_the_order_of_its_files(tmp_path):
    for folder in ("ids", "images"):
        (tmp_path / folder).mkdir()
    for number in (1, 0):
        row = {
            "triplet_id": [f"t{number}"],
            "query_image_id": ["q"],
            "target_image_id": ["t"],
            "instruction": ["in winter"],
            "hard_negatives": [["q", "n"] if number else None],
        }
        pq.write_table(pa.table(row), tmp_path / "ids" / f"train-0000{number}-of-00002.parquet")
        images = {"image_id": [f"i{number}"], "image": [{"bytes": b"file", "path": None}]}
        pq.write_table(pa.table(images), tmp_path / "images" / f"train-0000{number}-of-00002.parquet")
    assert read_triplets(tmp_path, "train") == [
        Triplet("t0", "q", "t", "in winter", ()),
        Triplet("t1", "q", "t", "in winter", ("q", "n")),
    ]
    assert list(read_images(tmp_path, "train")) == [("i0", b"file"), ("i1", b"file")]
    assert read_triplets(tmp_path, "test") == []
    assert list(read_images(tmp_path, "test")) == []


def test_another_folder_is_no_dataset(tmp_path):
    with pytest.raises(ConfigurationError, match="folder `dataset` of a run"):
        read_triplets(tmp_path, "train")
