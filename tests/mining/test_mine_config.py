"""Which settings of mining are refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from mining.annotate_config import AnnotateConfig
from mining.mine_config import CapsConfig, MineConfig, check_captions
from mining.miners.make import neighbour_miners, page_miner, searched_sketches, wanted_views
from mining.windows import ScoreCounts
from schemas.errors import ConfigurationError


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"miners": ["telepathy"]}, "co_occurrence"),
        ({"miners": []}, "at least 1"),
        ({"miners": ["mid_rank", "mid_rank"]}, "twice"),
        ({"quotas": {"mid_rank": 5}}, "none of miners: co_occurrence"),
        ({"quotas": {"co_occurrence": 0}}, "at least 1"),
        ({"caps": {"target": 0}}, "greater than or equal to 1"),
        ({"caps": {"page": 3}}, "Extra inputs"),
        ({"mid_rank": {"first_rank": 9, "last_rank": 8}}, "must not lie behind"),
        ({"neighbours": {"image": None, "pattern": None, "text": None}}, "at least one"),
        ({"search": {"recall": 0}}, "greater than 0"),
        ({"near_duplicates": {"feature_similarity": 0}}, "greater than 0"),
        ({"near_duplicates": {"feature_similarity": 1.5}}, "less than or equal to 1"),
        ({"groups_of_six": {"size": 2}}, "greater than or equal to 3"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        MineConfig(**settings)  # type: ignore[arg-type]


def test_pairs_are_decided_page_by_page_unless_the_corpus_is_asked() -> None:
    assert not MineConfig().whole_corpus
    for settings in (
        {"miners": ["co_occurrence", "mid_rank"]},
        {"quotas": {"co_occurrence": 9}},
        {"caps": {"site": 2}},
    ):
        assert MineConfig(**settings).whole_corpus


def test_caps_hold_in_one_order() -> None:
    assert list(CapsConfig(host=1, query=2, site=3, target=4).given) == ["query", "target", "site", "host"]


def test_lists_are_as_long_as_each_miner_wants_them() -> None:
    config = MineConfig(
        miners=("mid_rank", "groups_of_six", "neighbours"),
        neighbours={"k": 20, "pattern": None},
        groups_of_six={"k": 30},
        mid_rank={"view": "text", "first_rank": 2, "last_rank": 9},
    )
    assert wanted_views(config) == {"image": (20, 30), "text": (9, 20)}
    assert wanted_views(MineConfig()) == {}
    assert page_miner(config) is None
    assert page_miner(MineConfig()) is not None


@pytest.mark.parametrize(
    ("setting", "config"),
    [
        ("neighbours.caption", {"miners": ["neighbours"], "neighbours": {"caption": {"min": 0.5}}}),
        ("mid_rank.view", {"miners": ["mid_rank"], "mid_rank": {"view": "caption"}}),
        ("entities.sources", {"miners": ["entities"], "entities": {"sources": ["caption"]}}),
    ],
)
def test_captions_that_nothing_writes_are_not_read(setting: str, config: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=rf"mine_pairs\.{setting} reads captions, .* set annotate_images"):
        check_captions(MineConfig(**config), AnnotateConfig())
    check_captions(MineConfig(**config), AnnotateConfig(caption_model="blip"))
    check_captions(MineConfig(**config | {"miners": ["co_occurrence", "groups_of_six"]}), AnnotateConfig())
    check_captions(MineConfig(miners=["entities", "neighbours", "mid_rank"]), AnnotateConfig())


def test_sketches_travel_where_a_view_compares_them() -> None:
    both = AnnotateConfig(caption_model="blip", pattern_model="dinov2")
    plain, looks = MineConfig(), MineConfig(miners=["neighbours"])
    captions = MineConfig(miners=["mid_rank"], mid_rank={"view": "caption"})
    assert [searched_sketches(one, both) for one in (plain, looks, captions)] == [
        (),
        ("pattern_sketch",),
        ("caption_sketch",),
    ]
    assert searched_sketches(looks, AnnotateConfig()) == ()


def test_a_miners_quantiles_are_those_of_its_own_lists() -> None:
    near, far = ScoreCounts(), ScoreCounts()
    near.add([0.8, 0.9])
    far.add([0.1, 0.2, 0.8, 0.9])
    config = MineConfig(
        miners=("neighbours", "mid_rank"),
        neighbours={"k": 2, "image": {"min_quantile": 0.5}, "pattern": None, "text": None},
        mid_rank={"first_rank": 1, "last_rank": 4},
    )
    alone, _ = neighbour_miners(config, {"image": {2: near, 4: far}})
    assert alone.views == {"image": 2}
    assert "[0.8000, 1.0000]" in str(alone.__dict__["_windows"]["image"])


def test_a_window_that_keeps_nothing_names_its_setting() -> None:
    counts = ScoreCounts()
    counts.add([0.1])
    config = MineConfig(miners=("groups_of_six",), groups_of_six={"k": 2})
    with pytest.raises(ConfigurationError, match=r"mine_pairs\.groups_of_six\.window keeps nothing"):
        neighbour_miners(config, {"image": {2: counts}})
