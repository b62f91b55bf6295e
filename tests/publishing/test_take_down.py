"""Take-down by address, host and list."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import datasets
import pytest

from publishing import finish
from publishing.croissant import validate_croissant
from publishing.dataset_reader import rows
from publishing.description import read_description
from publishing.take_down import honour, read_list, take_down, tombstones_of
from publishing.tombstones import Tombstones, add_tombstones, normal_url, read_tombstones
from schemas.errors import ConfigurationError
from schemas.storage import Folder


def _rows(folder, configuration="ids"):
    return list(rows(folder, read_description(folder), configuration))


def _check_consistent(folder):
    """Counts, names and references of a dataset fit together."""
    about = read_description(folder)
    ids = _rows(folder)
    assert about.triplets == len(ids) == about.statistics.total("split")
    held = [row["image_id"] for row in _rows(folder, "images")]
    named = {one for row in ids for one in (row["query_image_id"], row["target_image_id"], *row["hard_negatives"])}
    assert sorted(held) == sorted(named)
    assert {row["triplet_id"] for row in _rows(folder, "triplets")} == {row["triplet_id"] for row in ids}
    parquet = {path.relative_to(folder.path).as_posix() for path in Path(folder.path).rglob("*.parquet")}
    assert parquet == {one.name for one in about.files}
    for entry in about.funnel["stages"]:
        lost = sum(entry["rejected"].values()) + sum(entry["failed"].values()) + entry["deferred"]
        assert entry["in"] == entry["kept"] + lost
    return about


def test_an_image_s_address_takes_its_triplets_its_bytes_and_its_mentions(dataset, corpus):
    row = corpus.rows[7]
    image, url = row["target_image_id"], row["target_image_url"]
    result = take_down(dataset, Tombstones.of(urls=[url]))
    assert (result.triplets, result.images) == (2, 1), "once it was a query, once a target"
    assert result.hard_negatives == 2
    _check_consistent(dataset)
    assert all(image not in {one["query_image_id"], one["target_image_id"]} for one in _rows(dataset))
    assert all(image not in one["hard_negatives"] for one in _rows(dataset))
    data = corpus.images[image]
    for file in Path(dataset.path).rglob("*.parquet"):
        assert data[40:200] not in file.read_bytes(), "no copy of the bytes is left anywhere"


def test_a_page_s_address_takes_its_triplets_and_what_nothing_else_names(dataset, corpus):
    page = corpus.rows[0]["page_url"]
    result = take_down(dataset, Tombstones.of(urls=[page.replace("https://", "HTTP://") + "#top"]))
    assert (result.triplets, result.images, result.hard_negatives) == (5, 5, 0)
    _check_consistent(dataset)
    assert not read_tombstones(dataset).image_ids, "the images themselves were not asked to go"


def test_a_host_takes_all_below_it(dataset, corpus):
    result = take_down(dataset, Tombstones.of(hosts=["site3.example"]))
    assert (result.triplets, result.images) == (10, 10)
    assert not [row for row in _rows(dataset) if "site3.example" in row["page_url"]]
    about = _check_consistent(dataset)
    assert [entry for entry in about.funnel["stages"] if entry["stage"] == "take_down"][1] == {
        "stage": "take_down",
        "unit": "triplet",
        "in": 60,
        "kept": 50,
        "rejected": {"taken_down": 10},
        "failed": {},
        "deferred": 0,
        "out": {"triplet": 50},
    }


def test_documents_follow_and_tell_no_address(dataset, corpus):
    take_down(dataset, Tombstones.of(hosts=["site3.example"]))
    card = dataset.read("README.md").decode()
    assert "50 triplets" in card
    assert "1 hosts" in card
    for name in dataset.list(""):
        if "." in name:
            assert b"site3.example" not in dataset.read(name)
    assert validate_croissant(Path(dataset.path) / "croissant.json") == []
    read = datasets.load_dataset(dataset.path, cache_dir=dataset.path + "-cache")
    assert sum(len(one) for one in read.values()) == 50


def test_the_page_of_a_target_takes_the_triplets_that_lead_there(tmp_path, corpus, publish_corpus):
    row = corpus.rows[0]
    row |= {"target_page_id": "f" * 32, "target_page_url": "https://else.example/page.html"}
    target = Folder(str(tmp_path / "dataset"))
    publish_corpus(corpus, target)
    assert take_down(target, Tombstones.of(hosts=["else.example"])).triplets == 1
    about = _check_consistent(target)
    assert about.triplets == 59
    assert all(b"else.example" not in file.read_bytes() for file in Path(target.path).rglob("*.parquet"))
    assert honour(read_tombstones(target), row) is None


def test_take_downs_add_up(dataset, corpus):
    take_down(dataset, Tombstones.of(hosts=["site3.example"]))
    again = take_down(dataset, Tombstones.of(urls=[corpus.rows[0]["page_url"]]))
    assert again.triplets == 5
    about = _check_consistent(dataset)
    assert about.funnel["stages"][-1]["rejected"] == {"taken_down": 15}
    assert len(read_tombstones(dataset).hosts) == 1
    assert take_down(dataset, Tombstones.of(hosts=["site3.example"])).triplets == 0


def test_taking_everything_down_leaves_an_empty_dataset_that_says_so(dataset):
    take_down(dataset, Tombstones.of(hosts=["example"]))
    about = _check_consistent(dataset)
    assert about.triplets == 0
    assert [one.name for one in about.files] == [
        f"{one}/train-00000-of-00001.parquet" for one in ("data", "ids", "images")
    ]
    assert "This dataset is empty" in dataset.read("README.md").decode()


def test_a_later_publication_honours_the_tombstones(tmp_path, dataset, corpus):
    work = Folder(str(tmp_path / "_work"))
    add_tombstones(work, Tombstones.of(hosts=["elsewhere.example"]))
    url = corpus.rows[7]["target_image_url"]
    take_down(dataset, Tombstones.of(urls=[url]), work)
    assert len(read_tombstones(work).hosts) == 1, "what was there stays"
    tombstones = read_tombstones(dataset, work)
    left = [row for row in (honour(tombstones, row) for row in corpus.rows) if row is not None]
    assert {row["triplet_id"]: list(row["hard_negatives"]) for row in left} == {
        row["triplet_id"]: row["hard_negatives"] for row in _rows(dataset)
    }


def test_a_list_may_hold_addresses_hosts_image_ids_and_comments(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text(f"# owners\nhttps://a.example/1.jpg\nb.example\nc.example/x y.png\n{'0' * 64}\n\n")
    found = read_list(path)
    assert found == Tombstones.of(["http://A.example/1.jpg", "https://c.example/x%20y.png"], ["B.example."], ["0" * 64])
    assert tombstones_of([]) == Tombstones()
    with pytest.raises(ConfigurationError, match="cannot read the list"):
        read_list(tmp_path / "absent")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://a.example", "https://A.EXAMPLE:443/"),
        ("<http://a.example/x>", " http://a.example/x\n"),
        ("http://a.example/x?q=a%20b", "http://a.example/x?q=a b"),
        ("http://a.example/x?q=%c3%a4", "http://a.example/x?q=ä"),
        ("http://[2001:DB8::1]:80/x", "https://[2001:db8::1]/x"),
        ("http://a.example:80/x#f", "https://a.example/x"),
        ("http://a.example/%7Eu/ä", "http://a.example/~u/%C3%A4"),
        ("http://user:pw@a.example/x", "http://a.example/x"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
    ],
)
def test_addresses_of_one_thing_are_one(one, other):
    assert normal_url(one) == normal_url(other)


def test_other_addresses_are_others():
    rests = ("/x", "/x?y", "/X", ":8080/x", "/x/", "/%E4", "/%F6", "/a%2Fb", "/a/b", "/x?y=1%262", "/x?y=1&2")
    assert len({normal_url(f"http://a.example{rest}") for rest in rests}) == len(rests)
    assert not Tombstones.of(hosts=["b.example"]).covers_url("http://ab.example/")
    assert not Tombstones.of(hosts=["b.example"]).covers_url("http://[broken")


@pytest.mark.parametrize(
    ("host", "covered", "free"),
    [
        ("A.example:8101", "http://img.a.example:8101/x", "http://a.example/x"),
        ("a.example", "http://a.example:8101/x", "http://ba.example/x"),
        ("a.example:443", "https://a.example/x", "http://a.example/x"),
        ("https://a.example/", "http://www.a.example/x", "http://example/x"),
        ("*.a.example", "http://a.example/x", "http://b.example/x"),
        ("127.0.0.1:8101", "http://127.0.0.1:8101/x", "http://127.0.0.1:8102/x"),
        ("1", "http://1/", "http://127.0.0.1/"),
        ("2001:db8::1", "http://[2001:DB8::1]:8080/x", "http://[2001:db8::2]/x"),
        ("[2001:db8::1]:8080", "http://[2001:db8::1]:8080/x", "http://[2001:db8::1]/x"),
        ("bücher.example.", "http://xn--bcher-kva.example/x", "http://bucher.example/x"),
    ],
)
def test_a_host_may_be_written_in_many_ways(host, covered, free):
    tombstones = Tombstones.of(hosts=[host])
    assert tombstones.covers_url(covered)
    assert not tombstones.covers_url(free)


def test_an_address_may_lack_its_scheme():
    tombstones = Tombstones.of(urls=["a.example", "b.example:8080/x"])
    assert tombstones.covers_url("https://a.example/")
    assert tombstones.covers_url("http://b.example:8080/x")


@pytest.mark.parametrize(
    "broken", ["http://[broken/x", "http://a.example:99999/x", "http://a.example/\ud800", "///", ""]
)
def test_broken_addresses_of_a_crawl_are_compared_as_they_stand(broken):
    tombstones = Tombstones.of(urls=["http://c.example/x"], hosts=["d.example"])
    assert not tombstones.covers_url(broken)


@pytest.mark.parametrize("wrong", ["", "two words", "http://[x", "*."])
def test_what_is_no_host_or_address_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="is no host"):
        Tombstones.of(hosts=[wrong])
    with pytest.raises(ConfigurationError, match="is no address"):
        Tombstones.of(urls=[f"http://{wrong}" if "[" not in wrong and wrong != "*." else "http://[x/y"])


def test_a_dataset_is_taken_down_by_host_and_port_and_from_within_its_folder(
    tmp_path, corpus, publish_corpus, monkeypatch
):
    for row in corpus.rows:
        for name in ("page_url", "query_image_url", "target_image_url"):
            row[name] = row[name].replace(".example/", ".example:8101/")
    target = Folder(str(tmp_path / "out" / "dataset"))
    publish_corpus(corpus, target)
    monkeypatch.chdir(target.path)
    assert take_down(Folder("."), Tombstones.of(hosts=["site3.example:8100"])).triplets == 0
    monkeypatch.chdir(target.path)
    assert take_down(Folder("."), Tombstones.of(hosts=["site3.example:8101"])).triplets == 10
    assert _check_consistent(target).triplets == 50
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["dataset", "dataset-scratch"]


def test_the_list_of_another_dataset_is_taken_as_it_is(tmp_path, dataset, corpus, publish_corpus):
    take_down(dataset, Tombstones.of(hosts=["site3.example"]))
    other = Folder(str(tmp_path / "other"))
    publish_corpus(corpus, other)
    more = read_list(Path(dataset.path) / "tombstones.json")
    assert take_down(other, more).triplets == 10
    (tmp_path / "broken.json").write_text('{"urls": []')
    with pytest.raises(ConfigurationError, match="is no list of tombstones"):
        read_list(tmp_path / "broken.json")


def test_a_folder_without_dataset_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="no dataset of Lensmith"):
        take_down(Folder(str(tmp_path)), Tombstones.of(hosts=["a.example"]))


def test_a_kill_leaves_the_old_dataset_or_the_new_one(tmp_path, dataset):
    """The child is killed at many moments of its take-down; the last one goes through."""
    program = (
        "import sys; from publishing.take_down import *; from publishing.tombstones import *; print('go', flush=True);"
        "take_down(Folder(sys.argv[1]), Tombstones.of(hosts=['site3.example']))"
    )
    seen = set()
    for delay in (0.0, 0.02, 0.04, 0.06, 0.08, 0.12, 0.2, None):
        child = subprocess.Popen(
            [sys.executable, "-c", program, dataset.path], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": "."}
        )
        assert child.stdout is not None
        child.stdout.readline()
        if delay is not None:
            time.sleep(delay)
            child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        seen.add(_check_consistent(dataset).triplets)
    assert seen <= {60, 50}
    assert _check_consistent(dataset).triplets == 50
    assert not [one.name for one in Path(dataset.path).parent.iterdir() if one.name.startswith(".dataset")]


def test_where_folders_cannot_be_exchanged_a_kill_between_the_renames_is_mended(dataset, monkeypatch):
    monkeypatch.setattr(finish, "_exchange_at_once", lambda first, second: False)
    renames = []
    rename = os.rename

    def killed_after_the_first(source, goal):
        if renames:
            raise KeyboardInterrupt
        renames.append((source, goal))
        rename(source, goal)

    monkeypatch.setattr(finish.os, "rename", killed_after_the_first)
    with pytest.raises(KeyboardInterrupt):
        take_down(dataset, Tombstones.of(hosts=["site3.example"]))
    monkeypatch.setattr(finish.os, "rename", rename)
    assert not Path(dataset.path).exists()
    assert take_down(dataset, Tombstones.of(hosts=["site3.example"])).triplets == 10
    assert _check_consistent(dataset).triplets == 50
    assert not [one.name for one in Path(dataset.path).parent.iterdir() if one.name.startswith(".dataset")]


def test_on_an_object_store(corpus, publish_corpus):
    target = Folder("memory://take/down/dataset")
    publish_corpus(corpus, target)
    assert take_down(target, Tombstones.of(hosts=["site3.example"])).triplets == 10
    about = read_description(target)
    found = {path.rsplit("/dataset/", 1)[1] for path in target.fs.find(target.root)}
    assert {name for name in found if name.endswith(".parquet")} == {one.name for one in about.files}
    assert json.loads(target.read("tombstones.json"))["hosts"]
    assert not [one for one in target.fs.find("/take/down") if ".scratch-" in one]
