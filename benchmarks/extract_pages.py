"""extract_pages against its floors: lexbor on the same pages, a plain loop over the same archives, and its own memory.

    python -m benchmarks.extract_pages [--archives GLOB] [--copies 4] [--repeat 5]

1. Processor time of all fields of a page against decoding it, parsing it with lexbor and listing its `<img src>`.
   Pages that state no language are given a header that does: its detection has a price of its own.
2. The job, one worker, on Beam's local runner, against the same functions in a loop that writes parquet. The archives
   are read `--copies` times as archives of their own, so that the start of the runner weighs as little as in real work.
3. Peak memory of the process that reads the archives of one shard, all copies of them or a quarter.
"""

from __future__ import annotations

import argparse
import glob
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from selectolax.lexbor import LexborHTMLParser

from benchmarks.peak_memory import peak_of_this_process
from mining.archives.inputs import ArchiveFile, list_inputs
from mining.archives.read import read_records
from mining.archives.records import Limits, Record
from mining.extraction import ExtractConfig, extract_archive
from mining.opt_out import OptOutList
from mining.pages.charset import decode_page
from mining.pages.page_rows import Capture, PageLimits, page_rows
from schemas.outcomes import CountingOutcomes, IgnoredOutcomes
from schemas.storage import PARQUET
from schemas.tables import TABLES

_LIMITS = PageLimits(html_bytes=8 << 20, places=5000, data_uri_bytes=1 << 20)
_NO_OPT_OUTS = OptOutList(())


@dataclass(frozen=True)
class Ratio:
    """What a measurement gave: seconds of ours and of the peer, medians of runs taken in turns."""

    what: str
    ours: float
    peer: float
    aim: float

    def __str__(self) -> str:
        return (
            f"{self.what:<52}{self.ours:>10.3f}{self.peer:>10.3f}{self.ours / self.peer:>8.2f}   at most {self.aim:.2f}"
        )


def read_pages(archives: list[ArchiveFile]) -> list[Capture]:
    """The HTML answers of the archives, all with a stated language."""
    return [
        Capture(one.url, one.body, [*one.headers, ("Content-Language", "en")], one.date, archive.name)
        for archive in archives
        for one in read_records(archive, Limits(), lambda key: None, {})
        if isinstance(one, Record) and one.status == 200 and one.mime == "text/html" and one.body
    ]


def _extract(pages: list[Capture]) -> float:
    began = time.process_time()
    for page in pages:
        page_rows(page, "lensmithbot", _NO_OPT_OUTS, _LIMITS, IgnoredOutcomes())
    return time.process_time() - began


def _list_images(pages: list[Capture]) -> float:
    began = time.process_time()
    for page in pages:
        declared = next(iter(page.header_values("content-type")), None)
        text, _ = decode_page(page.body, declared)
        [node.attributes.get("src") for node in LexborHTMLParser(text).css("img")]
    return time.process_time() - began


def page_ratio(archives: list[ArchiveFile], repeat: int) -> tuple[Ratio, int]:
    """The first measurement, and how many pages it had."""
    pages = read_pages(archives)
    ours, peer = [], []
    for _ in range(repeat):
        ours.append(_extract(pages))
        peer.append(_list_images(pages))
    return Ratio(
        "a page, all fields / lexbor and <img src>", statistics.median(ours), statistics.median(peer), 2.5
    ), len(pages)


class PlainParquet(CountingOutcomes):
    """Outcomes that write tables as simply as can be."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._rows: dict[str, list[Mapping[str, Any]]] = {}
        self._bytes: dict[str, int] = {}

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        self._rows.setdefault(table, []).append(row)
        self._bytes[table] = self._bytes.get(table, 0) + sum(len(one) for one in row.values() if isinstance(one, bytes))
        if len(self._rows[table]) >= 4096 or self._bytes[table] > 8 << 20:
            self._flush(table)

    def _flush(self, table: str) -> None:
        schema = TABLES[table].schema
        if table not in self._writers:
            self._writers[table] = pq.ParquetWriter(self._folder / f"{table}.parquet", schema, **PARQUET)
        self._writers[table].write_table(pa.Table.from_pylist(self._rows[table], schema=schema))
        self._rows[table], self._bytes[table] = [], 0

    def close(self) -> None:
        self.finish()
        for table in list(self._rows):
            self._flush(table)
            self._writers[table].close()


def run_loop(archives: list[ArchiveFile], folder: Path) -> float:
    """Seconds of the plain loop."""
    began = time.perf_counter()
    outcomes = PlainParquet(folder)
    for archive in archives:
        extract_archive(archive, ExtractConfig(), outcomes, mark=lambda key: None, quarantine={})
    outcomes.close()
    return time.perf_counter() - began


def run_job(archives: list[ArchiveFile], folder: Path) -> float:
    """Seconds of the job in a process that has loaded what it needs."""
    from beam_jobs.extract_pages import pack, run_extract
    from beam_jobs.session import Session
    from beam_jobs.workspace import Workspace
    from lensmith.engine import BeamEngine
    from lensmith.settings import RunSettings

    began = time.perf_counter()
    plan = pack(archives, RunSettings().shard_bytes)
    run_extract(Session(Workspace(str(folder)), BeamEngine(())), plan, ExtractConfig())
    return time.perf_counter() - began


def copied(archives: list[ArchiveFile], copies: int, folder: Path) -> list[ArchiveFile]:
    """The archives so many times under other names, as hard links where that is possible."""
    for number in range(copies):
        for place, archive in enumerate(archives):
            target = folder / f"{number:03d}-{place:03d}-{archive.name}"
            try:
                os.link(archive.path, target)
            except OSError:
                shutil.copyfile(archive.path, target)
    return list_inputs([str(folder)])


def job_ratio(archives: list[ArchiveFile], repeat: int) -> Ratio:
    """The second measurement."""
    ours, peer = [], []
    for scratch in _folders(1):
        # Imports and the start of what is started once a process.
        run_job(archives[:1], scratch / "job")
    for scratch in _folders(repeat):
        (scratch / "loop").mkdir()
        peer.append(run_loop(archives, scratch / "loop"))
        ours.append(run_job(archives, scratch / "job"))
    return Ratio(
        "the job, one worker / the same functions in a loop", statistics.median(ours), statistics.median(peer), 1.25
    )


def _folders(count: int) -> Iterator[Path]:
    for _ in range(count):
        with tempfile.TemporaryDirectory() as scratch:
            yield Path(scratch)


def peak_memory(inputs: Path, archives: int) -> float:
    """Peak resident memory in MB of a process that reads so many archives of a folder as one shard."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.extract_pages",
        "--memory-of",
        str(archives),
        "--archives",
        str(inputs),
    ]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _shard_memory(archives: list[ArchiveFile]) -> float:
    """What the job's child process does, in this one: its peak resident memory in MB."""
    from beam_jobs.extract_pages import extract_in_child

    with tempfile.TemporaryDirectory() as scratch:
        extract_in_child(
            scratch,
            "extract_pages",
            "0" * 32,
            "00000000",
            archives,
            ExtractConfig(),
            mark=lambda key: None,
            quarantine={},
        )
    return peak_of_this_process()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archives", default="examples/*/*.warc.gz")
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        print(_shard_memory(list_inputs([options.archives])[: options.memory_of]))
        return
    archives = list_inputs(glob.glob(options.archives, recursive=True))
    pages, count = page_ratio(archives, options.repeat)
    print(f"{len(archives)} archives, {count} pages; medians of {options.repeat} runs")
    print(f"{'':<52}{'ours s':>10}{'peer s':>10}{'ratio':>8}   aim")
    print(pages)
    with tempfile.TemporaryDirectory() as folder:
        many = copied(archives, options.copies, Path(folder))
        print(job_ratio(many, max(1, options.repeat // 2)))
        full, quarter = (peak_memory(Path(folder), number) for number in (len(many), len(many) // 4))
    ratio = f"{full / quarter:.2f} (aim: at most 1.20)"
    print(f"peak memory {full:.0f} MB, with a quarter of the input {quarter:.0f} MB: {ratio}")


if __name__ == "__main__":
    main()
