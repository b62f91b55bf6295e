"""The output folder and its `_work` area: where plans, manifests, index checkpoints and samples lie."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from schemas.errors import LensmithError
from schemas.ids import canonical_json, digest
from schemas.outcomes import Counts
from schemas.storage import Folder

#: Bumped when the layout of `_work` changes so that an older one cannot be read.
LAYOUT_VERSION = 1


def stage_of(job: str) -> str:
    """The stage that a shard job belongs to: `extract_pages` of `extract_pages.revisits`."""
    return job.partition(".")[0]


@dataclass(frozen=True)
class DataFile:
    """One data file that a manifest names: path relative to the output folder, rows, bytes, hex SHA-256."""

    path: str
    rows: int
    bytes: int
    digest: str


@dataclass(frozen=True)
class Manifest:
    """What one shard of one stage committed. `order` is the shard's place in its plan: readers go by it."""

    stage: str
    key: str
    files: Mapping[str, Sequence[DataFile]]
    counts: Counts
    seconds: float = 0.0
    notes: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """Hex digest of the committed content (names of files, times and attempts left out)."""
        parts = [self.stage]
        for table in sorted(self.files):
            parts += [table, *(one.digest for one in self.files[table])]
        parts.append(canonical_json(self.counts.to_json()))
        return digest(*parts)

    def to_json(self) -> dict[str, Any]:
        """The manifest as its file holds it."""
        return {
            "stage": self.stage,
            "key": self.key,
            "files": {
                table: [[one.path, one.rows, one.bytes, one.digest] for one in files]
                for table, files in sorted(self.files.items())
            },
            "counts": self.counts.to_json(),
            "seconds": round(self.seconds, 3),
            "notes": dict(self.notes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Manifest:
        """Read what `to_json` wrote."""
        files = {table: tuple(DataFile(*one) for one in rows) for table, rows in data["files"].items()}
        counts = Counts.from_json(data["counts"])
        return cls(data["stage"], data["key"], files, counts, data["seconds"], data["notes"])


@dataclass(frozen=True)
class Workspace:
    """An output folder, named by one string so that it travels to workers as text."""

    path: str

    @property
    def folder(self) -> Folder:
        """The folder itself."""
        return Folder(self.path)

    def manifest_name(self, stage: str, key: str) -> str:
        """Where the manifest of a shard lies."""
        return f"_work/manifests/{stage}/{key}.json"

    def manifest(self, stage: str, key: str) -> Manifest | None:
        """The manifest of a shard, None if it has not been committed."""
        try:
            return Manifest.from_json(self.folder.read_json(self.manifest_name(stage, key)))
        except FileNotFoundError:
            return None

    def commit(self, manifest: Manifest) -> bool:
        """Create the manifest if absent: the only commit of a shard. False if another attempt was first."""
        data = json.dumps(manifest.to_json(), indent=1, sort_keys=True).encode()
        return self.folder.create(self.manifest_name(manifest.stage, manifest.key), data)

    def committed(self, stage: str) -> set[str]:
        """Keys of all committed shards of a stage, in force or not."""
        names = self.folder.list(f"_work/manifests/{stage}")
        return {name[: -len(".json")] for name in names if name.endswith(".json")}

    def manifests(self, stage: str, keys: Iterable[str]) -> list[Manifest]:
        """The manifests of a plan, in its order; a missing one is an error of ours."""
        found = []
        for key in keys:
            manifest = self.manifest(stage, key)
            if manifest is None:
                raise LensmithError(f"shard {key} of {stage} has no manifest: run the stage again.")
            found.append(manifest)
        return found

    def set_in_force(self, stage: str, keys: Sequence[str], basis: str) -> None:
        """Note which shards of a stage stand for its result now."""
        data = {"stage": stage, "basis": basis, "keys": list(keys)}
        self.folder.replace(f"_work/in_force/{stage}.json", json.dumps(data, indent=1).encode())

    def jobs_in_force(self, stage: str) -> list[str]:
        """The jobs of a stage that have a result in force."""
        names = [name.removesuffix(".json") for name in self.folder.list("_work/in_force")]
        return [name for name in names if stage_of(name) == stage]

    def end_force(self, job: str) -> None:
        """A job that is part of its stage no longer has no result; its manifests go with the next cleaning."""
        self.folder.remove(f"_work/in_force/{job}.json")

    def has_run(self, stage: str) -> bool:
        """Whether a result of a stage was noted, be it empty."""
        return self.folder.exists(f"_work/in_force/{stage}.json")

    def in_force(self, stage: str) -> list[str]:
        """Keys of the shards that stand for a stage's result, in plan order; none if it never ran."""
        try:
            return list(self.folder.read_json(f"_work/in_force/{stage}.json")["keys"])
        except FileNotFoundError:
            return []


def basis_of(manifests: Iterable[Manifest], *more: str) -> str:
    """Digest of upstream results: equal results give equal keys further down."""
    return digest(*(one.digest for one in manifests), "|", *more)
