"""An output folder and who it belongs to: its inputs, the plan of its shards, and one run at a time."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import IO, Any

from beam_jobs.extract_pages import pack
from beam_jobs.workspace import LAYOUT_VERSION, Workspace
from mining.archives.inputs import ArchiveFile
from schemas.errors import ConfigurationError
from schemas.ids import digest

_OUTPUT = "_work/output.json"
_PARTS = "_work/plans/extract_pages"
_LOCK = "_work/lock"
_LOCK_SECONDS = 1.0


@dataclass(frozen=True)
class OutputFolder:
    """What the folder fixed when it was first used."""

    layout: int
    shard_bytes: int
    buckets: int


def open_output(workspace: Workspace, shard_bytes: int, buckets: int) -> OutputFolder:
    """Take a new or empty folder, or go on in one of ours. Raises ConfigurationError for any other."""
    folder = workspace.folder
    if folder.is_local and os.path.exists(folder.root) and not os.path.isdir(folder.root):
        raise ConfigurationError(f"{workspace.path} is a file: --output names a folder.")
    if not folder.exists(_OUTPUT):
        others = [name for name in folder.list("") if name != "_work"]
        if others:
            raise ConfigurationError(
                f"{workspace.path} is not empty and is no output folder of Lensmith (it holds {others[0]}): "
                "choose another one with --output."
            )
        fixed = OutputFolder(LAYOUT_VERSION, shard_bytes, buckets)
        try:
            folder.create(_OUTPUT, json.dumps(asdict(fixed), indent=1).encode())
        except OSError as error:
            if folder.is_local:
                raise
            raise ConfigurationError(
                f"{workspace.path} cannot be written ({' '.join(str(error).split())}): check its address and the keys."
            ) from error
    stored = folder.read_json(_OUTPUT)
    if stored.get("layout") != LAYOUT_VERSION:
        raise ConfigurationError(
            f"{workspace.path} was written by another version of Lensmith: choose another one with --output."
        )
    return OutputFolder(**stored)


def workspace_at(path: str) -> Workspace:
    """The workspace of a path or address, local ones from the root: workers may stand elsewhere."""
    return Workspace(path if "://" in path else os.path.abspath(path))


def is_output(workspace: Workspace) -> bool:
    """Whether a run has used this folder."""
    return workspace.folder.exists(_OUTPUT)


def known_output(path: str) -> Workspace:
    """The workspace of a folder that a run has used. Raises ConfigurationError for any other."""
    workspace = workspace_at(path)
    if not is_output(workspace):
        raise ConfigurationError(f"{path} is no output folder of Lensmith: give the --output of a run.")
    return workspace


@contextmanager
def exclusive(workspace: Workspace) -> Iterator[None]:
    """One run at a time on a local folder; the lock ends with the process. On object stores two runs may overlap:
    manifests are created if absent, so that both end with the same dataset."""
    if not workspace.folder.is_local:
        yield
        return
    path = workspace.folder.at(_LOCK)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a+") as lock:
        # `lensmith status` holds the lock for a moment.
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _locked(lock, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                lock.seek(0)
                process = f" (process {holder})" if (holder := lock.read().strip()) else ""
                raise ConfigurationError(
                    f"another run{process} is at work on {workspace.path}: wait for its end, or choose another "
                    "--output."
                )
            time.sleep(0.05)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def at_work(workspace: Workspace) -> bool | None:
    """Whether a run works on a local folder; None where there is no lock that would tell."""
    if not workspace.folder.is_local:
        return None
    try:
        with open(workspace.folder.at(_LOCK)) as lock:
            return not _locked(lock, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def _locked(lock: IO[str], kind: int) -> bool:
    """Whether the lock is ours now. A disk without locks lets everyone in."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
            raise
    return True


@dataclass(frozen=True)
class InputPlan:
    """The extraction shards in their order, and whether this run added any."""

    shards: tuple[tuple[ArchiveFile, ...], ...]
    added: int = 0

    @property
    def archives(self) -> list[ArchiveFile]:
        """All archives in the order of the plan."""
        return [archive for shard in self.shards for archive in shard]

    @property
    def owner(self) -> str:
        """Names the inputs in the dataset: the same archives give the same name wherever they lie."""
        return digest("owner", *sorted(f"{one.name} {one.size}" for one in self.archives))[:32]


def plan_inputs(workspace: Workspace, output: OutputFolder, archives: Sequence[ArchiveFile], extend: bool) -> InputPlan:
    """The stored plan, made of `archives` the first time; `extend` appends those that it lacks.

    Raises ConfigurationError if the folder belongs to other inputs.
    """
    shards, parts = _stored(workspace)
    if not parts:
        planned = pack(archives, output.shard_bytes)
        _store(workspace, 0, planned)
        return InputPlan(tuple(map(tuple, _stored(workspace)[0])), len(planned))
    known = {(one.path, one.fingerprint) for shard in shards for one in shard}
    given = {(one.path, one.fingerprint) for one in archives}
    if not extend:
        if given != known:
            raise ConfigurationError(_other_inputs(workspace, known, given))
        return InputPlan(tuple(map(tuple, shards)))
    changed = sorted({path for path, _ in given - known} & {path for path, _ in known})
    if changed:
        raise ConfigurationError(
            f"{changed[0]} has changed since {workspace.path} read it: choose another --output for its new content."
        )
    new = [one for one in archives if (one.path, one.fingerprint) not in known]
    if new:
        _store(workspace, parts, pack(new, output.shard_bytes))
    return InputPlan(tuple(map(tuple, _stored(workspace)[0])), len(new))


def stored_plan(workspace: Workspace) -> InputPlan:
    """The plan of a folder that has one. Raises ConfigurationError if its inputs were never read."""
    shards, parts = _stored(workspace)
    if not parts:
        raise ConfigurationError(f"{workspace.path} has no pages yet: run extract-pages with --input first.")
    return InputPlan(tuple(map(tuple, shards)))


def _stored(workspace: Workspace) -> tuple[list[list[ArchiveFile]], int]:
    names = workspace.folder.list(_PARTS)
    shards: list[list[ArchiveFile]] = []
    for name in names:
        part: list[list[dict[str, Any]]] = workspace.folder.read_json(f"{_PARTS}/{name}")
        shards += [[ArchiveFile(**one) for one in shard] for shard in part]
    return shards, len(names)


def _store(workspace: Workspace, number: int, shards: Sequence[Sequence[ArchiveFile]]) -> None:
    data = json.dumps([[asdict(one) for one in shard] for shard in shards], indent=1).encode()
    workspace.folder.create(f"{_PARTS}/{number:04d}.json", data)


def _other_inputs(workspace: Workspace, known: set[tuple[str, str]], given: set[tuple[str, str]]) -> str:
    new = sorted(path for path, _ in given - known)
    gone = sorted(path for path, _ in known - given)
    changed = sorted(set(new) & set(gone))
    if changed:
        return f"{changed[0]} has changed since {workspace.path} read it: choose another --output for its new content."
    if new:
        return f"{workspace.path} belongs to other inputs ({new[0]} is new): add --extend, or choose another --output."
    return f"{workspace.path} belongs to more inputs than given ({gone[0]} is missing): give them all, or add --extend."
