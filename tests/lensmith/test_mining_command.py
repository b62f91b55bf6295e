"""Mining over the corpus from the command line: wrong settings, going back to the plain miner, archives added later."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from .called import lensmith

pytestmark = pytest.mark.timeout(900)
MINERS = """
mine_pairs:
  miners: [co_occurrence, neighbours, mid_rank]
  co_occurrence: {visual_min: -1, text_min: -1}
  neighbours: {k: 5, image: {min_quantile: 0.1}, pattern: null, text: {min_quantile: 0.1}}
  mid_rank: {first_rank: 2, last_rank: 6}
  hard_negatives: {site_pool: 0}
  caps: {target: 9}
  search: {images_per_part: 6}
"""
#: The same, where the search is approximate.
APPROXIMATE = MINERS.replace("images_per_part: 6", "images_per_part: 6, exact_up_to: 3, sample: 100, measured: 10")


@pytest.fixture
def mine(job, finished, tmp_path):
    """`mine(yaml)`: exit status and what is said of mining with these settings where the plain ones were before."""
    output = tmp_path / "out"
    shutil.copytree(finished, output)

    def run(settings, *more):
        (tmp_path / "own.yaml").write_text((job.root / "own.yaml").read_text() + settings)
        options = ("--output", output, "--config", tmp_path / "own.yaml", "--no-fetch")
        return lensmith(*(more or ("mine-pairs",)), *options)

    run.output = output
    return run


def pairs(output):
    found = [row for path in (output / "pairs").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    return sorted(found, key=lambda row: (row["query_image_id"], row["target_image_id"]))


def worked(output):
    return json.loads((output / "run.json").read_text())["shards_worked"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("miners: [telepathy]", "mine_pairs.miners"),
        ("quotas: {mid_rank: 5}", "quotas names 'mid_rank', which is none of miners"),
        ("miners: [mid_rank]", "50 nearest neighbours are asked for in the view image, and the corpus has 16 images"),
        ("{miners: [neighbours], neighbours: {k: 5, image: {max: -0.9}}}", "mine_pairs.neighbours.image keeps nothing"),
        (
            "{miners: [neighbours], neighbours: {k: 5, caption: {min: 0.5}}}",
            "mine_pairs.neighbours.caption reads captions, and nothing writes any: set annotate_images.caption_model",
        ),
        (
            "{miners: [groups_of_six], groups_of_six: {k: 3}, quotas: {groups_of_six: 4}}",
            "the quota of groups_of_six is 4 pairs, and it finds none",
        ),
    ],
)
def test_wrong_settings_end_with_a_sentence(mine, settings, said):
    status, told = mine(f"mine_pairs: {settings if settings[0] == '{' else '{' + settings + '}'}\n")
    assert status == 2
    assert said in told
    assert told.strip().endswith((".", ")."))
    assert "Traceback" not in told
    assert (mine.output / "funnel.json").exists()


def test_the_sums_of_the_funnel_hold_and_a_second_run_does_nothing(mine):
    assert mine(MINERS)[0] == 0
    found = pairs(mine.output)
    assert {name for row in found for name in row["mining"].split("+")} == {"co_occurrence", "neighbours", "mid_rank"}
    assert len({(row["query_image_id"], row["target_image_id"]) for row in found}) == len(found)
    entries = json.loads((mine.output / "funnel.json").read_text())["stages"]
    mined = {one["unit"]: one for one in entries if one["stage"] == "mine_pairs"}
    for one in mined.values():
        assert one["in"] == one["kept"] + sum(one["rejected"].values()) + sum(one["failed"].values()) + one["deferred"]
    assert mined["pair"]["kept"] == len(found) == mined["page"]["out"]["pair"]
    assert mine(MINERS)[0] == 0
    assert set(worked(mine.output).values()) <= {0}


def test_going_back_to_the_plain_miner_leaves_nothing_of_the_others(mine, finished, digests):
    assert mine(APPROXIMATE)[0] == 0
    search = mine.output / "_work" / "search"
    stored = sorted(path.name for path in search.rglob("*.faiss"))
    assert [name.split("-")[0] for name in stored] == ["part", "part", "trained", "trained"]
    plain = files(finished)
    assert mine("", "run")[0] == 0
    assert digests(mine.output / "dataset") == digests(finished / "dataset")
    assert list(search.rglob("*.faiss")) == []
    assert files(mine.output) <= plain


def files(output):
    """Jobs with manifests or results, index steps, and how many files each table has."""
    work = output / "_work"
    named = [work / "manifests", work / "in_force", work / "index"]
    found = {f"{one.parent.name}/{one.name}" for folder in named for one in folder.glob("*") if any_file(one)}
    for table in [*output.glob("*"), *(work / "side").glob("*")]:
        if count := len(list(table.glob("*.parquet"))):
            found.add(f"{table.name} {count}")
    return found


def any_file(path):
    return path.is_file() or any(one.is_file() for one in path.rglob("*"))


def test_added_archives_search_what_is_new_and_give_what_mining_anew_gives(mine, job):
    assert mine(MINERS)[0] == 0
    manifests = mine.output / "_work" / "manifests"
    before = {path.name for path in (manifests / "mine_pairs.search").glob("*.json")}
    inputs = ("--input", job.root / "input", "--input", job.root / "more")
    assert mine(MINERS, "run", *inputs, "--extend", "--until", "mine-pairs")[0] == 0
    after = {path.name for path in (manifests / "mine_pairs.search").glob("*.json")}
    assert before <= after
    assert worked(mine.output)["mine_pairs.search"] == len(after) - len(before) < len(after)
    extended = pairs(mine.output)
    assert {row["site"] for row in extended} == {"site.example", "other.example"}
    for folder in (*manifests.glob("mine_pairs*"), mine.output / "_work" / "index"):
        shutil.rmtree(folder)
    assert mine(MINERS)[0] == 0
    assert worked(mine.output)["mine_pairs.search"] == len(after)
    assert pairs(mine.output) == extended
