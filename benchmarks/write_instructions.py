"""write_instructions against an OpenAI-compatible server, beside what a bare client gets from it.

    python -m benchmarks.write_instructions [--requests 1000] [--many 20000] [--repeat 3]

The server runs in a process of its own, takes a fixed time for an answer and gives so many at once. The bare client
sends the same bodies over as many connections from one event loop, reads the answers and drops them. Beside it: the
writer with requests that are there already; the same with the making of each request and the reading of each answer;
and the job's whole work on a shard's requests, with answers stored in parts as they come and the table at the end.

First table: a server that is saturated (16 at once, 32 in flight). Second: 20,000 requests, 256 in flight and at once.
Each figure comes from a fresh process, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from beam_jobs.chain_plan import SHARD_REQUESTS
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.workspace import Workspace
from benchmarks.chat_server import chat_server
from benchmarks.peak_memory import peak_of_this_process
from schemas.storage import Folder
from synthesis.asking import Asking, answer
from synthesis.config import WriteConfig
from synthesis.requests import Request, make_requests
from synthesis.store import GenerationStore
from synthesis.tasks import make_task
from synthesis.tasks.interface import Ask
from synthesis.writers.openai_body import body_of
from synthesis.writers.openai_writer import OpenAIWriter

_TASK = "instruction_magiclens"


@dataclass(frozen=True)
class Figures:
    """`seconds` on the clock and of the processor, peak memory of the process in MB."""

    seconds: float
    cpu: float
    peak: float


def configuration(base_url: str, concurrency: int) -> WriteConfig:
    """The settings of all that is measured."""
    return WriteConfig(chain=(_TASK,), backend="openai", model="made", base_url=base_url, concurrency=concurrency)


def made_requests(count: int, config: WriteConfig) -> Iterator[Request]:
    """So many distinct requests, as the job makes them from rows."""
    settings = config.of(_TASK)
    step = make_task(_TASK, settings).steps[0]
    for number in range(count):
        asked = step.format_input(_row(number))
        assert isinstance(asked, Ask)
        yield make_requests(asked, settings)[0]


def _row(number: int) -> Mapping[str, Any]:
    return {
        "page_title": f"Walks along the river, part {number}",
        "query_text": f"The old bridge number {number} in summer",
        "target_text": f"The bridge number {number} under snow, seen from the mill",
        "query_label": "steel arch bridge",
        "target_label": "viaduct",
    }


def ready_requests(count: int, config: WriteConfig) -> Iterator[dict[str, Any]]:
    """Distinct requests that cost nothing to make: one, with its number in the last message."""
    first = next(made_requests(1, config)).to_dict()
    *before, last = first["messages"]
    for number in range(count):
        messages = [*before, {**last, "content": f"{last['content']} {number}"}]
        yield {**first, "request_id": str(number), "messages": messages}


def bare_client(count: int, config: WriteConfig) -> None:
    """As many answers as fast as one event loop gets them, by nothing but streams."""
    address = urlsplit(config.base_urls[0])
    bodies = (body_of(one, "made", "schema") for one in ready_requests(count, config))

    async def ask_on() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for body in bodies:
            head = f"POST {address.path}/chat/completions HTTP/1.1\r\nHost: it\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            lines = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(lines.partition(b"content-length:")[2].split(b"\r\n")[0]))
        writer.close()

    async def all_connections() -> None:
        await asyncio.gather(*(ask_on() for _ in range(config.concurrency)))

    asyncio.run(all_connections())


def writer_alone(count: int, config: WriteConfig) -> None:
    """The writer with requests that are there already."""
    stream = OpenAIWriter(config).stream(ready_requests(count, config))
    assert sum(pair is not None and pair[1]["error"] is None for pair in stream) == count


def made_and_read(count: int, config: WriteConfig) -> None:
    """The writer, with the making of each request and the reading of each answer."""
    step = make_task(_TASK, config.of(_TASK)).steps[0]
    requests = (one.to_dict() for one in made_requests(count, config))
    read = 0
    for pair in OpenAIWriter(config).stream(requests):
        if pair is not None:
            read += len(step.format_output([pair[1]["text"]], _row(0)).texts)
    assert read == count


def whole_job(count: int, config: WriteConfig) -> None:
    """Requests made, asked, read and stored shard by shard, and each shard's table with its manifest."""
    model = OpenAIWriter(config)
    step = make_task(_TASK, config.of(_TASK)).steps[0]

    def follow_up(request: Request, text: str) -> None:
        step.format_output([text], _row(0))

    requests = made_requests(count, config)
    kept = 0
    with tempfile.TemporaryDirectory() as scratch:
        for shard in range(0, count, SHARD_REQUESTS):
            writer = ShardWriter(Workspace(scratch), "write_instructions.answers", f"{shard:032x}")
            store = GenerationStore(Folder(f"{scratch}/generations"), f"{shard}")
            asking = Asking(store, config, lambda: model, follow_up)
            answer(islice(requests, SHARD_REQUESTS), asking, writer)
            kept += writer.commit().counts.units["request"].kept
    assert kept == count


def measured(work: Callable[[int, WriteConfig], None], count: int, config: WriteConfig) -> Figures:
    """One run of a client in this process; what is loaded once a process is no part of the rate."""
    work(2 * config.concurrency, config)
    began, before = time.perf_counter(), time.process_time()
    work(count, config)
    return Figures(time.perf_counter() - began, time.process_time() - before, peak_of_this_process())


def in_fresh_process(work: Callable[[int, WriteConfig], None], count: int, config: WriteConfig) -> Figures:
    """The same in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measured, work, count, config).result()


CLIENTS: Mapping[str, Callable[[int, WriteConfig], None]] = {
    "bare asyncio client": bare_client,
    "the writer": writer_alone,
    "requests made, answers read": made_and_read,
    "the whole job": whole_job,
}


def table(count: int, latency: float, slots: int, concurrency: int, repeat: int) -> dict[str, Figures]:
    """Print the table of one server; medians by client."""
    found: dict[str, list[Figures]] = {name: [] for name in CLIENTS}
    with chat_server(latency, slots) as base_url:
        for _ in range(repeat):
            for name, work in CLIENTS.items():
                found[name].append(in_fresh_process(work, count, configuration(base_url, concurrency)))
    ideal = slots / latency
    print(f"{count} requests, {slots} at once, {latency} s each, {concurrency} in flight; medians of {repeat}")
    print(f"{'':<30}{'answers/s':>10}{'of ideal':>10}{'of bare':>10}{'CPU ms each':>13}{'peak MB':>9}")
    print(f"{'the server, by design':<30}{ideal:>10.1f}")
    medians = {name: _median(runs) for name, runs in found.items()}
    bare = count / medians["bare asyncio client"].seconds
    for name, one in medians.items():
        rate = count / one.seconds
        each = f"{1000 * one.cpu / count:>13.3f}{one.peak:>9.0f}"
        print(f"{name:<30}{rate:>10.1f}{rate / ideal:>10.3f}{rate / bare:>10.3f}{each}")
    return medians


def _median(runs: Sequence[Figures]) -> Figures:
    seconds, cpu, peak = (statistics.median(getattr(one, name) for one in runs) for name in ("seconds", "cpu", "peak"))
    return Figures(seconds, cpu, peak)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--many", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    table(options.requests, 0.2, 16, 32, options.repeat)
    print("aim: the job at least 0.95 of the bare client\n")
    many = table(options.many, 0.2, 256, 256, 1)
    with chat_server(0.2, 256) as base_url:
        few = in_fresh_process(writer_alone, options.many // 4, configuration(base_url, 256))
    print("aim: the writer at least 0.9 of ideal")
    peak = many["the writer"].peak
    print(
        f"peak of the writer at {options.many // 4} requests {few.peak:.0f} MB, at {options.many} {peak:.0f} MB (flat)"
    )


if __name__ == "__main__":
    main()
