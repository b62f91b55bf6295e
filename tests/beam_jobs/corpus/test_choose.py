"""The index steps of choice do in shards what `mining.choice.choose` does on a list."""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_candidates import MINERS, candidates, some_config
from made_jobs import PlainEngine

from beam_jobs.corpus.choose import (
    QUOTA,
    Cap,
    QuotaBoundary,
    QuotaCounts,
    Winners,
    _pack_boxes,
    _with_others,
    judged,
    quota_limits,
    quota_ranges,
)
from beam_jobs.corpus.compose import Source
from beam_jobs.index_step import Answers, answer_map, answers_folder, find_answers, tell, write_answers
from beam_jobs.session import Session, asker
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.workspace import Workspace
from mining.choice import choose
from mining.mine_config import MineConfig

NONE = Answers(None, "none")


def sources_of(workspace, shards):
    found = []
    for number, rows in enumerate(shards):
        writer = ShardWriter(workspace, "mine_pairs.compose", f"{number:032x}")
        for row in rows:
            writer.row("candidates", row)
        manifest = writer.commit()
        found.append(Source(number, manifest.stage, manifest.key, manifest.digest))
    return found


def known(session, step, sources):
    answers = session.index(step, sources, "key")
    return [replace(one, known=(*one.known, (step.name, answers.get(asker(one.number), NONE)))) for one in sources]


def with_clusters(workspace, sources, shards, clusters):
    """The answers of the step that tells clusters, as it would leave them."""
    for one, rows in zip(sources, shards, strict=True):
        told = {row["target_image_id"]: clusters[row["target_image_id"]].to_bytes(4, "big") for row in rows}
        write_answers(workspace, answers_folder("clusters", "key"), asker(one.number), told.items())
    answers = find_answers(workspace, "clusters", "key")
    return [replace(one, known=(("clusters", answers[asker(one.number)]),)) for one in sources]


def chosen(path, shards, config, clusters=None, backwards=False):
    """Each row with the reason for which it is dropped, and the limits of quotas."""
    workspace = Workspace(str(path))
    session = Session(workspace, PlainEngine(backwards))
    sources = sources_of(workspace, shards)
    if clusters is not None:
        sources = with_clusters(workspace, sources, shards, clusters)
    sources = known(session, Winners(workspace, config), sources)
    steps = ()
    for cap, count in config.caps.given.items():
        sources = known(session, Cap(workspace, config, cap, count, steps), sources)
        steps = (*steps, cap)
    counts = session.index(QuotaCounts(workspace, config, steps), sources, "key").get(QUOTA, NONE)
    ranges = quota_ranges(answer_map(workspace, counts.path), config.quotas)
    limits = session.index(QuotaBoundary(workspace, config, ranges, steps), sources, "key").get(QUOTA, NONE)
    quotas = quota_limits(answer_map(workspace, limits.path))
    return [(row, reason) for one in sources for row, reason, _ in judged(workspace, one, config, steps, quotas)]


def cut(rows, count, seed):
    """Rows in random shards, in random order."""
    chance = random.Random(seed)
    shards = [[] for _ in range(count)]
    for row in chance.sample(rows, len(rows)):
        chance.choice(shards).append(row)
    return shards


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 90), st.integers(1, 5), st.booleans())
def test_shards_choose_what_a_list_chooses(seed, count, shards, backwards):
    rows, config = candidates(seed, count), some_config(seed)
    clusters = {row["target_image_id"]: int(row["target_image_id"][0], 16) % 4 for row in rows}
    plain = choose(rows, config, {name: str(one) for name, one in clusters.items()})
    expected = {row["pair_id"]: (row, why) for row, why in zip(rows, plain, strict=True) if why != "duplicate_pair"}
    with tempfile.TemporaryDirectory() as folder:
        found = chosen(folder, cut(rows, shards, seed), config, clusters, backwards)
    assert len(found) == len(rows)
    standing = [(row, reason) for row, reason in found if reason != "duplicate_pair"]
    assert sorted(row["pair_id"] for row, _ in standing) == sorted(expected)
    for row, reason in standing:
        own, why = expected[row["pair_id"]]
        assert (row["mining"], reason) == (own["mining"], why)
        assert (row["mining_details"] or "").startswith(own["mining_details"] or "")


def test_a_pair_that_one_miner_found_twice_in_one_shard_stands_once(tmp_path):
    row = candidates(1, 1)[0] | {"mining": "mid_rank"}
    rows = [row | {"mining_details": f"group {number}"} for number in range(4)] + [row | {"mining_details": None}] * 2
    orders = (rows, rows[::-1], rows[3:] + rows[:3])
    stood = []
    for number, one in enumerate(orders):
        found = chosen(tmp_path / str(number), [one], MineConfig(miners=MINERS))
        assert sorted(str(reason) for _, reason in found) == ["None", *["duplicate_pair"] * 5]
        stood += [row["mining_details"] for row, reason in found if reason is None]
    assert len(set(stood)) == 1


def test_all_miners_of_a_pair_are_named_in_the_order_of_the_configuration(tmp_path):
    row = candidates(1, 1)[0]
    shards = [[row | {"mining": name, "mining_details": f"{name}: seen"}] for name in sorted(MINERS)]
    found = chosen(tmp_path, shards, MineConfig(miners=MINERS))
    (stands,) = [row for row, reason in found if reason is None]
    assert stands["mining"] == "neighbours"
    assert stands["found_by"] == "neighbours+co_occurrence+mid_rank"
    assert stands["mining_details"] == "neighbours: seen; co_occurrence: seen; mid_rank: seen"


def test_boxes_stay_though_a_miner_that_sees_none_goes_first(tmp_path):
    row = candidates(1, 1)[0]
    boxes = {"query_box": [0.1, 0.2, 0.3, 0.4], "target_box": [0.5, 0.5, 0.25, 0.125]}
    shards = [[row | {"mining": "neighbours"}], [row | {"mining": "mid_rank"} | boxes]]
    (stands,) = [one for one, reason in chosen(tmp_path, shards, MineConfig(miners=MINERS)) if reason is None]
    assert stands["mining"] == "neighbours"
    for name, box in boxes.items():
        assert stands[name] == pytest.approx(box)


def test_words_of_others_are_cut_between_letters(tmp_path):
    row = candidates(1, 1)[0]
    long = "mid_rank: " + "ü" * 300
    shards = [
        [row | {"mining": "neighbours", "mining_details": None}, row | {"mining": "mid_rank", "mining_details": long}]
    ]
    (stands,) = [row for row, reason in chosen(tmp_path, shards, MineConfig(miners=MINERS)) if reason is None]
    assert stands["mining_details"] == long[:105]


def test_messages_are_small_and_no_shard_tells_more_than_a_cap(tmp_path):
    workspace, config = Workspace(str(tmp_path)), MineConfig(miners=MINERS, caps={"target": 2})
    rows = [row | {"mining_details": "ü" * 600} for row in candidates(1, 200, images=6)]
    (source,) = known(Session(workspace, PlainEngine()), Winners(workspace, config), sources_of(workspace, [rows]))
    assert max(len(value) for _, (_, value) in tell(Winners(workspace, config), source)) <= 512
    told = [key for key, _ in tell(Cap(workspace, config, "target", 2), source)]
    assert max(told.count(key) for key in told) == 3


@pytest.mark.parametrize("quota", [1, 7, 29, 30, 31])
def test_quotas_are_exact(tmp_path, quota):
    rows = [row | {"mining": "mid_rank"} for row in candidates(2, 400, images=40)]
    pairs = sorted({(row["query_image_id"], row["target_image_id"]) for row in rows})[:30]
    rows = [row for row in rows if (row["query_image_id"], row["target_image_id"]) in pairs]
    config = MineConfig(miners=MINERS, quotas={"mid_rank": quota})
    found = chosen(tmp_path, cut(rows, 3, quota), config)
    assert sum(reason is None for _, reason in found) == min(quota, 30)


def test_more_shards_than_a_million_keep_their_numbers(tmp_path):
    step, rows = Winners(Workspace(str(tmp_path)), MineConfig(miners=MINERS)), candidates(1, 1)
    (source,) = sources_of(step.workspace, [rows])
    ((key, (_, value)),) = tell(step, replace(source, number=12_345_678))
    assert [one for one, _ in step.resolve(key, (), [value])] == ["12345678"]


@pytest.mark.parametrize("boxes", [(None, None), ((0.25, 0.5, 0.125, 0.25), None), ((0.25, 0.5, 0.125, 0.25),) * 2])
def test_the_boxes_of_another_miners_row_come_to_the_row_that_stands(boxes):
    sides = ("query_box", "target_box")
    packed = _pack_boxes(dict(zip(sides, boxes, strict=True))) + b"words"
    told = bytes([1, len(packed)]) + packed
    row = {"mining": "neighbours", "mining_details": "near", "query_box": None, "target_box": None}
    found = _with_others(row, told, ("neighbours", "instances"))
    assert [found[side] and tuple(found[side]) for side in sides] == list(boxes)
    assert (found["found_by"], found["mining_details"]) == ("neighbours+instances", "near; words")
