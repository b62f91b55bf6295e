"""Scores as columns of pairs, and filters over them: reasons, sums, and what a wrong column says."""

from __future__ import annotations

from collections import Counter

import pytest
from wired_crawl import command, copied, tables

from beam_jobs.corpus.search import JoinJob, lists_of
from mining.mine_config import SCORE_COLUMNS
from schemas.errors import ConfigurationError

#: Labels of pictures of noise are guesses: all of them count here.
MINE = {"miners": ["co_occurrence", "entities", "versions"], "label_score_min": 0}
COLUMNS = [column for columns in SCORE_COLUMNS.values() for column in columns]
SCORES = list(SCORE_COLUMNS)


@pytest.fixture(scope="module")
def scored(annotated, tmp_path_factory):
    """The crawl mined with all scores, and its pairs."""
    crawl = copied(annotated, tmp_path_factory.mktemp("scored") / "out")
    return crawl, crawl.mine(**MINE, scores=SCORES)


def test_every_score_fills_its_columns(scored):
    _, pairs = scored
    for column in COLUMNS:
        values = [row[column] for row in pairs]
        assert any(value is not None for value in values), column
        assert len(set(values)) > 1, column
    assert {row["mining"].partition("+")[0] for row in pairs} == set(MINE["miners"])
    for row in pairs:
        assert (row["agreement"] is None) == (not row["query_text"] or not row["target_text"])
        assert (row["query_alignment"] is None) == (not row["query_text"] or row["query_label"] is None)
        assert row["query_hubness"] >= 0


def test_hubness_counts_the_lists_in_which_an_image_stands(scored):
    crawl, pairs = scored
    workspace = crawl.workspace
    told = Counter()
    for one in workspace.manifests(JoinJob.stage, workspace.in_force(JoinJob.stage)):
        for _, lists in lists_of(workspace, one):
            told.update(lists["image"].ids)
    assert told
    for row in pairs:
        for side in ("query", "target"):
            assert row[f"{side}_hubness"] == told[row[f"{side}_image_id"]]


def test_without_scores_the_columns_are_empty_and_the_pairs_the_same(crawl, scored):
    plain = {row["pair_id"]: row for row in crawl.mine(**MINE)}
    assert all(row[column] is None for row in plain.values() for column in COLUMNS)
    for row in scored[1]:
        assert {**row, **dict.fromkeys(COLUMNS)} == plain.pop(row["pair_id"])
    assert plain == {}


@pytest.mark.parametrize("column", [*COLUMNS, "visual_similarity", "text_similarity"])
def test_a_filter_over_each_column_drops_with_its_reason(tmp_path, scored, column):
    values = sorted({row[column] for row in scored[1] if row[column] is not None})
    least = (values[0] + values[-1]) / 2
    again = copied(scored[0], tmp_path / "out")
    windows = {column: {"min": least, "missing": "drop"}}
    kept = again.mine(**MINE, scores=SCORES, filter=windows)
    assert {name for name, count in again.worked.items() if count and not name.startswith("pair_")} <= {
        "mine_pairs.score",
        "mine_pairs",
    }
    expected = {row["pair_id"] for row in scored[1] if row[column] is not None and row[column] >= least}
    assert 0 < len(expected) < len(scored[1])
    # A pair whose row of one miner falls may stand by that of another one.
    assert {row["pair_id"] for row in kept} == expected
    counts = again.entries()["pair"]
    reasons = {name: count for name, count in counts["rejected"].items() if name.endswith(column)}
    assert reasons.keys() <= {f"below_{column}", f"without_{column}"}
    assert counts["rejected"][f"below_{column}"] > 0
    assert counts["kept"] == len(kept)
    dropped = [row for row in again.rejected() if row["reason"] == f"below_{column}"]
    assert dropped
    assert all(float(row["detail"]) < least for row in dropped)


def test_scores_reach_the_dataset(crawl):
    crawl.publish(mine_pairs={"miners": ["versions"], "scores": SCORES, "label_score_min": 0})
    pairs = {row["pair_id"]: row for row in tables(crawl)}
    by_images = {(row["query_image_id"], row["target_image_id"]): row for row in pairs.values()}
    published = crawl.published()
    assert published
    for row in published:
        pair = by_images[row["query_image_id"], row["target_image_id"]]
        assert [row[column] for column in COLUMNS] == [pair[column] for column in COLUMNS]
        assert None not in (row["agreement"], row["query_alignment"], row["target_hubness"])


def test_unknown_columns_and_scores_end_in_a_sentence_before_any_work(crawl):
    for settings, said in (
        ({"filter": {"beauty": {"min": 1}}}, "names 'beauty', but the score columns are: text_similarity, visual"),
        ({"filter": {"agreement": {"min": 0.5}}}, "names 'agreement', but the score columns are"),
        ({"scores": ["beauty"]}, "mine_pairs.scores.0"),
        ({"filter": {"visual_similarity": {"min": 1, "max": 0}}}, "no pair could be kept"),
        ({"scores": ["hubness"], "filter": {"query_hubness": {}}}, "filters nothing"),
    ):
        status, text = command(crawl, "mine-pairs", mine_pairs=settings)
        assert status == 2
        assert said in text
        assert "Traceback" not in text


def test_hubness_in_a_corpus_of_fewer_images_says_what_it_takes(crawl):
    with pytest.raises(ConfigurationError, match="hubness takes 10"):
        crawl.mine(scores=["hubness"], min_side=250)
