"""Pushing to a hub on loopback, with cut connections, kills and refusals."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from huggingface_hub import constants

from publishing.push import dataset_files, push
from publishing.take_down import take_down
from publishing.tombstones import Tombstones
from schemas.errors import ConfigurationError, RunFailedError
from schemas.storage import Folder

TOKEN = "hf_secretsecretsecret"


def _load_server():
    path = Path(__file__).parent / "hub_server.py"
    spec = importlib.util.spec_from_file_location("hub_server", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["hub_server"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def hub(monkeypatch):
    with _load_server().HubServer(TOKEN) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield server


def _local(dataset):
    return {name: dataset.read(name) for name in dataset_files(dataset)}


def test_the_hub_holds_the_dataset_byte_for_byte(hub, dataset):
    (Path(dataset.path) / "notes-of-mine.txt").write_text("not for the hub")
    result = push(dataset, "owner/triplets", private=True)
    assert hub.state.files == _local(dataset)
    assert result.files == len(hub.state.files)
    assert result.url.endswith("/datasets/owner/triplets")
    made = hub.state.repositories["owner/triplets"]
    assert made.get("private") is True or made["visibility"] == "private"


def test_cut_uploads_and_a_busy_hub_are_tried_again(hub, dataset):
    hub.state.cut_uploads = 2
    hub.state.failing_commits = 1
    push(dataset, "owner/triplets", wait=0.01)
    assert hub.state.files == _local(dataset)
    parquet = [name for name in hub.state.files if name.endswith(".parquet")]
    assert hub.state.requests["PUT"] == len(parquet) + 2, "nothing that arrived is sent twice"


def test_a_killed_push_goes_on_where_it_stopped(hub, dataset):
    hub.state.hang_after = 3
    program = "import sys; from publishing.push import *; push(Folder(sys.argv[1]), 'owner/triplets')"
    environment = os.environ | {"PYTHONPATH": ".", "HF_HUB_DISABLE_XET": "1"}
    child = subprocess.Popen([sys.executable, "-c", program, dataset.path], env=environment)
    deadline = time.monotonic() + 60
    while hub.state.uploaded < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert hub.state.uploaded >= 3
    assert not hub.state.files
    hub.state.hang_after = None
    arrived = set(hub.state.objects)
    before = hub.state.requests["PUT"]
    push(dataset, "owner/triplets")
    assert hub.state.files == _local(dataset)
    parquet = [name for name in hub.state.files if name.endswith(".parquet")]
    assert hub.state.requests["PUT"] - before == len(parquet) - len(arrived)


def test_what_was_taken_down_leaves_the_hub_too(hub, dataset):
    push(dataset, "owner/triplets")
    before = set(hub.state.files)
    hub.state.files["docs/of-the-owner.md"] = b"kept"
    take_down(dataset, Tombstones.of(hosts=["site2.example", "site4.example", "site5.example"]))
    push(dataset, "owner/triplets")
    assert hub.state.files == _local(dataset) | {"docs/of-the-owner.md": b"kept"}
    assert before - set(hub.state.files), "superseded files are gone"


def test_a_hub_that_stays_down_ends_with_what_to_do(hub, dataset, caplog):
    hub.state.failing_commits = 100
    with caplog.at_level(logging.DEBUG), pytest.raises(RunFailedError, match="run the command again") as caught:
        push(dataset, "owner/triplets", attempts=2, wait=0.01)
    assert TOKEN not in str(caught.value)
    assert TOKEN not in caplog.text


def test_a_refused_token_is_named_but_not_shown(hub, dataset, monkeypatch, caplog):
    monkeypatch.setenv("HF_TOKEN", "hf_wrongwrongwrong")
    with caplog.at_level(logging.DEBUG), pytest.raises(ConfigurationError, match="HF_TOKEN") as caught:
        push(dataset, "owner/triplets", wait=0.01)
    assert "hf_wrongwrongwrong" not in str(caught.value)
    assert "hf_wrongwrongwrong" not in caplog.text
    assert caught.value.__cause__ is None


def test_without_a_token_nothing_is_asked(hub, dataset, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(ConfigurationError, match="HF_TOKEN is not set"):
        push(dataset, "owner/triplets")
    assert not hub.state.requests


def test_only_a_complete_dataset_is_pushed(hub, tmp_path, dataset):
    with pytest.raises(ConfigurationError, match="no dataset"):
        push(Folder(str(tmp_path)), "owner/triplets")
    name = next(name for name in dataset_files(dataset) if name.startswith("images/"))
    data = dataset.read(name)
    (Path(dataset.path) / name).unlink()
    (Path(dataset.path) / name).write_bytes(data[:-1])
    with pytest.raises(ConfigurationError, match="missing or cut"):
        push(dataset, "owner/triplets")
    (Path(dataset.path) / name).write_bytes(data)
    (Path(dataset.path) / "croissant.json").unlink()
    with pytest.raises(ConfigurationError, match=r"croissant\.json is missing"):
        push(dataset, "owner/triplets")
    assert not hub.state.requests


def test_a_hub_without_chunk_storage_gets_plain_uploads(hub, dataset, monkeypatch):
    """As it is on a machine that sets nothing: the library would try for minutes and give up."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    push(dataset, "owner/triplets", attempts=1)
    assert hub.state.files == _local(dataset)
    assert constants.HF_HUB_DISABLE_XET is False, "the switch is as it was"


@pytest.mark.parametrize("name", ["a/b c", "a/..", "a/b.git", "x" * 100 + "/y"])
def test_a_name_that_no_hub_would_take_is_told_before_anything_is_sent(hub, dataset, name):
    with pytest.raises(ConfigurationError, match="no repository"):
        push(dataset, name)
    assert not hub.state.requests


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [("HF_TOKEN", "two words", "HF_TOKEN is no token"), ("HF_ENDPOINT", "localhost:80", "HF_ENDPOINT is no address")],
)
def test_a_wrong_environment_is_told_before_anything_is_sent(hub, dataset, monkeypatch, name, value, told):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=told) as caught:
        push(dataset, "owner/triplets")
    assert value not in str(caught.value)
    assert not hub.state.requests


def test_offline_nothing_is_tried(hub, dataset, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigurationError, match="HF_HUB_OFFLINE is set"):
        push(dataset, "owner/triplets")
    assert not hub.state.requests


@pytest.mark.parametrize("name", ["triplets", "a/b/c", "/b"])
def test_a_repository_has_an_owner_and_a_name(hub, dataset, name):
    with pytest.raises(ConfigurationError, match="OWNER/NAME"):
        push(dataset, name)
    assert not hub.state.requests
