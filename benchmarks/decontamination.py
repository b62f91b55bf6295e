"""How many altered copies of a benchmark's images are found, and how many unrelated images are taken for one.

    python -m benchmarks.decontamination [--crawls FOLDER] [--names A,B,…] [--planted N] [--unrelated N]

Each folder below FOLDER is one crawl (`**/*.warc.gz`). Of each crawl N images (at least 100 pixels a side, not flat,
at most 3 times as long as wide) make a benchmark of their own; copies of them are altered in one way each and saved as
PNG unless said otherwise. Unrelated images are the pictures of the other crawls, and cuts of them (30 to 80% of each
side, anywhere), as many of each crawl: a match of such an image with another crawl's benchmark is a false alarm.
Without --crawls the example's pages are read, and there is nothing unrelated.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from benchmarks.annotate_images import archived_images
from mining.annotation import AnnotateConfig, load_models
from mining.decoding import decode, square
from mining.decontamination.config import DecontaminationConfig, FingerprintConfig
from mining.decontamination.fingerprints import Fingerprints
from mining.decontamination.make import image_prints
from mining.decontamination.write import Origin, TextPrints, write_fingerprints
from mining.hashing import flatness, grey, perceptual_hash
from mining.sketches import sketches

Picture = Image.Image
Looked = tuple[npt.NDArray[np.uint64], npt.NDArray[np.int8]]


def saved(picture: Picture, quality: int | None = None) -> bytes:
    """The picture as PNG, or as JPEG of a quality."""
    sink = io.BytesIO()
    picture.save(sink, "PNG" if quality is None else "JPEG", **({} if quality is None else {"quality": quality}))
    return sink.getvalue()


def resized(picture: Picture, scale: float) -> Picture:
    """The picture at another size."""
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.BICUBIC)


def cut(picture: Picture, side: float, place: tuple[float, float]) -> Picture:
    """A part of the picture: `side` of each side, at a place 0…1 across and down."""
    width, height = max(1, round(picture.width * side)), max(1, round(picture.height * side))
    left, top = round((picture.width - width) * place[0]), round((picture.height - height) * place[1])
    return picture.crop((left, top, left + width, top + height))


def mirrored(picture: Picture) -> Picture:
    """Left is right."""
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def with_logo(picture: Picture) -> Picture:
    """A red square with a white disc in the lower right corner, 15% of the shorter side."""
    picture = picture.copy()
    side = max(8, round(min(picture.size) * 0.15))
    left, top = picture.width - side - side // 4, picture.height - side - side // 4
    draw = ImageDraw.Draw(picture)
    draw.rectangle((left, top, left + side, top + side), fill=(220, 30, 30))
    draw.ellipse((left + side // 5, top + side // 5, left + side * 4 // 5, top + side * 4 // 5), fill=(255, 255, 255))
    return picture


def framed(picture: Picture, colour: tuple[int, int, int]) -> Picture:
    """A border of 5% of the shorter side."""
    width = max(1, round(min(picture.size) * 0.05))
    whole = Image.new("RGB", (picture.width + 2 * width, picture.height + 2 * width), colour)
    whole.paste(picture, (width, width))
    return whole


def edits(rng: np.random.Generator) -> dict[str, Callable[[Picture], bytes]]:
    """Ways to alter a picture, as files."""

    def anywhere() -> tuple[float, float]:
        return float(rng.random()), float(rng.random())

    found: dict[str, Callable[[Picture], bytes]] = {"unchanged": saved}
    for percent in (25, 50, 75, 150, 200):
        found[f"resized to {percent}%"] = lambda one, scale=percent / 100: saved(resized(one, scale))
    for quality in (30, 50, 70, 90):
        found[f"JPEG, quality {quality}"] = lambda one, quality=quality: saved(one, quality)
    found |= {
        "cut to 90% of each side, middle": lambda one: saved(cut(one, 0.9, (0.5, 0.5))),
        "cut to 90% of each side, anywhere": lambda one: saved(cut(one, 0.9, anywhere())),
        "cut to 90% of the area, anywhere": lambda one: saved(cut(one, 0.9**0.5, anywhere())),
        "mirrored": lambda one: saved(mirrored(one)),
        "brighter (1.25)": lambda one: saved(ImageEnhance.Brightness(one).enhance(1.25)),
        "darker (0.75)": lambda one: saved(ImageEnhance.Brightness(one).enhance(0.75)),
        "more contrast (1.3)": lambda one: saved(ImageEnhance.Contrast(one).enhance(1.3)),
        "small logo": lambda one: saved(with_logo(one)),
        "white border, 5%": lambda one: saved(framed(one, (255, 255, 255))),
        "black border, 5%": lambda one: saved(framed(one, (0, 0, 0))),
        "blurred (1/150 of the side)": lambda one: saved(one.filter(ImageFilter.GaussianBlur(min(one.size) / 150))),
        "grey": lambda one: saved(one.convert("L").convert("RGB")),
        "mirrored, 50%, JPEG 60": lambda one: saved(resized(mirrored(one), 0.5), 60),
        "cut to 90% anywhere, mirrored, JPEG 70": lambda one: saved(mirrored(cut(one, 0.9, anywhere())), 70),
    }
    return found


def look(files: Iterator[bytes], config: AnnotateConfig) -> Looked:
    """Hashes and sketches as annotation makes them."""
    encoder = load_models(config).images
    hashes, rows = [], []
    pictures = (decode(data, config.max_pixels).picture for data in files)
    while batch := list(islice(pictures, config.batch)):
        hashes += [int(perceptual_hash(grey(one)), 16) for one in batch]
        crops = np.stack([square(one, encoder.resize, encoder.crop) for one in batch])
        rows.append(sketches(encoder.encode(crops)[0]))
    return np.array(hashes, np.uint64), np.concatenate(rows)


def usable(data: bytes, config: AnnotateConfig) -> bool:
    """Whether mining would take the picture."""
    one = decode(data, config.max_pixels)
    sides = sorted((one.width, one.height))
    return sides[0] >= 100 and sides[1] <= 3 * sides[0] and flatness(grey(one.picture)) <= 0.98


def unrelated(files: list[bytes], count: int, rng: np.random.Generator, config: AnnotateConfig) -> Iterator[bytes]:
    """The pictures, and cuts of them until there are `count`."""
    yield from files[:count]
    for number in sorted(rng.integers(0, len(files), max(0, count - len(files))).tolist()):
        picture = decode(files[number], config.max_pixels).picture
        yield saved(cut(picture, float(rng.uniform(0.3, 0.8)), (float(rng.random()), float(rng.random()))))


def main() -> None:
    """Print recall by edit, and false alarms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crawls", default="examples", help="folder of folders of WARC files")
    parser.add_argument("--names", help="which of them, separated by commas; all by default")
    parser.add_argument("--planted", type=int, default=40, help="images of each crawl's benchmark, at most")
    parser.add_argument("--unrelated", type=int, default=10_000, help="unrelated images in all")
    options = parser.parse_args()
    folders = sorted(one for one in Path(options.crawls).iterdir() if one.is_dir())
    names = options.names.split(",") if options.names else [one.name for one in folders]
    config = AnnotateConfig(safety_model=None)
    rng = np.random.default_rng(0)
    pictures = {}
    for name in names:
        found = archived_images(f"{options.crawls}/{name}/**/*.warc.gz", 1 << 30)
        pictures[name] = [data for data in found if usable(data, config)]
    pictures = {name: files for name, files in pictures.items() if files}
    others = {}
    if len(pictures) > 1:
        share = options.unrelated // len(pictures)
        others = {name: look(unrelated(files, share, rng, config), config) for name, files in pictures.items()}
    recall: dict[str, list[bool]] = {}
    alarms: set[tuple[str, int]] = set()
    count = 0
    with tempfile.TemporaryDirectory() as work:
        for name, files in pictures.items():
            chosen = sorted(rng.permutation(len(files))[: options.planted].tolist())
            count += len(chosen)
            fingerprints = benchmark_of(name, [files[one] for one in chosen], work, config)
            for edit, alter in edits(rng).items():
                altered = (alter(decode(files[one], config.max_pixels).picture) for one in chosen)
                matches = fingerprints.match_images(*look(altered, config))
                recall.setdefault(edit, []).extend(match is not None for match in matches)
            for other, looked in others.items():
                if other != name:
                    matches = fingerprints.match_images(*looked)
                    for number in [number for number, match in enumerate(matches) if match is not None]:
                        alarms.add((other, number))
                        print(f"false alarm: image {number} of {other}: {matches[number]}", flush=True)
    print(f"crawls: {', '.join(pictures)}; {count} planted images")
    print(f"{'copy':<40} {'found':>7}")
    for edit, hits in recall.items():
        print(f"{edit:<40} {100 * sum(hits) / len(hits):>6.1f}%")
    total = sum(len(looked[0]) for looked in others.values())
    print(f"{'false alarms':<40} {len(alarms)} of {total} unrelated images")


def benchmark_of(name: str, files: list[bytes], work: str, config: AnnotateConfig) -> Fingerprints:
    """Fingerprints of some images, written and opened."""
    settings = FingerprintConfig()
    encoder = load_models(config).images
    named = ((f"{number:06d}", data) for number, data in enumerate(files))
    prints = image_prints(named, encoder, settings, config.max_pixels, lambda: None)
    path = f"{work}/{name}.parquet"
    about = Origin(name, f"{encoder.name}@{encoder.revision}", settings, config.max_pixels)
    write_fingerprints(path, about, prints, TextPrints())
    return Fingerprints.open(DecontaminationConfig(files=(path,)))


if __name__ == "__main__":
    main()
