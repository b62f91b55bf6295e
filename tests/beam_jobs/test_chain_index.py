import json

from beam_jobs.chain_index import StoredStep
from beam_jobs.chain_plan import Stores
from beam_jobs.workspace import Workspace
from synthesis.config import WriteConfig


def test_the_answer_that_a_manifest_has_settled_is_told_before_those_of_parts(tmp_path):
    places = [["/out", f"_work/generation_parts/job/shard/{number}.parquet"] for number in range(3)]
    values = [json.dumps([*one, False]).encode() for one in [*places, ["/out", "generations/a.parquet"]]]
    ((owner, told),) = StoredStep(Workspace(str(tmp_path))).resolve("id", ["000001"], sorted(values))
    assert owner == "000001"
    assert json.loads(told) == [["/out", "generations/a.parquet"], *places[:2]]


def test_however_often_an_answer_is_stored_what_followed_upon_it_is_found(tmp_path):
    tables = [["/out", f"generations/{number}.parquet", False] for number in range(9)]
    follow_up = ["/out", "_work/generation_parts/batch/a.parquet"]
    values = sorted(json.dumps(one).encode() for one in [*tables, [*follow_up, True], [*tables[0][:2], True]])
    ((_, told),) = StoredStep(Workspace(str(tmp_path))).resolve("id", ["000001"], values)
    assert json.loads(told) == [*(one[:2] for one in tables[:3]), follow_up]


def test_a_store_of_its_own_name_within_the_output_folder_is_read_as_well(tmp_path):
    output = tmp_path / "out"
    names = ("_work/generation_parts/job/shard/a.parquet", "mine/job/shard/b.parquet")
    for name in names:
        (output / name).parent.mkdir(parents=True)
        (output / name).touch()
    own = Stores.of(WriteConfig(generations=(str(output / "mine"),)), str(output))
    assert own.files(str(output)) == [(str(output), names[0]), (str(output / "mine"), "job/shard/b.parquet")]
    assert Stores.of(WriteConfig(), str(output)).files(str(output)) == [(str(output), names[0])]
