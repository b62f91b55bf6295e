"""From places to pairs, over pages that fit into memory."""

from __future__ import annotations

import random
from collections import Counter

import made_places as made
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining.mine import MineConfig, PageInput, mine_pages
from schemas.outcomes import CollectedOutcomes
from schemas.tables import PAIRS


def run(inputs: list[PageInput], config: MineConfig | None = None) -> CollectedOutcomes:
    outcomes = CollectedOutcomes()
    made_pairs = mine_pages(inputs, config or MineConfig(), outcomes)
    outcomes.finish()
    assert outcomes.counts.unbalanced() == []
    assert made_pairs == len(outcomes.rows("pairs")) == outcomes.counts.made["pair"]
    return outcomes


def rejected(outcomes: CollectedOutcomes, unit: str) -> dict[str, int]:
    return dict(outcomes.counts.entry(unit).rejected)


def album(name: str, numbers: range, **fields: object) -> PageInput:
    return made.page_input(name, [made.facts(f"image {number}") for number in numbers], **fields)


def test_rows_fit_the_table_and_carry_what_later_stages_need() -> None:
    outcomes = run([album("a", range(4), license="https://creativecommons.org/licenses/by/4.0/")])
    rows = outcomes.rows("pairs")
    assert rows
    pa.Table.from_pylist(rows, PAIRS.schema)
    assert set(rows[0]) == set(PAIRS.schema.names)
    for row in rows:
        assert row["hard_negatives"][0] == row["query_image_id"]
        assert row["license"] == "https://creativecommons.org/licenses/by/4.0/"
        assert row["query_text"] != row["target_text"]
    assert [row["pair_id"] for row in rows] == sorted(row["pair_id"] for row in rows)


def test_targets_whose_text_another_image_of_the_page_has_are_told() -> None:
    known = [made.facts(f"image {number}") for number in range(4)]
    said = ("The mill", "the  MILL", "The bridge", "The weir")
    places = [made.place(at, one, text=said[at], embedding=made.embedding(at)) for at, one in enumerate(known)]
    rows = run([PageInput(made.page("a"), places, {one.image_id: one for one in known})]).rows("pairs")
    shared = {row["target_text"]: row["target_text_shared"] for row in rows}
    assert shared == {"The mill": True, "the  MILL": True, "The bridge": False, "The weir": False}


@pytest.mark.parametrize(
    ("numbers", "fields", "reason"),
    [
        (range(1), {}, "too_few_images"),
        (range(4), {"opt_out": "noai"}, "opted_out"),
        (range(4), {"language": "tlh"}, "excluded_language"),
    ],
)
def test_pages_are_rejected_with_their_reason(numbers: range, fields: dict[str, object], reason: str) -> None:
    outcomes = run([album("a", numbers, **fields)], MineConfig(excluded_languages=("tlh",)))
    assert rejected(outcomes, "page") == {reason: 1}
    assert outcomes.rows("pairs") == []


def test_of_pages_with_equal_or_overlapping_images_the_richer_is_mined() -> None:
    outcomes = run([album("print-view", range(10)), album("a", range(10)), album("b", range(9)), album("c", range(3))])
    assert rejected(outcomes, "page") == {"same_image_set": 1, "overlapping_image_set": 1}
    assert {row["page_url"] for row in outcomes.rows("pairs")} == {
        "http://example.org/a",
        "http://example.org/c",
    }


def test_pages_that_give_no_pairs_anyhow_supersede_no_other() -> None:
    outcomes = run(
        [album("a", range(10), language="tlh"), album("b-is-longer", range(10))],
        MineConfig(excluded_languages=("tlh",)),
    )
    assert rejected(outcomes, "page") == {"excluded_language": 1}
    assert {row["page_url"] for row in outcomes.rows("pairs")} == {"http://example.org/b-is-longer"}


def test_a_capture_that_comes_twice_is_mined_once() -> None:
    once = run([album("a", range(5))])
    twice = run([album("a", range(5)), album("a", range(5))])
    assert rejected(twice, "page") == {"duplicate_capture": 1}
    assert twice.rows("pairs") == once.rows("pairs")
    assert twice.counts.entry("place").to_json() == once.counts.entry("place").to_json()


def test_a_logo_on_every_page_is_in_no_pair_and_captures_of_one_address_count_once() -> None:
    logo = made.facts("logo")
    pages = [
        made.page_input(f"page {number}", [logo, *(made.facts(f"{number} {index}") for index in range(3))])
        for number in range(12)
    ]
    outcomes = run(pages)
    assert rejected(outcomes, "place")["boilerplate_on_site"] == 12
    assert not any(logo.image_id in (row["query_image_id"], row["target_image_id"]) for row in outcomes.rows("pairs"))
    assert not any(logo.image_id in row["hard_negatives"] for row in outcomes.rows("pairs"))
    captures = [
        PageInput(made.page(f"capture {number}", url="http://example.org/same"), one.places, one.facts)
        for number, one in enumerate(pages)
    ]
    assert "boilerplate_on_site" not in rejected(run(captures), "place")


def test_labels_are_written_only_if_sure_and_opt_outs_only_if_kept() -> None:
    images = [
        made.facts("sure", label="cup", label_score=0.8, opt_out="noai"),
        made.facts("unsure", label="web site", label_score=0.1),
    ]
    config = MineConfig(opt_out="keep")
    rows = run([made.page_input("a", images, opt_out="tdm,noai")], config).rows("pairs")
    by_query = {row["query_image_id"]: row for row in rows}
    assert by_query[images[0].image_id]["query_label"] == "cup"
    assert by_query[images[0].image_id]["target_label"] is None
    assert {row["opt_out"] for row in rows} == {"noai,tdm"}


def test_no_pages_give_no_pairs() -> None:
    assert run([]).rows("pairs") == []


@settings(max_examples=60, deadline=None)
@given(made.page_inputs(), st.randoms(use_true_random=False))
def test_sums_balance_and_the_order_of_pages_and_places_does_not_matter(
    inputs: list[PageInput], shuffle: random.Random
) -> None:
    first = run(inputs)
    shuffled = [
        PageInput(one.page, shuffle.sample(list(one.places), len(one.places)), one.facts)
        for one in shuffle.sample(inputs, len(inputs))
    ]
    second = run(shuffled)
    assert first.rows("pairs") == second.rows("pairs")
    assert first.counts.to_json() == second.counts.to_json()
    by_text = sorted(first.rows("rejected"), key=str), sorted(second.rows("rejected"), key=str)
    assert by_text[0] == by_text[1]
    config = MineConfig().co_occurrence
    per_page = Counter(row["page_id"] for row in first.rows("pairs"))
    assert max(per_page.values(), default=0) <= config.pairs_per_page
