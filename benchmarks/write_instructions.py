"""write_instructions against an OpenAI-compatible server, beside what the server can do when it is saturated.

    python -m benchmarks.write_instructions [--requests 1000] [--latency 0.2] [--slots 16] [--repeat 3]

The server takes a fixed time for an answer and gives `slots` at once. The peer sends the same bodies from twice as many
bare connections, reads the answers and drops them. Ours is the job's whole work on the requests of a shard: asking,
parsing, storing answers in parts as they come, and the table with its manifest.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import local
from urllib.parse import urlsplit

from beam_jobs.shard_writer import ShardWriter
from beam_jobs.workspace import Workspace
from benchmarks.chat_server import chat_server
from synthesis.config import WriteConfig
from synthesis.requests import Request, Variables
from synthesis.store import GenerationStore, answer
from synthesis.tasks import make_task
from synthesis.writers.openai_writer import OpenAIWriter


def made_requests(count: int, config: WriteConfig) -> list[Request]:
    """So many distinct requests of the free task."""
    task = make_task(config)
    found = []
    for number in range(count):
        pair = {
            "page_title": f"Walks along the river, part {number}",
            "query_text": f"The old bridge number {number} in summer",
            "target_text": f"The bridge number {number} under snow, seen from the mill",
            "query_label": "steel arch bridge",
            "target_label": "viaduct",
        }
        request = task.format_input(Variables.of_pair(pair))
        assert isinstance(request, Request)
        found.append(request)
    return found


def ours(requests: Sequence[Request], config: WriteConfig) -> float:
    """Seconds of the job on these requests."""
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Workspace(scratch)
        model = OpenAIWriter(config)
        writer = ShardWriter(workspace, "write_instructions.answers", "0" * 32)
        began = time.perf_counter()
        store = GenerationStore(workspace.folder, "_work/generation_parts/0000")
        answer(requests, lambda: model, store, config, writer, lambda key: None, {})
        manifest = writer.commit()
        seconds = time.perf_counter() - began
    assert manifest.counts.units["request"].kept == len(requests)
    return seconds


def saturated(requests: Sequence[Request], base_url: str, connections: int) -> float:
    """Seconds in which bare connections get as many answers from the server."""
    address = urlsplit(base_url)
    bodies = [
        json.dumps({"model": one.model, "messages": list(one.messages), **one.parameters}).encode() for one in requests
    ]
    own = local()

    def ask(body: bytes) -> None:
        if not hasattr(own, "connection"):
            own.connection = http.client.HTTPConnection(address.netloc)
        own.connection.request("POST", f"{address.path}/chat/completions", body, {"Content-Type": "application/json"})
        own.connection.getresponse().read()

    with ThreadPoolExecutor(connections) as pool:
        began = time.perf_counter()
        list(pool.map(ask, bodies))
        return time.perf_counter() - began


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    with chat_server(options.latency, options.slots) as base_url:
        config = WriteConfig(task="magiclens", backend="openai", model="made", base_url=base_url)
        requests = made_requests(options.requests, config)
        # What is loaded once a process is no part of the rate.
        ours(requests[:64], config)
        saturated(requests[:64], base_url, 2 * options.slots)
        timings: dict[str, list[float]] = {"ours": [], "peer": []}
        for _ in range(options.repeat):
            timings["peer"].append(saturated(requests, base_url, 2 * options.slots))
            timings["ours"].append(ours(requests, config))
    rates = {name: options.requests / statistics.median(times) for name, times in timings.items()}
    print(
        f"{options.requests} requests, {options.slots} at once, {options.latency} s each; medians of {options.repeat}"
    )
    print(f"{'':<22}{'answers/s':>12}")
    print(f"{'the server, by design':<22}{options.slots / options.latency:>12.1f}")
    print(f"{'the server, saturated':<22}{rates['peer']:>12.1f}")
    print(f"{'write_instructions':<22}{rates['ours']:>12.1f}")
    print(f"ratio {rates['ours'] / rates['peer']:.3f} (aim: at least 0.95)")


if __name__ == "__main__":
    main()
