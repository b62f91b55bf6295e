"""Captions and patterns by models, from pages to pairs: tiny models of transformers, random but real code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from wired_crawl import HOST, OTHER, Pages, annotated_crawl, command, copied, picture

from beam_jobs.tables import rows
from mining.similarity import cosines, sketch_matrix
from schemas.errors import ConfigurationError

pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "mining" / "models"))

import tiny_models

pytestmark = pytest.mark.timeout(900)
ANY = {"min": -1}
WINDOWS = {"k": 9, "image": None, "pattern": ANY, "caption": ANY, "text": None, "pairs_per_view": 3}
MINING = {"miners": ["neighbours"], "neighbours": WINDOWS}


def pages():
    """Six pages of two pictures each, the first of which stands on the last as well."""
    made = Pages()
    for number in range(6):
        shown = [
            (f"/v/{number}-{one}.png", f"Thing {number} {one}", picture(20 * number + 300 * one)) for one in (0, 1)
        ]
        if number == 5:
            shown.append(("/v/again.png", "", picture(0)))
        made.page(f"{(HOST, OTHER)[number % 2]}/{number}.html", shown)
    return made.answers


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Settings of `annotate_images` with models that see patterns and write captions."""
    root = tmp_path_factory.mktemp("models")
    clip = str(tiny_models.clip(root / "clip"))
    blip, dinov2 = str(tiny_models.blip(root / "blip", large=True)), str(tiny_models.dinov2(root / "dinov2"))
    made = {"caption_model": blip, "pattern_model": dinov2}
    return {"image_model": clip, "text_model": clip, "safety_model": None, **made}


@pytest.fixture(scope="module")
def looked_at(models, tmp_path_factory):
    """The crawl as these models saw it, in one shard and in three."""

    def crawl(parts):
        own = annotated_crawl(tmp_path_factory.mktemp(f"parts{parts}"), pages(), parts, annotate_images=models)
        own.settings = {**own.settings, "annotate_images": models}
        return own

    return {parts: crawl(parts) for parts in (1, 3)}


def of(crawl, job, table):
    workspace = crawl.workspace
    return [row for one in workspace.manifests(job, workspace.in_force(job)) for row in rows(workspace, one, table)]


def test_pairs_by_patterns_and_captions_whatever_the_shards(looked_at, tmp_path):
    found = {}
    for parts, backwards in ((1, False), (3, True)):
        crawl = copied(looked_at[parts], tmp_path / str(parts))
        found[parts] = crawl.mine(backwards, **MINING)
        annotated = {row["image_id"]: row for row in of(crawl, "annotate_images", "annotations")}
        assert {row["models"] for row in annotated.values()} == {"clip (local); blip (local); dinov2 (local)"}
        assert len({row["caption"] for row in annotated.values()}) > len(annotated) // 2
        shown = of(crawl, "mine_pairs.pages", "eligible")
        for row in shown:
            for name in ("caption", "pattern_sketch", "caption_sketch"):
                assert row[name] == annotated[row["image_id"]][name] is not None
        views = set()
        for row in found[parts]:
            for one in row["mining_details"].split("; "):
                _, view, _, _, _, score, *_ = one.split()
                ends = [annotated[row[f"{side}_image_id"]][f"{view}_sketch"] for side in ("query", "target")]
                assert float(cosines(*(sketch_matrix([end]) for end in ends))[0, 0]) == float(score)
                views.add(view)
        assert views == {"pattern", "caption"}
        assert {row["caption_sketch"] for row in of(crawl, "mine_pairs", "eligible")} == {None}

    def sort(pairs):
        return sorted(pairs, key=lambda row: row["pair_id"])

    assert sort(found[1]) == sort(found[3])


def test_what_no_view_compares_does_not_travel(looked_at, tmp_path):
    crawl = copied(looked_at[3], tmp_path / "out")
    crawl.mine(miners=["neighbours"], neighbours=WINDOWS | {"caption": None})
    shown = of(crawl, "mine_pairs.pages", "eligible")
    assert all(row["pattern_sketch"] and row["caption"] and row["caption_sketch"] is None for row in shown)
    crawl.mine(co_occurrence={"visual_max": 1, "text_min": -1, "text_max": 1, "visual_min": -1})
    shown = of(crawl, "mine_pairs", "eligible")
    assert shown
    assert all(row["caption"] and row["pattern_sketch"] is row["caption_sketch"] is None for row in shown)


def test_names_are_found_in_captions(looked_at, tmp_path, monkeypatch):
    from beam_jobs.corpus import meet

    given = []
    real = meet.corpus_image

    def noted(row):
        given.append(real(row))
        return given[-1]

    monkeypatch.setattr(meet, "corpus_image", noted)
    crawl = copied(looked_at[1], tmp_path / "out")
    own = {"sources": ["caption"], "alignment_min": -1, "visual_min": -1, "visual_max": 1, "min_hash_distance": 0}
    pairs = crawl.mine(miners=["entities"], entities=own | {"equal_texts": "keep"})
    assert given
    assert all(one.caption for one in given)
    captions = {one.image_id: one.caption for one in given}
    assert pairs
    for row in pairs:
        name = row["mining_details"].removeprefix("entities: the same ").partition(" (")[0]
        assert all(name in captions[row[f"{side}_image_id"]].lower() for side in ("query", "target"))


def test_captions_that_no_model_wrote(crawl):
    with pytest.raises(ConfigurationError, match=r"neighbours\.caption reads captions.*caption_model"):
        crawl.mine(**MINING)
    status, said = command(crawl, "mine-pairs", mine_pairs=MINING)
    assert (status, said.count("set annotate_images.caption_model")) == (2, 1)


def test_without_models_the_new_columns_are_null(crawl):
    crawl.mine(miners=["neighbours"], neighbours=WINDOWS | {"caption": None})
    for job, table in (("annotate_images", "annotations"), ("mine_pairs.pages", "eligible")):
        shown = of(crawl, job, table)
        assert {row[name] for row in shown for name in ("caption", "pattern_sketch", "caption_sketch")} == {None}
