"""How time and memory of every stage grow with the input: the whole job on a made crawl, on half of it and a quarter.

    python -m benchmarks.scaling [--pages 400]

Each crawl is one archive and, therefore, one extraction shard, so that a job's memory on four times the input is that
of a shard four times as large: what is reported is the peak of a fresh process that does the job's shards one after
another, models and children's work included. Index steps run on Beam's local runner. Times are processor seconds,
which a busy machine moves least; loading modules is left out, loading models is in. Instructions come from a server on
loopback.
"""

from __future__ import annotations

import argparse
import io
import pickle
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from beam_jobs.session import Session
from beam_jobs.shard_job import run_one
from beam_jobs.workspace import Workspace, stage_of
from benchmarks.chat_server import chat_server
from benchmarks.peak_memory import peak_of_this_process
from lensmith.output_folder import open_output, plan_inputs
from lensmith.settings import STAGES, load_settings
from lensmith.stages import Results, run_stage
from mining.archives.inputs import list_inputs

_IMAGES_A_PAGE = 6
_PLACES = ("harbour", "old town", "cathedral", "market", "bridge", "castle", "garden", "station", "museum", "beach")
_TIMES = ("in spring", "in summer", "in autumn", "in winter", "at night", "at dawn", "in fog", "under snow")


@dataclass
class Measured:
    """What a job took: processor seconds, and its peak of resident memory."""

    seconds: float = 0.0
    megabytes: float = 0.0


class MeasuringEngine:
    """Runs the shards of a job in a fresh process, index steps on Beam's local runner here; notes what each took."""

    runner = "measured"

    def __init__(self) -> None:
        self.found: dict[str, Measured] = {}
        from lensmith.engine import BeamEngine

        self._beam = BeamEngine(["--direct_running_mode=in_memory"])

    def run(self, label: str, transform: Any) -> None:
        """Jobs are pickled as for an engine's workers."""
        if not hasattr(transform, "shards"):
            began = time.process_time()
            self._beam.run(label, transform)
            self.found[label] = Measured(time.process_time() - began)
            return
        with tempfile.NamedTemporaryFile(suffix=".pickle") as file:
            pickle.dump((transform.job, transform.shards), file)
            file.flush()
            command = [sys.executable, "-m", "benchmarks.scaling", "--run", file.name]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        self.found[label] = Measured(*map(float, done.stdout.split()[-2:]))


def run_measured(path: str) -> None:
    """The other side: run pickled shards, print processor seconds and the peak of this process in MB."""
    from beam_jobs import supervised
    from beam_jobs.supervised_child import resolve

    def call(self: Any, target: str, *arguments: Any) -> Any:
        # What children do is done here, so that its memory is seen.
        return resolve(target)(*arguments, mark=lambda key: None, quarantine={})

    supervised.PooledChild.call = call  # type: ignore[method-assign]
    job, shards = pickle.loads(Path(path).read_bytes())
    began = time.process_time()
    for shard in shards:
        run_one(job, shard)
    print(time.process_time() - began, peak_of_this_process())


def write_crawl(path: Path, pages: int) -> None:
    """One archive of pages with images and texts of their own."""
    with path.open("wb") as sink:
        for record in _records(pages):
            sink.write(record)


def _records(pages: int) -> Iterator[bytes]:
    for page in range(pages):
        dice = random.Random(page)
        host = f"http://site{page % 10}.example"
        parts = [f"<html lang=en><head><title>Walk {page}</title></head><body><h1>Walk {page}</h1>"]
        for number in range(_IMAGES_A_PAGE):
            address = f"/pictures/{page}-{number}.jpg"
            text = f"The {dice.choice(_PLACES)} of town {page} {dice.choice(_TIMES)}, picture {number}"
            words = " ".join(dice.choice(_PLACES) for _ in range(60))
            parts.append(f'<p>{words} <img src="{address}" alt="{text}" width=320> {words}</p>')
            yield _record(host + address, b"image/jpeg", _picture(dice))
        yield _record(f"{host}/{page}.html", b"text/html; charset=utf-8", "".join(parts).encode())


def _picture(dice: random.Random) -> bytes:
    small = Image.frombytes("RGB", (12, 9), dice.randbytes(12 * 9 * 3))
    sink = io.BytesIO()
    small.resize((320, 240), Image.Resampling.BICUBIC).save(sink, "JPEG", quality=85)
    return sink.getvalue()


def _record(url: str, mime: bytes, body: bytes) -> bytes:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (mime, len(body)) + body
    head = (
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
        "WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-000000000000>\r\n"
        f"WARC-Target-URI: {url}\r\nContent-Type: application/http; msgtype=response\r\n"
        f"Content-Length: {len(answer)}\r\n"
    )
    return head.encode() + b"\r\n" + answer + b"\r\n\r\n"


def measure(pages: int, base_url: str, folder: Path) -> dict[str, Measured]:
    """The whole job on a made crawl of so many pages: what each job and index step took."""
    folder.mkdir()
    write_crawl(folder / "crawl.warc", pages)
    settings = load_settings(
        "server",
        options={
            "run": {"shard_bytes": 1 << 40, "host_buckets": 1},
            "fetch_images": {"host_budget": 0},
            "mine_pairs": {"address_pages": 1 << 20},
            "write_instructions": {"base_url": base_url, "model": "made"},
            "publish_dataset": {"split_unit": "page"},
        },
    )
    workspace = Workspace(str(folder / "out"))
    engine = MeasuringEngine()
    output = open_output(workspace, settings.run.shard_bytes, settings.run.host_buckets)
    plan = plan_inputs(workspace, output, list_inputs([str(folder / "crawl.warc")]), extend=False)
    session, results = Session(workspace, engine), Results(plan, output.buckets)
    for stage in STAGES:
        steps = len(engine.found)
        run_stage(stage, session, settings, results, "server")
        # Index steps carry the name of the stage that asked for them.
        for label in list(engine.found)[steps:]:
            if label.startswith("index_"):
                engine.found[f"{stage}.{label}"] = engine.found.pop(label)
    if results.dataset is None or not results.dataset.triplets:
        raise RuntimeError("the made crawl gave no triplets: the figures would say nothing")
    return dict(engine.found)


def print_memory(whole: dict[str, Measured], quarter: dict[str, Measured]) -> None:
    """Peak of every shard job, beside that on a quarter of the input."""
    print(f"{'peak memory':<52}{'MB':>9}{'quarter':>10}{'ratio':>8}   aim")
    for label, measured in whole.items():
        less = quarter[label].megabytes if label in quarter else 0.0
        if less:
            ratio = measured.megabytes / less
            print(f"{label:<52}{measured.megabytes:>9.0f}{less:>10.0f}{ratio:>8.2f}   <= 1.20")


def print_time(whole: dict[str, Measured], half: dict[str, Measured]) -> None:
    """Processor seconds of every stage, beside those on half of the input."""

    def seconds(found: dict[str, Measured], stage: str) -> float:
        return sum(one.seconds for label, one in found.items() if stage_of(label) == stage)

    print(f"{'time':<52}{'s':>9}{'half':>10}{'ratio':>8}   aim")
    for stage in STAGES:
        ours, less = seconds(whole, stage), seconds(half, stage)
        if less:
            print(f"{stage:<52}{ours:>9.1f}{less:>10.1f}{ours / less:>8.2f}   <= 2.10")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=400)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run_measured(options.run)
        return
    with chat_server(0.005, 64) as base_url, tempfile.TemporaryDirectory() as scratch:
        found = {
            name: measure(options.pages // parts, base_url, Path(scratch) / name)
            for name, parts in (("quarter", 4), ("half", 2), ("whole", 1))
        }
    print(f"a crawl of {options.pages} pages with {_IMAGES_A_PAGE} images each, as one shard")
    print_memory(found["whole"], found["quarter"])
    print_time(found["whole"], found["half"])


if __name__ == "__main__":
    main()
