"""The miner `instances` on one thread, in seconds of processor time: features, comparisons, and other features.

    python -m benchmarks.instances [--images N] [--archives GLOB] [--comparisons N] [--planted N]

The images are those of the archives (distinct, cut to N), or made ones. Things cut out of them are planted, turned,
scaled, brightened and recompressed, into others; for SIFT (ours), AKAZE and ORB with OpenCV's MAGSAC it is counted how
many are found again (mean miss of the thing's corners below 15% of its diagonal), and what that costs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.annotate_images import archived_images, made_images
from mining.decoding import decode
from mining.geometric_verification import VerificationConfig, agreement, moved
from mining.instances_config import InstancesConfig
from mining.local_features import LocalFeaturesConfig, file_features, local_features
from mining.miners.instances import judged

_SIDE = 480
_MISS = 0.15
Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Planted:
    """A picture, another with a thing of the first in it, the transform and the thing's corners in the first."""

    first: Image.Image
    second: Image.Image
    transform: npt.NDArray[np.float64]
    corners: npt.NDArray[np.float64]

    def is_found(self, transform: npt.NDArray[np.float64]) -> bool:
        """Whether a transform (2 or 3, 3) brings the corners near to where they are."""
        wanted = moved(self.transform, self.corners)
        flat = np.column_stack([self.corners, np.ones(4)]) @ transform.T
        got = flat[:, :2] / flat[:, 2:] if transform.shape[0] == 3 else flat
        miss = np.linalg.norm(got - wanted, axis=1).mean()
        return bool(miss < _MISS * np.linalg.norm(wanted[2] - wanted[0]))


def planted(pictures: list[Image.Image], count: int) -> list[Planted]:
    """Ellipses of 35-60% of a picture's sides, at 0.5-1.3 of their size, turned by up to 25 degrees."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        first = np.asarray(pictures[number % len(pictures)])
        second = np.asarray(pictures[(number + len(pictures) // 3 + 1) % len(pictures)]).copy()
        size = np.array(first.shape[1::-1]) * rng.uniform(0.35, 0.6)
        corner = rng.uniform(0, 1, 2) * (np.array(first.shape[1::-1]) - size)
        frame = np.array(second.shape[1::-1])
        scale = rng.uniform(0.5, 1.3) * min(1.0, *(0.8 * frame / size))
        angle = np.deg2rad(rng.uniform(-25, 25))
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        centre = corner + size / 2
        transform = np.column_stack([turn, rng.uniform(0.35, 0.65, 2) * frame - turn @ centre])
        mask = np.zeros(first.shape[:2], np.uint8)
        half = [int(value) for value in size / 2]
        cv2.ellipse(mask, [int(value) for value in centre], half, 0, 0, 360, 255, -1)
        there = cv2.warpAffine(mask, transform, frame.tolist()) > 127
        brightened = 255 * (cv2.warpAffine(first, transform, frame.tolist()) / 255.0) ** rng.uniform(0.75, 1.3)
        second[there] = brightened.astype(np.uint8)[there]
        second = cv2.imdecode(cv2.imencode(".jpg", second, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_COLOR)
        corners = corner + size * np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
        made.append(Planted(Image.fromarray(first), Image.fromarray(second), transform, corners))
    return made


def ours(cases: list[Planted]) -> tuple[int, float, float]:
    """Things found; ms for the features of an image and for a comparison."""
    found, features, compared = 0, 0.0, 0.0
    for case in cases:
        began = time.process_time()
        first, second = (local_features(one, LocalFeaturesConfig(side=_SIDE)) for one in (case.first, case.second))
        features += time.process_time() - began
        began = time.process_time()
        agreed = agreement(first, second, VerificationConfig())
        compared += time.process_time() - began
        if agreed is not None:
            before, after = first.width / case.first.width, case.second.width / second.width
            whole = np.column_stack([agreed.transform[:, :2] * before, agreed.transform[:, 2]]) * after
            found += case.is_found(whole)
    return found, features / len(cases) / 2 * 1e3, compared / len(cases) * 1e3


def theirs(cases: list[Planted], finder: Any, count: int) -> tuple[int, float, float]:
    """The same of binary features (at most `count`), OpenCV's matcher and MAGSAC homographies."""
    found, features, compared = 0, 0.0, 0.0
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
    for case in cases:
        began = time.process_time()
        sides = [_points(finder, one, count) for one in (case.first, case.second)]
        features += time.process_time() - began
        began = time.process_time()
        homography = _homography(matcher, *sides)
        compared += time.process_time() - began
        found += homography is not None and case.is_found(homography)
    return found, features / len(cases) / 2 * 1e3, compared / len(cases) * 1e3


def _points(finder: Any, picture: Image.Image, count: int) -> tuple[npt.NDArray[np.float64], Any]:
    scale = min(1.0, _SIDE / max(picture.size))
    small = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BOX)
    points, descriptors = finder.detectAndCompute(np.asarray(small.convert("L")), None)
    places = np.array([point.pt for point in points[:count]], np.float64).reshape(-1, 2) / scale
    return places, None if descriptors is None else descriptors[:count]


def _homography(matcher: Any, first: tuple[Any, Any], second: tuple[Any, Any]) -> Any:
    if first[1] is None or second[1] is None or min(len(first[1]), len(second[1])) < 2:
        return None
    there, back = matcher.knnMatch(first[1], second[1], k=2), matcher.match(second[1], first[1])
    good = [
        (best.queryIdx, best.trainIdx)
        for best, other in there
        if best.distance < 0.85 * other.distance and back[best.trainIdx].trainIdx == best.queryIdx
    ]
    if len(good) < 8:
        return None
    left, right = np.array(good).T
    found, inside = cv2.findHomography(first[0][left], second[0][right], cv2.USAC_MAGSAC, 6.0)
    return found if found is not None and inside.sum() >= 8 else None


def main() -> None:
    """Print the rates of the miner, and the table of features."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--archives", help="glob of WARC files whose images are taken")
    parser.add_argument("--comparisons", type=int, default=2000)
    parser.add_argument("--planted", type=int, default=60)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    files = archived_images(options.archives, options.images) if options.archives else made_images(options.images)
    config = InstancesConfig()
    began = time.process_time()
    features = [file_features(data, config.features) for data in files]
    seconds = time.process_time() - began
    points = np.mean([len(one.points) for one in features])
    size = np.mean([len(one.to_bytes()) for one in features]) / 1e3
    print(f"{len(files)} images: {len(files) / seconds:.1f} images/s with decoding, {points:.0f} points, {size:.0f} KB")
    rng = np.random.default_rng(1)
    pairs = rng.integers(0, len(features), (options.comparisons, 2))
    began = time.process_time()
    for first, second in pairs:
        judged(features[first], features[second], config)
    print(f"{len(pairs) / (time.process_time() - began):.0f} comparisons/s")
    pictures = [decode(data, config.features.max_pixels).picture for data in files]
    large = [one for one in pictures if min(one.size) >= 190]
    for one in large:
        one.thumbnail((640, 640))
    cases = planted(large, options.planted)
    rows: list[tuple[str, Callable[[], tuple[int, float, float]]]] = [
        ("SIFT 400 (ours)", lambda: ours(cases)),
        ("AKAZE 800", lambda: theirs(cases, cv2.AKAZE_create(threshold=0.0005, max_points=800), 800)),
        ("ORB 1500", lambda: theirs(cases, cv2.ORB_create(nfeatures=1500, fastThreshold=10), 1500)),
    ]
    print(f"\n{'features':<16} {'found':>9} {'ms/image':>9} {'ms/comparison':>14}")
    for name, measure in rows:
        found, image, comparison = measure()
        print(f"{name:<16} {found:>5}/{len(cases):<3} {image:>9.1f} {comparison:>14.1f}")


if __name__ == "__main__":
    main()
