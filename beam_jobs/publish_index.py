"""Index steps of `publish_dataset`: the split and the place of each image, near duplicates together, images by id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beam_jobs.image_places import ImagePlace, image_sources
from beam_jobs.index_step import NO_ANSWERS, Answers, Message, answer_map
from beam_jobs.locate_images import LocateTask
from beam_jobs.session import asker
from beam_jobs.tables import batches, rows, rows_at
from beam_jobs.workspace import Manifest, Workspace
from publishing.config import PublishConfig
from publishing.splits import phash_bands, split_of_unit, split_unit, strictest, strictest_of_near_duplicates
from schemas.published import SPLITS

_SPLIT, _PLACE = b"s", b"p"
_PLACE_SIZE = 18
#: Longer addresses and licences do not travel: an address is read where it lies, a licence is cut.
_URL_BYTES, _LICENSE_BYTES = 288, 200


@dataclass(frozen=True)
class PublishedImage:
    """What is known of an image that may be published: its split, where it lies, the address it came from (None where
    it is too long to travel: see `addresses`)."""

    split: str
    place: ImagePlace
    url: str | None

    @classmethod
    def unpack(cls, data: bytes) -> PublishedImage:
        """Read an answer of `ImageSplits`."""
        place = ImagePlace.unpack(data[1 : 1 + _PLACE_SIZE])
        return cls(SPLITS[data[0]], place, data[1 + _PLACE_SIZE :].decode("utf-8", "surrogatepass") or None)


@dataclass(frozen=True)
class SplitTask:
    """A shard of pairs (with a `number`) that asks for its images, or a shard of images (with a `source`)."""

    shard: LocateTask
    source: int | None = None


@dataclass(frozen=True)
class ImageSplits:
    """Images to the strictest split of the pages that show them, and to the first place where their bytes lie."""

    workspace: Workspace
    config: PublishConfig
    name: str = "image_splits"

    def messages(self, task: SplitTask) -> Iterator[Message]:
        """Splits of pages by image, and places of images."""
        manifest = self.workspace.manifests(task.shard.job, [task.shard.key])[0]
        if task.source is None:
            assert task.shard.number is not None
            own = asker(task.shard.number)
            told: dict[str, set[str]] = {}
            for row in shown_rows(self.workspace, manifest, ["image_id", "site", "page_url"]):
                unit = split_unit(self.config, row["site"], row["page_url"])
                split = split_of_unit(self.config.seed, unit, self.config.shares)
                told.setdefault(row["image_id"], set()).add(split)
            for image_id in sorted(told):
                yield image_id, own, _SPLIT + bytes([SPLITS.index(strictest(told[image_id]))])
            return
        seen: set[str] = set()
        for number, file in enumerate(manifest.files.get("images", ())):
            row_number = 0
            for batch in batches(self.workspace, [file], ["image_id", "url", "bytes"], rows=64):
                for image_id, url, data in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    if image_id not in seen:
                        seen.add(image_id)
                        place = ImagePlace(task.source, number, row_number, len(data))
                        yield image_id, "", _PLACE + place.pack() + _packed_url(url)
                    row_number += 1

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The strictest split with the first place."""
        splits = [SPLITS[value[1]] for value in values if value[:1] == _SPLIT]
        places = [value[1:] for value in values if value[:1] == _PLACE]
        if splits and places:
            answer = bytes([SPLITS.index(strictest(splits))]) + min(places)
            yield from ((one, answer) for one in askers)


@dataclass(frozen=True)
class NearDuplicateTask:
    """A shard of pairs with the answers of `ImageSplits` and those of the rounds of `NearDuplicates` before."""

    shard: LocateTask
    answers: str | None
    moved: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class NearDuplicates:
    """Images whose hashes differ in few bits meet in bands of the hash and take the strictest split among them.

    An image that moves in one band may leave a near duplicate behind in another one: the next round brings that one
    after it.
    """

    workspace: Workspace
    config: PublishConfig
    name: str = "near_duplicates"

    def messages(self, task: NearDuplicateTask) -> Iterator[Message]:
        """Each image of the shard in each of its bands."""
        assert task.shard.number is not None
        own = asker(task.shard.number)
        manifest = self.workspace.manifests(task.shard.job, [task.shard.key])[0]
        known = splits_of(published_images(self.workspace, task.answers), moved_images(self.workspace, task.moved))
        found = shown_rows(self.workspace, manifest, ["image_id", "phash"])
        hashes = {row["image_id"]: row["phash"] for row in found}
        for image_id in sorted(hashes.keys() & known.keys()):
            split = bytes([SPLITS.index(known[image_id])])
            for band in phash_bands(hashes[image_id]):
                yield band, own, split + bytes.fromhex(hashes[image_id]) + bytes.fromhex(image_id)

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The images of the band that move, with their new split."""
        members = [(value[9:].hex(), value[1:9].hex(), SPLITS[value[0]]) for value in sorted(set(values))]
        if len(members) < 2:
            return
        before = {image_id: split for image_id, _, split in members}
        after = strictest_of_near_duplicates(members, self.config.near_duplicate_distance)
        moved = [(image_id, split) for image_id, split in sorted(after.items()) if split != before[image_id]]
        if moved:
            answer = b"".join(bytes([SPLITS.index(split)]) + bytes.fromhex(image_id) for image_id, split in moved)
            yield from ((one, answer) for one in askers)


@dataclass(frozen=True)
class ImagesById:
    """Images that published triplets name, each once, to the range of ids and the split that they belong to."""

    workspace: Workspace
    name: str = "images_by_id"

    def messages(self, task: LocateTask) -> Iterator[Message]:
        """Each image once a shard; the asker is a range of ids in a split."""
        manifest = self.workspace.manifests(task.job, [task.key])[0]
        for row in rows(self.workspace, manifest, "assigned_images"):
            place = ImagePlace(row["source"], row["file"], row["row"], row["bytes"])
            license_text = (row["license"] or "").encode()[:_LICENSE_BYTES].decode("utf-8", "ignore").encode()
            # A stated licence sorts before none, so that it is the one that stands.
            stated = (b"\x00" if license_text else b"\x01") + license_text
            value = place.pack() + stated + b"\x1f" + _packed_url(row["url"])
            yield row["image_id"], f"{row['split']}-{row['image_id'][:1]}", value

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        """The image once, to its one range."""
        yield askers[0], min(values)


@dataclass(frozen=True)
class ImageRow:
    """An answer of `ImagesById`: a row of the configuration `images` and where its bytes lie. `url` is None where it is
    too long to travel: see `addresses`."""

    image_id: str
    place: ImagePlace
    url: str | None
    license: str | None

    @classmethod
    def unpack(cls, image_id: str, data: bytes) -> ImageRow:
        """Read an answer."""
        license_text, _, url = data[_PLACE_SIZE + 1 :].partition(b"\x1f")
        place = ImagePlace.unpack(data[:_PLACE_SIZE])
        return cls(image_id, place, url.decode("utf-8", "surrogatepass") or None, license_text.decode() or None)


def shown_rows(workspace: Workspace, manifest: Manifest, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Rows of `eligible` of a shard of pairs, and those of other pages that its hard negatives name."""
    yield from rows(workspace, manifest, "eligible", columns)
    yield from rows(workspace, manifest, "negative_images", columns)


def published_images(workspace: Workspace, path: str | None) -> dict[str, PublishedImage]:
    """The answers of `ImageSplits` to one shard."""
    return {image_id: PublishedImage.unpack(data) for image_id, data in answer_map(workspace, path).items()}


def moved_images(workspace: Workspace, paths: Sequence[str | None]) -> Mapping[str, str]:
    """The answers of all rounds of `NearDuplicates` to one shard: image id → the strictest split that one gave it."""
    moved: dict[str, str] = {}
    for path in paths:
        for data in answer_map(workspace, path).values():
            for start in range(0, len(data), 33):
                image_id, split = data[start + 1 : start + 33].hex(), SPLITS[data[start]]
                moved[image_id] = strictest((split, moved.get(image_id, split)))
    return moved


def splits_of(images: Mapping[str, PublishedImage], moved: Mapping[str, str]) -> dict[str, str]:
    """Image id → its split, its near duplicates considered."""
    return {name: strictest((one.split, moved.get(name, one.split))) for name, one in images.items()}


def addresses(workspace: Workspace, places: Mapping[str, ImagePlace]) -> dict[str, str]:
    """Image id → the address it came from, read where the image lies."""
    sources = image_sources(workspace)
    wanted: dict[tuple[int, int], dict[int, str]] = {}
    for image_id, place in places.items():
        wanted.setdefault((place.source, place.file), {})[place.row] = image_id
    found = {}
    for (source, file), numbers in sorted(wanted.items()):
        job, key = sources[source]
        data = workspace.manifests(job, [key])[0].files["images"][file]
        for number, row in rows_at(workspace, data, list(numbers), ["url"]):
            found[numbers[number]] = row["url"]
    return found


def _packed_url(url: str) -> bytes:
    data = url.encode("utf-8", "surrogatepass")
    return data if len(data) <= _URL_BYTES else b""


def none_if_missing(answers: Mapping[str, Answers], name: str) -> Answers:
    """The answers to an asker, empty ones if it has none."""
    return answers.get(name, NO_ANSWERS)
