"""The job `publish_dataset` over tables made by hand: splits of near duplicates, long addresses, tombstones."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from beam_jobs.publish_dataset import Publication, run_publish
from beam_jobs.session import Session
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.workspace import Workspace
from publishing.config import ChainsConfig, PublishConfig
from publishing.dataset_reader import rows
from publishing.description import Facts
from publishing.splits import split_of_unit
from publishing.tombstones import Tombstones, add_tombstones
from schemas import ids
from schemas.storage import Folder
from schemas.tables import PAIRS

CONFIG = PublishConfig()
#: Each within 3 bits of its neighbour, in a band of its own; the first and the last share no band and differ in 6.
CHAIN = ("0000000000000000", "0000000100010001", "0001000300030001")
LONG = "https://img.example/" + "ä" * 200 + "?tail"


class InProcess:
    """Beam's runner for tests, without the options of a command line."""

    def run(self, label: str, transform: beam.PTransform) -> None:
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            pipeline | label >> transform


def site_of(split: str, number: int = 0) -> str:
    """A host whose pages belong to a split."""
    names = (f"host{index}.example" for index in range(1000))
    return [one for one in names if split_of_unit(CONFIG.seed, one, CONFIG.shares) == split][number]


class Crawl:
    """Pages with images and pairs, written as the tables that publishing reads."""

    def __init__(self, path):
        self.workspace = Workspace(str(path))
        self.images: dict[str, tuple[bytes, str]] = {}
        #: Image files of a test's own, by name.
        self.files: dict[str, bytes] = {}
        self.eligible: list[dict] = []
        self.verified: list[dict] = []

    def page(self, site: str, images: list[tuple[str, str, str]]) -> None:
        """A page whose `images` (name, phash, address) lead from each to the next."""
        url = f"http://{site}/page.html"
        page = ids.page_id(url, "0" * 64)
        named = []
        for name, phash, address in images:
            data = self.files.get(name, b"\xff\xd8\xff" + name.encode())
            image_id = ids.image_id(data)
            self.images[image_id] = (data, address)
            named.append((image_id, address))
            place = {"page_id": page, "page_url": url, "site": site, "image_id": image_id, "position": len(named)}
            self.eligible.append(
                place | {"url": address, "text": name, "sketch": b"", "phash": phash, "width": 9, "height": 9}
            )
        for (query, query_url), (target, target_url) in pairwise(named):
            pair = ids.pair_id(page, query, target)
            text = {"text": "the next one", "method": "test", "direction": "forward", "length": "short"}
            self.verified.append(
                {
                    "triplet_id": ids.triplet_id(pair, "the next one"),
                    "instruction": "the next one",
                    "instructions": [text],
                    "pair_id": pair,
                    "page_id": page,
                    "query_image_id": query,
                    "target_image_id": target,
                    "visual_similarity": 0.5,
                    "mining": "test",
                    "hard_negatives": [query, *(one for one, _ in named if one not in (query, target))],
                    "page_url": url,
                    "query_image_url": query_url,
                    "target_image_url": target_url,
                    "crawl_date": datetime(2026, 1, 1, tzinfo=UTC),
                    "site": site,
                    "verdict": "pass",
                }
            )

    def publish(self, config: PublishConfig = CONFIG):
        """Publish, and read the dataset back: image id → split, and the triplets."""
        self.session = session = Session(self.workspace, InProcess())
        archive = ShardWriter(self.workspace, "extract_pages", "a" * 32)
        for image_id, (data, url) in sorted(self.images.items()):
            archive.row("images", {"image_id": image_id, "url": url, "bytes": data, "source": "archive"})
        pairs, verified = (ShardWriter(self.workspace, one, "b" * 32) for one in ("mine_pairs", "verify_triplets"))
        for row in self.verified:
            pairs.row("pairs", {name: row[name] for name in row.keys() & set(PAIRS.schema.names)})
            verified.row("verified", row)
        for row in self.eligible:
            pairs.row("eligible", row)
        manifests = {}
        for stage, writer in (("extract_pages", archive), ("mine_pairs", pairs), ("verify_triplets", verified)):
            manifests[stage] = [writer.commit()]
            session.set_in_force(stage, manifests[stage])
        publication = Publication("owner", Facts(version="0"), lambda: {"stages": []})
        about = run_publish(session, manifests["mine_pairs"], manifests["verify_triplets"], config, publication)
        self.about = about
        self.dataset = Folder(f"{self.workspace.path}/dataset")
        splits = {
            row["image_id"]: split
            for split in about.splits("images")
            for row in rows(self.dataset, about, "images", split, ("image_id",))
        }
        self.image_rows = {row["image_id"]: row for row in rows(self.dataset, about, "images")}
        return splits, list(rows(self.dataset, about, "ids"))


@pytest.fixture
def crawl(tmp_path):
    return Crawl(tmp_path / "out")


def name_of(name: str) -> str:
    return ids.image_id(b"\xff\xd8\xff" + name.encode())


def test_a_chain_of_near_duplicates_ends_in_one_split(crawl):
    """The last of the chain stands on a test page; the first meets only the one between them."""
    train, test = site_of("train"), site_of("test")
    crawl.page(
        train,
        [("a", CHAIN[0], "http://a/1"), ("other", "ffff0f0f00ff3333", "http://a/2"), ("b", CHAIN[1], "http://a/3")],
    )
    crawl.page(test, [("c", CHAIN[2], "http://c/1"), ("far", "aaaa55550f0fcccc", "http://c/2")])
    splits, triplets = crawl.publish()
    assert {row["query_image_id"] for row in triplets} == {name_of("c")}, "the others cross"
    assert splits == {name_of("c"): "test", name_of("far"): "test"}


def test_faces_are_blurred_where_files_are_written(crawl):
    pytest.importorskip("cv2")
    matplotlib = pytest.importorskip("matplotlib")
    photo = (Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").read_bytes()
    crawl.files["face"] = photo
    page = [("face", CHAIN[0], "http://a/1"), ("other", "ffff0f0f00ff3333", "http://a/2")]
    crawl.page(site_of("train"), page)
    crawl.publish(PublishConfig(blur_faces="haar"))
    assert crawl.about.blurred == 1
    assert {name: row["blurred"] for name, row in crawl.image_rows.items()} == {
        ids.image_id(photo): True,
        name_of("other"): False,
    }
    published = crawl.image_rows[ids.image_id(photo)]["image"]["bytes"]
    assert published != photo
    (triplet,) = rows(crawl.dataset, crawl.about, "triplets")
    assert triplet["query_image"]["bytes"] == published


def test_hard_negatives_of_another_split_are_left_out_of_their_lists(crawl):
    train, test = site_of("train"), site_of("test")
    far = ["ffff0f0f00ff3333", "aaaa55550f0fcccc", "1234567890abcdef"]
    crawl.page(train, [("q", far[0], "http://a/1"), ("t", far[1], "http://a/2"), ("shared", CHAIN[0], "http://a/3")])
    crawl.page(test, [("shared", CHAIN[0], "http://a/3"), ("x", far[2], "http://c/2")])
    splits, triplets = crawl.publish()
    assert splits[name_of("shared")] == "test"
    (row,) = [row for row in triplets if row["query_image_id"] == name_of("q")]
    assert row["hard_negatives"] == [name_of("q")]


def test_an_address_too_long_to_travel_is_published_whole(crawl):
    crawl.page(site_of("train"), [("q", CHAIN[0], LONG), ("t", "ffff0f0f00ff3333", "http://a/2")])
    _, triplets = crawl.publish()
    assert len(triplets) == 1
    assert crawl.image_rows[name_of("q")]["url"] == LONG
    assert crawl.image_rows[name_of("t")]["url"] == "http://a/2"


def test_a_tombstone_of_a_long_address_keeps_the_image_away(crawl):
    crawl.page(
        site_of("train"),
        [("q", CHAIN[0], "http://a/1"), ("t", "ffff0f0f00ff3333", "http://a/2"), ("n", "aaaa55550f0fcccc", LONG)],
    )
    add_tombstones(Folder(f"{crawl.workspace.path}/_work"), Tombstones.of(urls=[LONG]))
    splits, triplets = crawl.publish()
    assert name_of("n") not in splits
    (row,) = triplets
    assert row["hard_negatives"] == [name_of("q")]


def test_an_image_whose_own_address_was_taken_down_is_not_published_under_another(crawl):
    """The page names the image by one address, the archive holds its bytes under another."""
    crawl.page(site_of("train"), [("q", CHAIN[0], "http://a/1"), ("t", "ffff0f0f00ff3333", "http://a/2")])
    data, _ = crawl.images[name_of("t")]
    crawl.images[name_of("t")] = (data, "http://owner.example/original.jpg")
    add_tombstones(Folder(f"{crawl.workspace.path}/_work"), Tombstones.of(hosts=["owner.example"]))
    splits, triplets = crawl.publish()
    assert (splits, triplets) == ({}, [])


def test_chains_lie_within_a_split_and_change_no_other_file(crawl):
    hashes = [f"{7 * number:04x}" * 4 for number in range(1, 12)]
    for number, split in enumerate(("train", "train", "test")):
        names = [f"{number}{position}" for position in range(4)]
        images = [(name, hashes.pop(), f"http://a/{name}") for name in names[: 4 - number]]
        crawl.page(site_of(split, number), images)
    crawl.publish()
    plain = {one.name: one.digest for one in crawl.about.files}
    crawl.publish(PublishConfig(chains=ChainsConfig()))
    assert crawl.session.worked["publish_dataset"] == 0, "splits are decided as before"
    assert crawl.session.worked["publish_dataset.files"] == 1
    assert crawl.session.worked["publish_dataset.chains"] == 1
    chained = {one.name: one.digest for one in crawl.about.files}
    assert chained.keys() - plain.keys() == {"chains/train-00000-of-00001.parquet"}
    assert chained.items() >= plain.items()
    found = list(rows(crawl.dataset, crawl.about, "chains"))
    assert sorted(len(row["triplet_ids"]) for row in found) == [2, 3]
    assert crawl.about.statistics.counts["chain_turns"] == {"2": 1, "3": 1}
    crawl.publish()
    assert {one.name: one.digest for one in crawl.about.files} == plain
    assert "publish_dataset.chains" not in crawl.workspace.jobs_in_force("publish_dataset")
