"""The choice of rows: its sizes, caps and shares, and that nothing but rows and settings decides it."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publishing.selection.choose import choose, columns_of
from publishing.selection.config import selection_config
from publishing.selection.page import bars, report_documents
from publishing.selection.report import coverage_report
from publishing.selection.vectors import pair_vectors, projected
from schemas.errors import ConfigurationError

HEAPS = 20


def corpus(rows=600, seed=0):
    """Rows in heaps of a power law: a table as `read_rows` gives it, and vectors."""
    rng = np.random.default_rng(seed)
    heap = np.minimum(rng.zipf(1.5, rows) - 1, HEAPS - 1)
    vectors = rng.standard_normal((rows, 32)) * 0.15
    vectors[np.arange(rows), heap] += 2
    table = pa.table(
        {
            "triplet_id": [f"{number:06d}" for number in range(rows)],
            "query_image_id": [f"q{number}" for number in range(rows)],
            "target_image_id": [f"t{number}" for number in range(rows)],
            "score": rng.random(rows),
            "miner": [("near", "near", "near", "far")[one] for one in rng.integers(0, 4, rows)],
            "host": [f"host{one}" for one in rng.integers(0, 9, rows)],
            "heap": heap,
        }
    )
    return table, projected(vectors.astype(np.float32))


def config(by, size, **more):
    usual = {"quality": {"score": {"kind": "high"}}, "cover": {"miner": 0.1}, "clusters": HEAPS}
    return selection_config({"by": by, "size": size, **usual, **more})


def test_by_quality_the_best_are_chosen_and_ties_go_by_id():
    table, _ = corpus()
    scores = np.round(np.asarray(table["score"]), 1)
    table = table.set_column(3, "score", pa.array(scores))
    found = choose(table, None, config("quality", 100))
    order = sorted(range(len(scores)), key=lambda row: (-scores[row], row))
    assert found.rows.tolist() == order[:100]
    assert (found.by_quality, found.clusters) == (100, None)


def test_diversity_covers_what_chance_does_not():
    table, vectors = corpus()
    wanted = config("diversity", 25)
    found = choose(table, vectors, wanted)
    assert len(set(found.rows.tolist())) == 25
    told = coverage_report(table, vectors, found, ["miner", "heap"])
    heaps = told["columns"]["heap"]["values"]
    assert heaps["chosen"] > heaps["random"]
    assert told["likeness"]["chosen"] > told["likeness"]["random"]
    miners = {one["value"]: one["chosen"] for one in told["columns"]["miner"]["top"]}
    assert min(miners.values()) >= 8, "a column that is to be covered has its values in equal shares"
    assert found.quality is None


def test_without_features_columns_alone_are_covered():
    table, _ = corpus()
    found = choose(table, None, config("diversity", 90, cover={"host": 1.0}))
    hosts = Counter(table["host"].take(pa.array(found.rows)).to_pylist())
    assert set(hosts.values()) == {10}


def test_a_mix_has_its_share_by_quality_first():
    table, vectors = corpus()
    best = choose(table, None, config("quality", 30)).rows.tolist()
    found = choose(table, vectors, config("mix", 100, share=0.3, cluster_cap=None))
    assert found.by_quality == 30
    assert found.rows[:30].tolist() == best
    assert len(set(found.rows.tolist())) == 100
    # What quality chose counts as covered.
    heaps = np.asarray(table["heap"])
    assert len(set(heaps[found.rows].tolist())) >= len(set(heaps[best].tolist()))


@pytest.mark.parametrize("by", ["quality", "diversity", "mix"])
def test_caps_hold_in_every_way_of_choosing(by):
    table, vectors = corpus()
    found = choose(table, vectors, config(by, 100, caps={"host": 0.13, "miner": 0.8}))
    hosts = Counter(table["host"].take(pa.array(found.rows)).to_pylist())
    miners = Counter(table["miner"].take(pa.array(found.rows)).to_pylist())
    assert max(hosts.values()) <= 13
    assert max(miners.values()) <= 80
    sizes = np.bincount(found.clusters[found.rows])
    assert sizes.max() <= max(15, 100), "a cluster has at most three times its even share, or what is needed"


def test_a_large_cluster_is_held_to_its_cap():
    table, vectors = corpus()
    free = choose(table, vectors, config("quality", 60, cluster_cap=None))
    held = choose(table, vectors, config("quality", 60, cluster_cap=1.0))
    free_sizes, sizes = (np.bincount(one.clusters[one.rows]) for one in (free, held))
    every = np.bincount(held.clusters)
    level = next(one for one in range(600) if np.minimum(every, one).sum() >= 60)
    assert sizes.max() <= max(60 // len(every), level) < free_sizes.max()


@pytest.mark.parametrize("by", ["quality", "diversity", "mix"])
def test_all_rows_may_be_chosen(by):
    table, vectors = corpus(80)
    assert sorted(choose(table, vectors, config(by, 80)).rows.tolist()) == list(range(80))
    assert len(choose(table, vectors, config(by, 1)).rows) == 1


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 120),
    st.sampled_from(["quality", "diversity", "mix"]),
    st.integers(2, 40),
    st.integers(0, 3),
    st.booleans(),
)
def test_every_choice_has_its_size_and_is_the_same_again(size, by, block, seed, with_vectors):
    table, vectors = corpus(120, seed)
    wanted = config(by, size, block=block)
    given_vectors = vectors if with_vectors else None
    found = choose(table, given_vectors, wanted)
    assert len(set(found.rows.tolist())) == size
    assert choose(table, given_vectors, wanted).rows.tolist() == found.rows.tolist()


def test_rows_of_low_quality_are_never_chosen():
    table, vectors = corpus()
    for by in ("diversity", "mix", "quality"):
        found = choose(table, vectors, config(by, 100, least_quality=0.7))
        assert found.quality[found.rows].min() >= 0.7
    with pytest.raises(ConfigurationError, match=r"least_quality 0\.9 leaves 60 of 600 triplets"):
        choose(table, vectors, config("diversity", 100, least_quality=0.9))


def test_what_cannot_be_chosen_is_said():
    table, vectors = corpus(50)
    with pytest.raises(ConfigurationError, match="--size is 51, and the split train has 50"):
        choose(table, vectors, config("quality", 51))
    with pytest.raises(ConfigurationError, match=r"the caps leave 18 triplets, .* \(host 0.04, cluster_cap 3\)"):
        choose(table, None, config("diversity", 50, caps={"host": 0.04}))


def test_columns_that_settings_read():
    assert columns_of(config("diversity", 5, caps={"host": 0.5})) == ["miner", "host"]
    assert columns_of(config("mix", 5)) == ["score", "miner"]
    assert columns_of(config("diversity", 5, least_quality=0.5)) == ["score", "miner"]


def test_pairs_are_alike_where_both_images_are():
    rows = pa.table({"query_image_id": ["a", "a", "b"], "target_image_id": ["b", "c", "c"]})
    features = projected(np.eye(3, dtype=np.float32))
    found = pair_vectors(rows, ["a", "b", "c"], features)
    assert (found @ found.T).tolist() == pytest.approx(np.array([[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]]))
    with pytest.raises(ConfigurationError, match="no features of the image c"):
        pair_vectors(rows, ["a", "b"], features[:2])


def test_a_projection_keeps_cosines_nearly_and_broken_rows_are_zeros():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((40, 900)).astype(np.float32)
    features[1] = features[0] + 0.1 * features[1]
    features[2], features[3, 5] = 0, np.nan
    short = projected(features)
    assert short.shape == (40, 64)
    assert short[0] @ short[1] > 0.98
    assert not short[2].any()
    assert not short[3].any()
    assert np.abs(short[4:] @ short[4:].T - np.eye(36)).mean() < 0.15


def test_the_report_is_written_in_equal_bytes():
    table, vectors = corpus(100)
    found = choose(table, vectors, config("mix", 20))
    report = coverage_report(table, vectors, found, ["miner"])
    assert sum(report["quality"]["histogram"]["chosen"]) == 20
    assert sum(report["clusters"]["sizes"]["all"]) == 100
    told = {"settings": config("mix", 20).model_dump(mode="json")}
    made = report_documents(told, report)
    assert made == report_documents(told, coverage_report(table, vectors, found, ["miner"]))
    page = made["selection.html"].decode()
    assert "20 of 100 triplets, by mix" in page
    assert page.count("<svg") == 2
    assert str(bars(range(500), range(500))).count("<rect") == 160
