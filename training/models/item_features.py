"""Features of towers, row by row: those stored and those made, taken for items, and points between two images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from training.data.sources import Sources
from training.towers.interface import Features, ImageTower, Tower


def image_inputs(tower: ImageTower, numbers: list[int], sources: Sources, draw: np.random.Generator | None) -> Any:
    """What `features_of` takes for images by number: stored features where there are any, else prepared pictures."""
    if not numbers:
        return None
    if sources.image_features is not None:
        return {"features": sources.image_features.of(numbers)}
    return {"prepared": tower.prepare(sources.pictures(numbers, draw))}


def features_of(tower: Tower, inputs: Any) -> Features | None:
    """Features of distinct images or texts: stored ones, those that the tower makes of `prepared`, or both in `order`;
    None where there is nothing."""
    if inputs is None:
        return None
    parts: list[Features] = [inputs["features"]] if "features" in inputs else []
    if "prepared" in inputs:
        parts.append(tower(inputs["prepared"]))
    return parts[0] if len(parts) == 1 else rows_of(joined(*parts), inputs["order"])


def joined(one: Features, other: Features) -> Features:
    """The rows of one, then those of the other; sequences of tokens become equally long."""
    found: Features = {"pooled": torch.cat([one["pooled"], other["pooled"]])}
    if "tokens" in one and "tokens" in other:
        longest = max(one["tokens"].shape[1], other["tokens"].shape[1])
        tokens, masks = [], []
        for part in (one, other):
            sequence = part["tokens"]
            mask = part.get("mask", sequence.new_ones(sequence.shape[:2], dtype=torch.bool))
            missing = longest - sequence.shape[1]
            tokens.append(nn.functional.pad(sequence, (0, 0, 0, missing)))
            masks.append(nn.functional.pad(mask, (0, missing)))
        found["tokens"], found["mask"] = torch.cat(tokens), torch.cat(masks)
    return found


def taken(features: Features, places: Tensor) -> Features:
    """Rows of distinct features for every item; items without one get the first, and are masked."""
    return cast(Features, rows_of(features, places.clamp(min=0)))


def rows_of(features: Features | None, rows: Tensor) -> Features | None:
    """Rows of features; of none none."""
    if features is None:
        return None
    found: Any = {name: value[rows] for name, value in cast(Mapping[str, Tensor], features).items()}
    return cast(Features, found)


def mixed(features: Features, inputs: Any) -> Features:
    """Features of every item's image; where it has a second one (`toward`), the point at `share` between them."""
    shown = taken(features, inputs["image"])
    between = inputs["toward"] >= 0
    if not between.any():
        return shown
    other = taken(features, inputs["toward"])
    share = torch.where(between, inputs["share"], torch.zeros_like(inputs["share"]))
    found: Features = dict(shown)  # type: ignore[assignment]
    found["pooled"] = torch.where(between[:, None], slerp(shown["pooled"], other["pooled"], share), shown["pooled"])
    if "tokens" in shown:
        tokens = slerp(shown["tokens"], other["tokens"], share[:, None])
        found["tokens"] = torch.where(between[:, None, None], tokens, shown["tokens"])
    return found


def slerp(one: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """Points on the arc from `one` to `other` (…, d) at `share` (…), 0 at `one`; lengths go linearly.

    Vectors that are nearly parallel are joined by a straight line.
    """
    first, second = one.norm(dim=-1, keepdim=True), other.norm(dim=-1, keepdim=True)
    left, right = one / first.clamp(min=1e-12), other / second.clamp(min=1e-12)
    share = share.unsqueeze(-1)
    cosine = (left * right).sum(-1, keepdim=True)
    angle = torch.arccos(cosine.clamp(-0.9995, 0.9995))
    arc = (torch.sin((1 - share) * angle) * left + torch.sin(share * angle) * right) / torch.sin(angle)
    line = nn.functional.normalize((1 - share) * left + share * right, dim=-1)
    return torch.where(cosine.abs() > 0.9995, line, arc) * ((1 - share) * first + share * second)
