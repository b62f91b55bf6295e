"""annotate_images against a bare loop of the preset's models and the decoding, same batch and threads.

    python -m benchmarks.annotate_images [--images N] [--archives GLOB] [--threads N] [--batch N] [--repeat N]

The images are those of the archives (distinct, cut to N), or made ones: photographs' sizes, JPEG, PNG and WebP. The
bare loop opens each file with Pillow, makes the networks' inputs and runs the two sessions; ours hashes, sketches,
checks, and makes rows of `annotations` besides. They take turns; the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import glob
import hashlib
import io
import statistics
import time
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image

from mining.annotation import AnnotateConfig, AnnotationModels, annotate, load_models
from mining.decoding import UndecodableError, decode, square, stretched
from schemas.outcomes import CollectedOutcomes


def made_images(count: int) -> list[bytes]:
    """Files of smooth noise at usual sizes."""
    rng = np.random.default_rng(0)
    sizes = [(640, 480), (1024, 768), (300, 200), (1600, 1200), (800, 800)]
    kinds = ["JPEG", "JPEG", "PNG", "WEBP"]
    files = []
    for number in range(count):
        small = Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        small.resize(sizes[number % len(sizes)], Image.Resampling.BICUBIC).save(buffer, kinds[number % len(kinds)])
        files.append(buffer.getvalue())
    return files


def archived_images(pattern: str, count: int) -> list[bytes]:
    """Distinct images of the archives that can be decoded."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    found: dict[str, bytes] = {}
    for path in sorted(glob.glob(pattern, recursive=True)):
        with open(path, "rb") as file:
            for record in ArchiveIterator(file, WarcRecordType.response):
                headers = record.http_headers
                if headers is None or not (headers.get("Content-Type") or "").startswith("image/"):
                    continue
                data = record.reader.read()
                try:
                    decode(data, AnnotateConfig().max_pixels)
                except UndecodableError:
                    continue
                found[hashlib.sha256(data).hexdigest()] = data
    return [data for _, data in islice(sorted(found.items()), count)]


def bare(files: list[bytes], models: AnnotationModels, batch: int) -> float:
    """Seconds of decoding and models alone."""
    started = time.perf_counter()
    for start in range(0, len(files), batch):
        crops, squares = [], []
        for data in files[start : start + batch]:
            image: Image.Image = Image.open(io.BytesIO(data))
            if image.format == "JPEG":
                image.draft("RGB", (512, 512))
            image = image.convert("RGB")
            crops.append(square(image, models.images.resize, models.images.crop))
            squares.append(stretched(image, 256))
        models.images.encode(np.stack(crops))
        assert models.safety is not None
        models.safety.score(np.stack(squares))
    return time.perf_counter() - started


def ours(images: list[tuple[str, str, bytes]], config: AnnotateConfig, models: AnnotationModels) -> float:
    """Seconds of `annotate`."""
    outcomes = CollectedOutcomes()
    started = time.perf_counter()
    annotate(iter(images), config, models, outcomes, mark=lambda key: None, quarantine={})
    seconds = time.perf_counter() - started
    assert outcomes.counts.entry("image").kept == len(images), outcomes.counts.to_json()
    return seconds


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Images a second of both, medians of the repetitions."""
    files = archived_images(options.archives, options.images) if options.archives else made_images(options.images)
    images = [(hashlib.sha256(data).hexdigest(), "http://example.org/", data) for data in files]
    config = AnnotateConfig(threads=options.threads, batch=options.batch)
    models = load_models(config)
    ours(images[: options.batch], config, models)
    times: list[tuple[float, float]] = []
    for turn in range(options.repeat):
        if turn % 2:
            own = ours(images, config, models)
            times.append((bare(files, models, options.batch), own))
        else:
            floor = bare(files, models, options.batch)
            times.append((floor, ours(images, config, models)))
    floor, own = (len(files) / statistics.median(column) for column in zip(*times, strict=True))
    return {"images": len(files), "bare": floor, "annotate": own, "ratio": own / floor}


def main() -> None:
    """Print the rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--archives", help="glob of WARC files whose images are taken")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=3)
    result = measure(parser.parse_args())
    print(f"{'images':>7} {'bare loop/s':>12} {'annotate_images/s':>18} {'ratio':>6}   (aim: 0.9 or more)")
    print(f"{result['images']:>7} {result['bare']:>12.1f} {result['annotate']:>18.1f} {result['ratio']:>6.2f}")


if __name__ == "__main__":
    main()
