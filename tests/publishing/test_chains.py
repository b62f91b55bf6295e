"""Chains of triplets: what follows what, caps, groups, pages; published, read by `datasets`, taken down."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections import Counter
from pathlib import Path

import datasets
import pytest
from pydantic import ValidationError

from publishing.chains import chain_rows
from publishing.config import ChainsConfig, PublishConfig
from publishing.croissant import validate_croissant
from publishing.dataset_reader import rows
from publishing.description import read_description
from publishing.exporters import export
from publishing.take_down import take_down
from publishing.tombstones import Tombstones
from schemas.settings import deciding_fields, settings_digest
from schemas.storage import Folder


def triplet(query: str, target: str, page: str = "p", **more):
    """A triplet whose id and instruction name its images."""
    row = {"triplet_id": f"{page}:{query}{target}", "query_image_id": query, "target_image_id": target}
    return row | {"instruction": f"to {target}", "page_id": page, "mining": "co_occurrence"} | more


def of_page(pairs: str, page: str = "p", **more):
    return [triplet(one[0], one[1], page, **more) for one in pairs.split()]


def found(rows, **settings) -> list[str]:
    return ["".join(row["images"]) for row in chain_rows(rows, ChainsConfig(**settings))]


def test_a_chain_is_triplets_in_a_row():
    (row,) = chain_rows(of_page("bc ab cd"), ChainsConfig())
    assert row == {
        "chain_id": row["chain_id"],
        "images": ["a", "b", "c", "d"],
        "instructions": ["to b", "to c", "to d"],
        "triplet_ids": ["p:ab", "p:bc", "p:cd"],
        "page_id": "p",
        "mining": "co_occurrence",
    }


@pytest.mark.parametrize(
    ("pairs", "settings", "chains"),
    [
        ("ab bc cd de ef", {}, ["abcde"]),  # four turns; what is left is too short
        ("ab bc cd de ef", {"max_turns": 2}, ["abc", "cde"]),
        ("ab bc", {"min_turns": 3}, []),
        ("ab ba", {}, []),  # no image twice
        ("ab bc ca", {}, ["abc"]),
        ("aa ab bc", {}, ["abc"]),
        ("ab bc bd de", {}, ["abde"]),  # the turn from which it goes on
        ("ab bc bd", {}, ["abc"]),  # else the first by id
        ("ab bc bd", {"triplet_cap": 2}, ["abc", "abd"]),
        ("ab bc bd be", {"triplet_cap": 2}, ["abc", "abd"]),  # ab is used up
        ("ab bc cd", {"triplet_cap": 3}, ["abcd"]),  # and no part of it again
        ("ab bc cx xd de ef", {"page_cap": 1, "max_turns": 2}, ["abc"]),
        ("", {}, []),
    ],
)
def test_what_follows_what(pairs, settings, chains):
    assert found(of_page(pairs), **settings) == chains


def test_pages_do_not_meet_unless_they_may():
    rows = [*of_page("ab xy", "p"), *of_page("bc yz", "q")]
    assert found(rows) == []
    assert sorted(found(rows, across=True)) == ["abc", "xyz"]
    assert [row["page_id"] for row in chain_rows(rows, ChainsConfig(across=True))] == ["p", "p"]
    assert found(rows, across=True, page_cap=1) == ["abc"]


def test_a_pair_of_two_pages_is_in_no_page_s_chain():
    rows = [triplet("a", "b", target_page_id="q"), triplet("b", "c", target_page_id="p"), *of_page("cd")]
    assert found(rows) == ["bcd"]


def test_a_group_of_six_is_a_scope_of_its_own():
    def member(query, target, page, group):
        return triplet(
            query,
            target,
            page,
            mining="groups_of_six",
            mining_details=f"groups_of_six: group of {group * 12}, members 0 and 1, similarity to the first 0.7",
            target_page_id="elsewhere",
        )

    rows = [member("a", "b", "p", "1"), member("b", "c", "q", "1"), member("c", "d", "r", "2"), *of_page("de", "s")]
    made = list(chain_rows(rows, ChainsConfig()))
    assert [("".join(row["images"]), row["mining"]) for row in made] == [("abc", "groups_of_six")]


def test_a_triplet_of_a_page_and_a_group_stands_in_one_chain():
    details = {"mining_details": f"groups_of_six: group of {'a' * 12}, members 0 and 1"}
    rows = [*of_page("ab bc", **details), *of_page("cd", "q", **details, target_page_id="r")]
    assert found(rows) == ["abc"]
    assert found(rows, triplet_cap=2) == ["abc", "bcd"]


def test_names_of_miners_stand_once():
    rows = [triplet("a", "b", mining="versions+neighbours"), triplet("b", "c", mining="neighbours")]
    assert next(chain_rows(rows, ChainsConfig()))["mining"] == "versions+neighbours"


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("across", [False, True])
def test_the_properties_hold_and_the_order_changes_nothing(seed, across):
    draw = random.Random(seed)
    pages = [f"{page:02d}" for page in range(6)]
    pairs = [(page, *draw.sample("abcdefghij", 2)) for page in pages for _ in range(draw.randrange(40))]
    triplets = [triplet(query, target, page) for page, query, target in sorted(set(pairs))]
    config = ChainsConfig(
        min_turns=draw.choice([2, 3]), max_turns=5, triplet_cap=1 + seed % 3, page_cap=1 + seed, across=across
    )
    made = list(chain_rows(triplets, config))
    assert made or config.min_turns > 2
    by_id = {row["triplet_id"]: row for row in triplets}
    for chain in made:
        turns = [by_id[one] for one in chain["triplet_ids"]]
        assert config.min_turns <= len(turns) <= config.max_turns
        assert len(set(chain["images"])) == len(turns) + 1
        assert chain["images"] == [turns[0]["query_image_id"], *(one["target_image_id"] for one in turns)]
        assert all(one["query_image_id"] == image for one, image in zip(turns, chain["images"], strict=False))
        assert chain["instructions"] == [one["instruction"] for one in turns]
        assert across or {one["page_id"] for one in turns} == {chain["page_id"]}
    assert max(Counter(one for chain in made for one in chain["triplet_ids"]).values(), default=0) <= config.triplet_cap
    assert max(Counter(chain["page_id"] for chain in made).values(), default=0) <= config.page_cap
    steps = [step for chain in made for step in itertools.pairwise(chain["triplet_ids"])]
    assert len(set(steps)) == len(steps), "no chain is a part of another"
    draw.shuffle(triplets)
    triplets.sort(key=lambda row: row["page_id"])
    assert list(chain_rows(triplets, config)) == made


def test_settings_that_leave_nothing_are_refused():
    with pytest.raises(ValidationError, match=r"min_turns \(5\) is above max_turns \(4\)"):
        ChainsConfig(min_turns=5)


CHAINS = PublishConfig(
    shares={"train": 0.5, "validation": 0.25, "test": 0.25},
    chains=ChainsConfig(max_turns=3),
)


@pytest.fixture
def chained(tmp_path, corpus, publish_corpus, monkeypatch):
    """The 60 triplets of 12 pages, each a ring of five, published with a chain a page."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    target = Folder(str(tmp_path / "dataset"))
    publish_corpus(corpus, target, CHAINS)
    return target


def _chains(folder):
    return list(rows(folder, read_description(folder), "chains"))


def test_they_are_read_offline_and_named_everywhere(chained):
    about = read_description(chained)
    # Of a ring of five, three triplets make one chain and two the other.
    assert about.chains == 24
    read = datasets.load_dataset(chained.path, "chains")
    assert sum(len(one) for one in read.values()) == 24
    row = read["train"][0]
    assert len(row["images"]) == len(row["instructions"]) + 1 == len(row["triplet_ids"]) + 1
    named = {one for part in read.values() for row in part for one in row["triplet_ids"]}
    ids = datasets.load_dataset(chained.path, "ids")
    assert named == {one for part in ids.values() for one in part["triplet_id"]}
    for split, part in read.items():
        assert {one for row in part for one in row["triplet_ids"]} <= set(ids[split]["triplet_id"])
    assert sum(len(one) for one in datasets.load_dataset(chained.path).values()) == 60, "the default is the triplets"
    card = chained.read("README.md").decode()
    assert "config_name: chains" in card
    assert "**24 chains**" in card
    assert "Turns of a chain" in card
    assert validate_croissant(Path(chained.path) / "croissant.json") == []
    assert "24 chains" in json.loads(chained.read("croissant.json"))["description"]


def test_without_chains_nothing_tells_of_them(chained, tmp_path, corpus, publish_corpus):
    plain = Folder(str(tmp_path / "plain"))
    publish_corpus(corpus, plain, CHAINS.without_chains)
    assert all(b"chain" not in plain.read(name) for name in plain.list("") if "." in name)
    assert "chains" not in plain.list("")
    for path in (path for folder in ("data", "ids", "images") for path in Path(plain.path, folder).iterdir()):
        other = Path(chained.path, path.relative_to(plain.path))
        assert hashlib.sha256(other.read_bytes()).digest() == hashlib.sha256(path.read_bytes()).digest()
    assert "chains" not in deciding_fields(PublishConfig()), "shards that were written before stay valid"
    assert settings_digest(CHAINS) != settings_digest(CHAINS.without_chains)


def test_turning_them_off_removes_the_files(chained, corpus, publish_corpus):
    publish_corpus(corpus, chained, CHAINS.without_chains)
    assert "chains" not in chained.list("")


def test_no_chain_leaves_an_empty_file(tmp_path, corpus, publish_corpus):
    target = Folder(str(tmp_path / "dataset"))
    corpus.rows = [row for number, row in enumerate(corpus.rows) if number % 2 == 0 and number % 5 < 4]
    publish_corpus(corpus, target, CHAINS)
    assert [(one.name, one.rows) for one in read_description(target).of("chains")] == [
        ("chains/train-00000-of-00001.parquet", 0)
    ]


def test_exporters_write_the_triplets(chained, tmp_path):
    assert export(chained, "mtcir", Folder(str(tmp_path / "export"))).rows == 60


def test_a_take_down_takes_the_chains_that_name_what_left(chained, corpus):
    before = _chains(chained)
    row = corpus.rows[7]
    result = take_down(chained, Tombstones.of(urls=[row["target_image_url"]]))
    lost = [one for one in before if row["target_image_id"] in one["images"]]
    assert lost
    left = _chains(chained)
    assert [one for one in before if one not in left] == [
        one for one in before if row["target_image_id"] in one["images"] or row["triplet_id"] in one["triplet_ids"]
    ]
    assert result.chains == len(before) - len(left)
    about = read_description(chained)
    assert about.statistics.total("chain_turns") == about.chains == len(left)
    held = {one["triplet_id"] for one in rows(chained, about, "ids")}
    assert all(one in held for chain in left for one in chain["triplet_ids"])
    take_down(chained, Tombstones.of(hosts=["example"]))
    assert _chains(chained) == []
