"""An endpoint that many workers ask gets no more requests at once than the configuration allows, on two hosts too."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from beam_jobs import chain_plan
from beam_jobs.session import Session
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.workspace import Workspace
from beam_jobs.write_instructions import run_write
from lensmith.engine import BeamEngine
from synthesis.config import WriteConfig

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
_SHARDS, _PAIRS = 8, 24


@pytest.fixture
def endpoint():
    path = Path(__file__).parents[1] / "synthesis" / "chat_server.py"
    spec = importlib.util.spec_from_file_location("lensmith_chat_server", path)
    module = sys.modules.setdefault("lensmith_chat_server", importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    answer = json.dumps({"instructions": ["show it by the river at night"]})
    server = module.ChatServer(lambda question, times: answer, delay=0.2, host="0.0.0.0")
    yield server
    server.close()


def mined(workspace):
    """Shards of pairs with texts that differ, so that each shard owns its requests."""
    found = []
    for shard in range(_SHARDS):
        writer = ShardWriter(workspace, "mine_pairs", f"{shard:032x}")
        for number in range(_PAIRS):
            query, target = f"{shard}a{number:03d}".ljust(64, "0"), f"{shard}b{number:03d}".ljust(64, "0")
            columns = {
                "pair_id": f"{shard}{number:03d}".ljust(32, "0"),
                "page_id": f"{shard:032x}",
                "query_image_id": query,
                "target_image_id": target,
                "visual_similarity": 0.4,
                "mining": "co_occurrence",
                "hard_negatives": [query],
                "page_url": "http://site.example/page",
                "page_title": "Views",
                "query_image_url": "http://site.example/q",
                "target_image_url": "http://site.example/t",
                "query_text": f"bridge {shard} {number}",
                "target_text": f"mill {shard} {number}",
                "site": "site.example",
            }
            writer.row("pairs", columns)
        found.append(writer.commit())
    return found


def test_the_limit_holds_over_all_workers(cluster, endpoint, tmp_path, monkeypatch, capsys):
    # Small shards, so that there are several for each worker.
    monkeypatch.setattr(chain_plan, "SHARD_REQUESTS", _PAIRS)
    workspace = Workspace(str(tmp_path))
    gateway = cluster.hosts[0].address.rsplit(".", 1)[0] + ".1"
    config = WriteConfig(
        chain=("instruction_magiclens",),
        backend="openai",
        model="m",
        base_url=f"http://{gateway}:{endpoint.port}/v1",
        concurrency=8,
        lanes=4,
    )
    session = Session(workspace, BeamEngine(cluster.options))
    written, _ = run_write(session, mined(workspace), config)
    assert sum(one.counts.entry("pair").kept for one in written) == _SHARDS * _PAIRS
    assert set(endpoint.asked.values()) == {1}
    assert 2 < endpoint.most <= 8
    # Requests came from both hosts.
    assert len(endpoint.clients) == 2, endpoint.clients
    with capsys.disabled():
        print(f"\nmost at once {endpoint.most} of 8; by host {dict(endpoint.clients)}")
