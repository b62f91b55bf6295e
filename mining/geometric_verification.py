"""Do two pictures show the same thing? Matches of local features that agree on one transform.

Every match of two SIFT points says by itself how the plane was moved, turned and scaled: each is tried as a hypothesis
and the one with most agreement is fitted to an affine transform (Philbin et al., CVPR 2007). So there are no random
samples, and nothing depends on a seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from mining.local_features import Features

Float64Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

_ROUNDS = 4
#: Points nearer than this, in pixels, count once: SIFT gives one place several angles and sizes.
_APART = 4.0


class VerificationConfig(BaseModel):
    """Settings of geometric verification."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ratio: float = Field(
        default=0.85, gt=0, le=1, description="distance of a match over that of the next best, at most (Lowe)"
    )
    tolerance: float = Field(
        default=6.0,
        gt=0,
        description="pixels by which a match may miss the transform, in the picture where the thing is larger",
    )
    inliers: int = Field(default=8, ge=4, description="matches at different places that agree on one transform")
    scale_max: float = Field(default=4.0, ge=1, description="how many times larger a thing may be in one picture")
    stretch_max: float = Field(
        default=2.0, ge=1, description="how many times more a thing may be scaled along one axis than along another"
    )
    roundness: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description="spread of the matches across over along their main axis, at least: a line of text has little",
    )


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """Matches that agree on one transform.

    `transform` float64 (2, 3): pixels of the first picture to pixels of the second. `first`, `second`: indices (n) of
    the matched points. `places`: how many of them are at different places. `scale`: of lengths.
    """

    transform: Float64Array
    first: Indices
    second: Indices
    places: int
    scale: float


def matches(first: Features, second: Features, ratio: float) -> tuple[Indices, Indices]:
    """Indices (n) of points that are each other's nearest and pass the ratio test in both directions."""
    if len(first.points) < 2 or len(second.points) < 2:
        nothing = np.zeros(0, np.intp)
        return nothing, nothing
    one, other = first.descriptors.astype(np.float32), second.descriptors.astype(np.float32)
    # Whole numbers below 2**24: exact in float32, whatever library adds them up.
    distances = np.sum(one * one, axis=1)[:, None] + np.sum(other * other, axis=1)[None, :] - 2.0 * (one @ other.T)
    nearest, back = np.argmin(distances, axis=1), np.argmin(distances, axis=0)
    rows = np.arange(len(one))
    best = distances[rows, nearest]
    limit = np.float32(ratio * ratio)
    good = (
        (back[nearest] == rows)
        & (best < limit * np.partition(distances, 1, axis=1)[:, 1])
        & (best < limit * np.partition(distances, 1, axis=0)[1][nearest])
    )
    return rows[good], nearest[good]


def agreement(first: Features, second: Features, config: VerificationConfig) -> Agreement | None:
    """The transform on which most matches agree, or None where too few do or none is plausible."""
    left, right = matches(first, second, config.ratio)
    if len(left) < config.inliers:
        return None
    source, goal = first.places[left].astype(np.float64), second.places[right].astype(np.float64)
    hypotheses = _similarities(first, second, left, right)
    scales = np.hypot(hypotheses[:, 0, 0], hypotheses[:, 1, 0])
    hypotheses = hypotheses[(scales <= config.scale_max) & (scales >= 1.0 / config.scale_max)]
    if not len(hypotheses):
        return None
    agreeing = np.stack([_agrees(one, source, goal, config.tolerance) for one in hypotheses])
    inside, transform = agreeing[np.argmax(agreeing.sum(axis=1))], None
    for _ in range(_ROUNDS):
        if inside.sum() < config.inliers:
            return None
        transform = _affine(source[inside], goal[inside])
        if not _plausible(transform, config):
            return None
        now = _agrees(transform, source, goal, config.tolerance)
        if np.array_equal(now, inside):
            break
        inside = now
    places = min(_different(source[inside]), _different(goal[inside]))
    if transform is None or places < config.inliers:
        return None
    if min(_roundness(source[inside]), _roundness(goal[inside])) < config.roundness:
        return None
    return Agreement(transform, left[inside], right[inside], places, float(np.sqrt(np.linalg.det(transform[:, :2]))))


def _similarities(first: Features, second: Features, left: Indices, right: Indices) -> Float64Array:
    """What each match says by itself: float64 (n, 2, 3)."""
    angle = second.angles[right] - first.angles[left]
    scale = second.sizes[right].astype(np.float64) / np.maximum(first.sizes[left].astype(np.float64), 1e-3)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.stack([np.stack([cosine, -sine], axis=1), np.stack([sine, cosine], axis=1)], axis=1)
    turned = np.einsum("nij,nj->ni", turn, first.places[left].astype(np.float64))
    shift = second.places[right].astype(np.float64) - turned
    return np.concatenate([turn, shift[:, :, None]], axis=2)


def _agrees(
    transform: Float64Array, source: Float64Array, goal: Float64Array, tolerance: float
) -> npt.NDArray[np.bool_]:
    """Which matches the transform moves to within the tolerance, in pixels of the picture where it is larger."""
    missed = np.hypot(*(moved(transform, source) - goal).T)
    scale = np.sqrt(max(abs(np.linalg.det(transform[:, :2])), 1e-12))
    return missed <= tolerance * min(1.0, scale)


def moved(transform: Float64Array, points: Float64Array) -> Float64Array:
    """Points float64 (n, 2) under a transform (2, 3)."""
    return points @ transform[:, :2].T + transform[:, 2]


def _affine(source: Float64Array, goal: Float64Array) -> Float64Array:
    """The affine transform with least squares, float64 (2, 3)."""
    rows = np.column_stack([source, np.ones(len(source))])
    solution = np.asarray(np.linalg.lstsq(rows, goal, rcond=None)[0], np.float64)
    return np.round(solution.T, 9)


def _plausible(transform: Float64Array, config: VerificationConfig) -> bool:
    """No mirror, and neither too much larger or smaller nor squeezed: pictures of one plane from two sides are so."""
    if np.linalg.det(transform[:, :2]) <= 0:
        return False
    large, small = np.linalg.svd(transform[:, :2], compute_uv=False)
    in_range = small >= 1.0 / config.scale_max and large <= config.scale_max
    return bool(in_range and large <= config.stretch_max * small)


def _different(points: Float64Array) -> int:
    return len(np.unique(np.floor(points / _APART), axis=0))


def _roundness(points: Float64Array) -> float:
    """Spread across the main axis over the spread along it, 0 (a line) … 1."""
    along = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return float(along[1] / along[0]) if along[0] > 0 else 0.0
