import re

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.published import IDS, PUBLISHED, SPLITS, TRIPLETS
from schemas.tables import TABLES, VERIFIED

#: Columns that the design promises to other readers.
PROMISED = {
    "pages": "page_id url title description language license opt_out crawl_date warc_file",
    "page_images": (
        "page_id position url alt title caption heading text_before text_after declared_width declared_height source "
        "group chosen"
    ),
    "images": "image_id url bytes mime source opt_out",
    "annotations": "image_id width height phash label label_score nsfw caption",
    "pairs": "pair_id page_id query_image_id target_image_id visual_similarity text_similarity mining",
    "rejected": "unit id url reason detail",
}
PUBLISHED_COLUMNS = (
    "triplet_id query_image target_image instruction instructions hard_negatives query_image_id target_image_id "
    "page_id page_url page_title query_image_url target_image_url query_text target_text visual_similarity "
    "text_similarity mining license opt_out crawl_date"
)


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_promised_columns_are_there(name):
    assert set(PROMISED[name].split()) <= set(TABLES[name].schema.names)


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_a_table_has_a_version_and_distinct_columns(table):
    assert table.version >= 1
    assert len(set(table.schema.names)) == len(table.schema.names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in table.schema.names)
    assert table.with_metadata().metadata[b"lensmith.table"].decode() == table.name
    assert table.doc


def test_no_two_tables_share_a_folder_but_for_work():
    folders = [table.folder for table in TABLES.values()]
    assert len(set(folders)) == len(folders)


def test_the_promised_columns_are_published():
    assert set(PUBLISHED_COLUMNS.split()) <= set(TRIPLETS.schema.names)
    assert set(TRIPLETS.schema.names) - set(IDS.schema.names) == {"query_image", "target_image"}


@pytest.mark.parametrize("configuration", PUBLISHED, ids=lambda one: one.name)
def test_published_schemas_are_what_datasets_makes_of_their_features(configuration):
    features = datasets.Features.from_arrow_schema(configuration.schema)
    assert set(features) == set(configuration.schema.names)
    assert features.arrow_schema.remove_metadata() == configuration.schema.remove_metadata()
    images = {name for name, feature in features.items() if isinstance(feature, datasets.Image)}
    assert images == set(configuration.image_columns)


@pytest.mark.parametrize("configuration", PUBLISHED, ids=lambda one: one.name)
def test_an_empty_file_of_a_configuration_reads_back_with_its_features(configuration, tmp_path):
    pq.write_table(configuration.schema.empty_table(), tmp_path / "train.parquet")
    read = datasets.Features.from_arrow_schema(pq.read_schema(tmp_path / "train.parquet"))
    assert read == datasets.Features.from_arrow_schema(configuration.schema)


def test_a_verified_triplet_has_every_column_that_is_published_of_it():
    made = {"query_image", "target_image", "page_url", "crawl_date"}
    shared = [name for name in IDS.schema.names if name not in made]
    assert set(shared) <= set(VERIFIED.schema.names)
    for name in shared:
        assert IDS.schema.field(name).type == VERIFIED.schema.field(name).type, name


def test_every_column_of_a_configuration_is_explained():
    for one in PUBLISHED:
        assert set(one.docs) == set(one.schema.names)
        assert all(one.docs.values())
    assert SPLITS == ("train", "validation", "test")
    assert pa.types.is_timestamp(TRIPLETS.schema.field("crawl_date").type)
