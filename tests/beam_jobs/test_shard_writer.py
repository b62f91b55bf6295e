import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_jobs.shard_job import Shard, run_one
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import rows, rows_at
from beam_jobs.workspace import Workspace
from schemas.tables import TABLES


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path / "out"))


def text(number):
    return {"text_id": f"{number:04d}", "text": f"text {number}", "embedding": [0.5] * 3}


def write(workspace, key="a" * 32, count=3):
    writer = ShardWriter(workspace, "annotate_images.texts", key)
    for number in range(count):
        writer.row("texts", text(number))
    writer.entered("text", count)
    writer.kept("text", count)
    return writer


def parquet_files(workspace):
    return sorted(workspace.folder.list("_work/side/texts"))


def test_a_commit_names_files_counts_and_digests(workspace):
    manifest = write(workspace).commit()
    again = workspace.manifest("annotate_images.texts", "a" * 32)
    assert again.digest == manifest.digest
    assert [row["text"] for row in rows(workspace, again, "texts")] == ["text 0", "text 1", "text 2"]
    assert again.counts.units["text"].kept == 3


def test_equal_rows_have_equal_digests_whatever_the_attempt(workspace):
    first, second = write(workspace, "a" * 32).commit(), write(workspace, "b" * 32).commit()
    assert first.digest == second.digest
    assert first.files["texts"][0].path != second.files["texts"][0].path


def test_the_second_attempt_loses_and_removes_its_files(workspace):
    winner, loser = write(workspace), write(workspace)
    standing = winner.commit()
    assert loser.commit().to_json() == standing.to_json()
    assert [f"_work/side/texts/{name}" for name in parquet_files(workspace)] == [standing.files["texts"][0].path]


def test_an_exception_leaves_nothing_behind(workspace):
    class Job:
        stage = "annotate_images.texts"

        def __init__(self):
            self.workspace = workspace

        def run(self, shard, writer):
            writer.row("texts", text(1))
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        run_one(Job(), Shard("a" * 32))
    assert parquet_files(workspace) == []
    assert workspace.manifest("annotate_images.texts", "a" * 32) is None


def test_counts_that_do_not_add_up_are_a_fault(workspace):
    writer = write(workspace)
    writer.entered("text")
    with pytest.raises(AssertionError, match="sums"):
        writer.commit()
    assert parquet_files(workspace) == []


def test_unknown_columns_are_a_fault(workspace):
    with pytest.raises(ValueError, match="unknown columns"):
        ShardWriter(workspace, "x", "a" * 32).row("texts", {"colour": 1})


def test_rows_at_reads_single_rows(workspace):
    manifest = write(workspace, count=9000).commit()
    file = manifest.files["texts"][0]
    with pq.ParquetFile(workspace.folder.open(file.path)) as parquet:
        assert parquet.num_row_groups > 1
    found = dict(rows_at(workspace, file, [8999, 0, 4100], ["text"]))
    assert {number: row["text"] for number, row in found.items()} == {
        0: "text 0",
        4100: "text 4100",
        8999: "text 8999",
    }


def test_sampled_units_keep_a_sample_that_does_not_depend_on_order(workspace):
    def sample(order, key):
        writer = ShardWriter(workspace, "mine_pairs", key)
        for number in order:
            writer.entered("candidate_pair")
            writer.rejected("candidate_pair", "page_cap", id=f"{number}")
        manifest = writer.commit()
        return [row["id"] for row in rows(workspace, manifest, "rejected")]

    first = sample(range(500), "a" * 32)
    assert len(first) == 20
    assert first == sample(reversed(range(500)), "b" * 32)


def test_columns_follow_rows_and_rows_follow_columns(workspace):
    table = pa.Table.from_pylist([text(number) for number in range(3, 6)], TABLES["texts"].schema)
    writer = write(workspace)
    writer.columns("texts", table)
    writer.row("texts", text(6))
    manifest = writer.commit()
    assert [row["text"] for row in rows(workspace, manifest, "texts")] == [f"text {number}" for number in range(7)]
    assert manifest.files["texts"][0].rows == 7


def test_columns_of_another_table_are_refused(workspace):
    with pytest.raises(ValueError, match="names"):
        write(workspace).columns("texts", pa.table({"text": ["a"]}))
