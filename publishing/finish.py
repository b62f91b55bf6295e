"""The last step of a publication: a folder of finished files takes the place of the dataset at once."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from publishing.description import MANIFEST, PublishedFile, read_description
from publishing.tombstones import TOMBSTONES
from schemas.errors import ConfigurationError
from schemas.published import PUBLISHED
from schemas.storage import Folder

_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
#: End of the name of a dataset on its way out, where the system cannot exchange folders.
_OLD = ".old"
#: Written last on an object store: until then readers see the old card.
_LAST = "README.md"
_FUNNEL = "funnel.json"


@dataclass(frozen=True)
class StagedFile:
    """A finished data file: where it lies (a path on the dataset's own filesystem) and what it becomes."""

    source: str
    file: PublishedFile


def check_target(target: Folder, owner: str) -> None:
    """Raise ConfigurationError unless `target` is absent, empty, or a dataset that `owner` published."""
    if not target.list(""):
        return
    if not target.exists(MANIFEST):
        raise ConfigurationError(
            f"{target.path} is not empty and holds no dataset of Lensmith: choose another output folder or empty it."
        )
    other = read_description(target).owner
    if other != owner:
        raise ConfigurationError(
            f"{target.path} holds the dataset of another run: choose another output folder or remove that dataset."
        )


def replace_dataset(target: Folder, owner: str, staged: Sequence[StagedFile], documents: Mapping[str, bytes]) -> bool:
    """Make `target` hold exactly the staged files and the documents; False if it does already.

    On a local disk the new folder, made of hard links where the disk allows, is exchanged with the old one in one
    step: a kill leaves the old dataset or the new one. On an object store files are copied first, the card last, and
    then superseded files are removed. Sources are left where they are.
    """
    check_target(target, owner)
    if _is_current(target, staged, documents):
        return False
    if target.is_local:
        _replace_local(target, staged, documents)
    else:
        _replace_remote(target, staged, documents)
    return True


def beside(target: Folder, kind: str) -> Folder:
    """A folder of an own name next to `target`, for files on their way (`kind` is `staged` or `scratch`)."""
    path = target.root if target.is_local else target.path.rstrip("/")
    parent, _, name = path.rpartition("/")
    return Folder(f"{parent}/.{name}.{kind}-{uuid.uuid4().hex[:8]}")


def discard(folder: Folder) -> None:
    """Remove a folder with all that is in it; an absent one is no error."""
    if folder.is_local:
        # Not by fsspec, which asks for the working folder: that may be the very one that was replaced.
        shutil.rmtree(folder.root, ignore_errors=not os.path.exists(folder.root))
    else:
        folder.remove("", recursive=True)


def sweep(target: Folder, kind: str) -> None:
    """Remove what killed publications (`staged`) or take-downs (`scratch`) left beside a local `target`; a dataset
    that a kill caught between the renames of `exchange` goes back to its place."""
    if target.is_local:
        parent, name = os.path.split(target.root)
        beside = Folder(parent)
        for entry in beside.list(""):
            if entry.startswith(f".{name}.{kind}-"):
                if entry.endswith(_OLD) and not os.path.exists(target.root):
                    os.rename(beside.at(entry), target.root)
                else:
                    beside.remove(entry, recursive=True)


def _is_current(target: Folder, staged: Sequence[StagedFile], documents: Mapping[str, bytes]) -> bool:
    """Whether every document is there byte for byte (the manifest holds the digests of the data), every file is, and
    no other file that a reader's globs would find."""
    wanted = {one.file.name: one.file.bytes for one in staged}
    try:
        if any(target.read(name) != data for name, data in documents.items()):
            return False
        if any(target.fs.size(target.at(name)) != size for name, size in wanted.items()):
            return False
    except FileNotFoundError:
        return False
    tables = {f"{one.folder}/{name}" for one in PUBLISHED for name in target.list(one.folder)}
    return tables == wanted.keys() and target.exists(TOMBSTONES) == (TOMBSTONES in documents)


def _replace_local(target: Folder, staged: Sequence[StagedFile], documents: Mapping[str, bytes]) -> None:
    sweep(target, "staged")
    new = beside(target, "staged").root
    os.makedirs(new)
    for one in staged:
        path = os.path.join(new, one.file.name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _link_or_copy(one.source, path)
    for document, data in documents.items():
        with open(os.path.join(new, document), "wb") as sink:
            sink.write(data)
            sink.flush()
            os.fsync(sink.fileno())
    if not os.path.exists(target.root):
        os.rename(new, target.root)
        return
    exchange(new, target.root)
    discard(Folder(new))


def exchange(first: str, second: str) -> None:
    """Exchange two local folders, in one step where the system can (Linux), else by three renames."""
    if not _exchange_at_once(first, second):
        spare = f"{first}{_OLD}"
        os.rename(second, spare)
        os.rename(first, second)
        os.rename(spare, first)


def _exchange_at_once(first: str, second: str) -> bool:
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    arguments = (_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    if rename(*arguments) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), second)


def _link_or_copy(source: str, path: str) -> None:
    try:
        os.link(source, path)
    except OSError:
        # Another device, or a disk without hard links.
        Folder(os.path.dirname(path)).fs.cp_file(source, path)


def _replace_remote(target: Folder, staged: Sequence[StagedFile], documents: Mapping[str, bytes]) -> None:
    superseded = set(_files(target))
    if MANIFEST not in superseded:
        # First of all, so that a kill leaves a folder that is known as ours.
        target.replace(MANIFEST, documents[MANIFEST])
        target.replace(_FUNNEL, documents[_FUNNEL])
    for one in staged:
        if one.source != target.at(one.file.name):
            target.fs.cp_file(one.source, target.at(one.file.name))
    for name in sorted(documents, key=lambda name: (name == _LAST, name)):
        target.replace(name, documents[name])
    for name in sorted(superseded - {one.file.name for one in staged} - documents.keys()):
        target.remove(name)


def _files(target: Folder) -> list[str]:
    try:
        found = target.fs.find(target.root)
    except FileNotFoundError:
        return []
    prefix = target.root.lstrip("/") + "/"
    return [path.lstrip("/").removeprefix(prefix) for path in found]
