"""fetch_images against img2dataset's own command, on the same addresses of a loopback web of many hosts.

    python -m benchmarks.fetch_images [--addresses N] [--hosts N] [--threads N] [--latency SECONDS] [--repeat N]

img2dataset runs as its command does (one process, its parquet output, re-encoding off, the same threads); both are
timed with everything imported: img2dataset by the times of its own statistics, `fetch_bucket` around the call. Ours
asks for each host's robots.txt besides, checks every address, and writes what it keeps in order.
"""

from __future__ import annotations

import argparse
import asyncio
import glob
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from multiprocessing.connection import Connection

from mining.fetching import Address, FetchConfig, fetch_bucket
from mining.fetching.downloader import downloader_class
from schemas.outcomes import CollectedOutcomes

BODY = b"\xff\xd8\xff\xe0" + os.urandom(30_000) + b"\xff\xd9"
FOUND = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n" % len(BODY)
MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"


class _Site(asyncio.Protocol):
    """One connection: an answer to each request, after the latency; kept open unless the client says otherwise."""

    latency = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.received = transport, b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        if b"\r\n\r\n" in self.received:
            request, self.received = self.received, b""
            asyncio.get_running_loop().call_later(self.latency, self._answer, request)

    def _answer(self, request: bytes) -> None:
        assert isinstance(self.transport, asyncio.Transport)
        close = b"Connection: close" in request
        head, body = (MISSING, b"") if request.startswith(b"GET /robots.txt") else (FOUND, BODY)
        self.transport.write(head + (b"Connection: close\r\n\r\n" if close else b"\r\n") + body)
        if close:
            self.transport.close()


def _serve(hosts: list[str], latency: float, ready: Connection) -> None:
    async def run() -> None:
        _Site.latency = latency
        loop = asyncio.get_running_loop()
        first = await loop.create_server(_Site, hosts[0], 0, backlog=1024)
        port = first.sockets[0].getsockname()[1]
        for host in hosts[1:]:
            await loop.create_server(_Site, host, port, backlog=1024)
        ready.send(port)
        await asyncio.Event().wait()

    asyncio.run(run())


def _ours(urls: list[str], hosts: list[str], threads: int) -> float:
    downloader_class()
    config = FetchConfig(allow_hosts=tuple(hosts), threads=threads, host_interval=0, host_concurrency=threads)
    outcomes = CollectedOutcomes()
    with tempfile.TemporaryDirectory() as scratch:
        started = time.perf_counter()
        fetch_bucket([Address(url) for url in urls], config, outcomes, lambda key: None, {}, scratch)
        seconds = time.perf_counter() - started
    assert outcomes.counts.entry("address").kept == len(urls), outcomes.counts.to_json()
    return len(urls) / seconds


def _img2dataset(urls: list[str], threads: int) -> float:
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    from img2dataset import download

    with tempfile.TemporaryDirectory() as folder:
        listed = os.path.join(folder, "urls.txt")
        with open(listed, "w") as file:
            file.write("\n".join(urls))
        download(
            url_list=listed,
            output_folder=os.path.join(folder, "out"),
            output_format="parquet",
            processes_count=1,
            thread_count=threads,
            resize_mode="no",
            disable_all_reencoding=True,
            extract_exif=False,
            number_sample_per_shard=len(urls),
        )
        (stats,) = glob.glob(os.path.join(folder, "out", "*_stats.json"))
        with open(stats) as file:
            result = json.load(file)
    assert result["successes"] == len(urls), result
    return float(len(urls) / result["duration"])


def main() -> None:
    """Print the rates in turn and the ratio of their medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--addresses", type=int, default=3000)
    parser.add_argument("--hosts", type=int, default=40)
    parser.add_argument("--threads", type=int, default=32)
    parser.add_argument("--latency", type=float, nargs="*", default=[0.0, 0.05])
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    hosts = [f"127.0.1.{number + 1}" for number in range(options.hosts)]
    print(f"{'latency':>8} {'img2dataset/s':>14} {'fetch_images/s':>15} {'ratio':>6}   (aim: 1.0 or more)")
    for latency in options.latency:
        receiver, sender = multiprocessing.Pipe(duplex=False)
        server = multiprocessing.Process(target=_serve, args=(hosts, latency, sender), daemon=True)
        server.start()
        port = receiver.recv()
        urls = [f"http://{hosts[number % len(hosts)]}:{port}/{number}.jpg" for number in range(options.addresses)]
        rates = [
            (_img2dataset(urls, options.threads), _ours(urls, hosts, options.threads)) for _ in range(options.repeat)
        ]
        theirs, ours = (statistics.median(column) for column in zip(*rates, strict=True))
        print(f"{latency:8.3f} {theirs:14.0f} {ours:15.0f} {ours / theirs:6.2f}", flush=True)
        server.terminate()


if __name__ == "__main__":
    main()
