"""How time and memory of mining over a whole corpus grow: every miner on a made corpus, on one of half the size too.

    python -m benchmarks.corpus_mining [--pages 10000] [--images 100000] [--from RUN] [-- BEAM OPTIONS]

The corpus is what `mine_pairs.pages` leaves (`benchmarks.made_corpus`): features of the images of RUN, an output folder
of `lensmith run`, repeated with noise; without it, made ones of a like spectrum. Jobs and index steps run one after the
other, each in a process of its own, on one thread; index steps exchange their messages through buckets on disk
(`benchmarks.bounded_engine`). Processor seconds are what a busy machine moves least. With Beam options all runs as a
user's job does, on that runner, and the table has wall seconds alone; workers must be able to import `benchmarks`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from beam_jobs.corpus.run import run_corpus
from beam_jobs.session import Session
from beam_jobs.workspace import Workspace
from benchmarks.bounded_engine import BoundedEngine, Taken, WallEngine
from benchmarks.made_corpus import Features, features_of_run, made_features, mine_pages, write_corpus
from mining.annotation import AnnotateConfig
from mining.mine_config import MineConfig

_QUICK = (300, 1500)
#: All that need no files of images, which a made corpus has not: `instances` has a benchmark of its own, and
#: `hard_rounds` takes a model's rankings.
MINERS = ("co_occurrence", "groups_of_six", "neighbours", "mid_rank", "entities", "versions")


def config_of(
    exact_up_to: int | None = None, images_per_part: int | None = None, miners: Sequence[str] = MINERS
) -> MineConfig:
    """The miners with their defaults, under caps and a quota."""
    search = {"exact_up_to": exact_up_to, "images_per_part": images_per_part}
    given = {name: value for name, value in search.items() if value is not None}
    caps = {"query": 10, "target": 20, "cluster": 1_000_000, "site": 100_000}
    return MineConfig.model_validate(
        {"miners": list(miners), "quotas": {miners[-1]: 10_000_000}, "caps": caps, "search": given}
    )


def measure(
    folder: Path,
    real: Features,
    pages: int,
    images: int,
    config: MineConfig,
    profile: Path | None = None,
    beam: Sequence[str] = (),
) -> Mapping[str, Taken]:
    """Make a corpus and mine it: what each job and index step took, and how many pairs there are (`pairs`)."""
    folder.mkdir(parents=True)
    workspace = Workspace(str(folder / "out"))
    bounded = BoundedEngine(folder, profile=profile)
    engine = WallEngine(beam) if beam else bounded

    keys = folder / "keys.json"

    def make() -> tuple[int, int, int]:
        keys.write_text(json.dumps(write_corpus(workspace, real, pages, images, max(10, min(5000, pages // 4)))))
        return 1, 0, 0

    bounded.measured("make", make)
    session = Session(workspace, engine)
    made_corpus = mine_pages(session, json.loads(keys.read_text()), config)
    mined = run_corpus(session, made_corpus.extracted, made_corpus.pages, config, AnnotateConfig(threads=1))
    made = sum(one.counts.made["pair"] for one in mined)
    _check(workspace)
    return {**engine.found, "pairs": Taken(shards=made)}


def _check(workspace: Workspace) -> None:
    """Say how good the approximation was, where there was one."""
    for manifest in workspace.manifests("mine_pairs.recall", workspace.in_force("mine_pairs.recall")):
        print(f"recall against exact search: {manifest.notes}")
    for manifest in workspace.manifests("mine_pairs.train", workspace.in_force("mine_pairs.train")):
        print(f"index: {manifest.notes}")


def print_table(whole: Mapping[str, Taken], half: Mapping[str, Taken] | None) -> None:
    """A line for each job and index step, and the sums."""
    print(f"{'':<32}{'shards':>7}{'cpu s':>9}{'wall s':>9}{'MB':>7}{'messages':>12}{'MB sent':>9}{'to half':>9}")
    found = {label: one for label, one in whole.items() if label != "pairs"}
    for label, one in found.items():
        ratio = f"{one.seconds / half[label].seconds:.2f}" if half and half.get(label, Taken()).seconds > 0.05 else ""
        sizes = f"{one.messages:>12}{one.bytes / 1e6:>9.1f}" if one.messages else f"{'':>21}"
        line = f"{label:<32}{one.shards:>7}{one.seconds:>9.1f}{one.wall:>9.1f}{one.megabytes:>7.0f}{sizes}{ratio:>9}"
        print(line)
    seconds = sum(one.seconds for one in found.values())
    less = sum(one.seconds for label, one in half.items() if label != "pairs") if half else 0.0
    peak = max(one.megabytes for one in found.values())
    ratio = f"{seconds / less:>9.2f}" if less else ""
    print(f"{'all':<39}{seconds:>9.1f}{sum(one.wall for one in found.values()):>9.1f}{peak:>7.0f}{'':>21}{ratio}")
    print(f"{whole['pairs'].shards} pairs")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=10_000)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--from", dest="run", help="output folder of a run whose features are repeated")
    parser.add_argument("--alone", action="store_true", help="leave out the corpus of half the size")
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK[0]} pages with {_QUICK[1]} images")
    parser.add_argument("--exact-up-to", type=int, help="as mine_pairs.search.exact_up_to")
    parser.add_argument("--images-per-part", type=int, help="as mine_pairs.search.images_per_part")
    parser.add_argument("--profile", type=Path, help="folder for profiles of each job (they slow it down)")
    parser.add_argument("--scratch", type=Path, help="folder for the tables, which are kept; default a temporary one")
    parser.add_argument("--miners", default=",".join(MINERS), help="names, comma-separated")
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    beam = words[split + 1 :]
    options = parser.parse_args(words[:split])
    pages, images = _QUICK if options.quick else (options.pages, options.images)
    config = config_of(options.exact_up_to, options.images_per_part, options.miners.split(","))
    real = features_of_run(options.run) if options.run else made_features()
    with tempfile.TemporaryDirectory() as temporary:
        scratch = options.scratch or Path(temporary)
        half = None if options.alone else measure(scratch / "half", real, pages // 2, images // 2, config, beam=beam)
        whole = measure(scratch / "whole", real, pages, images, config, options.profile, beam)
    print(f"{pages} pages with {images} images of {len(real.looks)} real ones; peak of one process, Beam not loaded")
    print_table(whole, half)


if __name__ == "__main__":
    main()
