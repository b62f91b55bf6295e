"""One finished run of a small site with the real models of the preset local, which many tests look at."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
#: Few buckets, so that few processes load a language model.
CONFIG = """
run: {host_buckets: 2}
publish_dataset: {split_unit: page, shares: {train: 0.5, validation: 0.0, test: 0.5}}
"""


@dataclass(frozen=True)
class Job:
    """A folder with archives in `input` and `more` and a configuration; runs of it go beside them."""

    root: Path

    @property
    def command(self) -> list[str]:
        """The command line up to the name of the command."""
        return [sys.executable, "-m", "lensmith"]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of commands: they may stand anywhere."""
        return os.environ | {"PYTHONPATH": str(REPOSITORY)}

    def arguments(self, output: Any, *more: Any) -> list[str]:
        """The arguments of a whole run."""
        inputs = ["--input", self.root / "input", "--output", output, "--config", self.root / "own.yaml"]
        return [str(one) for one in ("run", *inputs, "--no-fetch", *more)]

    def lensmith(self, *arguments: Any, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        command = [*self.command, *map(str, arguments)]
        environment = self.environment | more.pop("env", {})
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=800, **more)

    def run(self, output: Any, *more: Any) -> subprocess.CompletedProcess[str]:
        """Run the whole job to its end."""
        return self.lensmith(*self.arguments(output, *more))

    def start(self, output: Any, *more: Any) -> subprocess.Popen[bytes]:
        """Start the whole job in a process group of its own, as a shell does."""
        command = [*self.command, *self.arguments(output, *more)]
        quiet = subprocess.DEVNULL
        return subprocess.Popen(command, env=self.environment, stdout=quiet, stderr=quiet, start_new_session=True)


def _site_files() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_files", REPOSITORY / "tests" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules["site_files"] = made
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A small site to run."""
    made = _site_files()
    root = tmp_path_factory.mktemp("job")
    answers = made.small_site(pages=4)
    made.write_warc(root / "input" / "a.warc.gz", answers[: len(answers) // 2])
    made.write_warc(root / "input" / "b.warc.gz", answers[len(answers) // 2 :])
    made.write_warc(root / "more" / "c.warc.gz", made.small_site("http://other.example", pages=2, seed=500))
    (root / "own.yaml").write_text(CONFIG)
    return Job(root)


@pytest.fixture(scope="session")
def finished(job: Job) -> Path:
    """The output of an undisturbed run."""
    done = job.run(job.root / "out")
    assert done.returncode == 0, done.stderr
    return job.root / "out"


@pytest.fixture(scope="session")
def digests() -> Callable[[Path], dict[str, str]]:
    """`digests(folder)`: the digest of every file below it."""

    def found(folder: Path) -> dict[str, str]:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    return found


@pytest.fixture(scope="session")
def rows() -> Callable[[Path, str], list[dict[str, Any]]]:
    """`rows(output, table)`: what its files hold."""

    def read(output: Path, table: str) -> list[dict[str, Any]]:
        return [row for path in sorted((output / table).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]

    return read
