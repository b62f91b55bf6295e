"""SuperGlobal's pooling (Shao et al., ICCV 2023) on feature maps.

Maps are numpy arrays (C, H, W), as `tensor.cpu().numpy()` gives them; results are float64 where a map is, else
float32. In the published network ReLUP takes the place of the activation after every residual addition in the ResNet
stages 1-3 and of those inside the bottlenecks of stage 1; stage 4 keeps its ReLU. A descriptor is then
`descriptor([whitened(gem_plus(regional_gem(last map))) for each scale])`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from evaluation.unit_vectors import FloatArray, checked, float_type, unit

#: Scales of the image whose descriptors are pooled.
SCALES = (0.7071, 1.0, 1.4142)


def relup(features: npt.ArrayLike, floor: float = 0.014) -> FloatArray:
    """`max(x, floor)` in place of ReLU, for an array of any shape. Raises ValueError for values that are not finite."""
    array = np.asarray(features)
    if not np.isfinite(array).all():
        raise ValueError("features hold a value that is NaN or infinite.")
    return np.maximum(array.astype(float_type(features)), floor)


def regional_gem(feature_map: npt.ArrayLike, *, power: float = 2.5, size: int = 5) -> FloatArray:
    """`0.5 x + 0.5 L(x)`, where L is the power mean over the `size` × `size` window around each place, the map
    reflected at its borders: (C, H, W) → (C, H, W).

    Raises ValueError for negative values (the map comes after an activation, and a root of a negative is undefined),
    even sizes, and maps not larger than half a window, which cannot be reflected."""
    x = checked(feature_map, "feature_map", (3,))
    half = size // 2
    if size % 2 == 0 or min(x.shape[1:], default=0) <= half:
        raise ValueError(f"size is {size} and the map {x.shape}; an odd size and a map of over {half} × {half} fit.")
    if x.size and x.min() < 0:
        raise ValueError("feature_map holds a negative value; apply an activation first.")
    padded = np.pad(x, ((0, 0), (half, half), (half, half)), mode="reflect") ** power
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    pooled = windows.mean(axis=(-2, -1)) ** (1 / power)
    return (0.5 * x + 0.5 * pooled).astype(float_type(feature_map), copy=False)


def gem_plus(feature_map: npt.ArrayLike, *, power: float = 4.6, floor: float = 1e-8) -> FloatArray:
    """`(mean max(x, floor)^power)^(1 / power)` over all places: (C, H, W) → C, not normalised. Raises ValueError for
    a map without places."""
    x = checked(feature_map, "feature_map", (3,))
    if x.shape[1] * x.shape[2] == 0:
        raise ValueError(f"feature_map has shape {x.shape}: no places to pool.")
    pooled = np.mean(np.maximum(x, floor) ** power, axis=(1, 2)) ** (1 / power)
    return pooled.astype(float_type(feature_map), copy=False)


def whitened(pooled: npt.ArrayLike, weight: npt.ArrayLike, bias: npt.ArrayLike) -> FloatArray:
    """The whitening layer behind GeM+: `weight n(pooled) + bias`; `pooled` C, `weight` D × C, `bias` D → D."""
    x, matrix, offset = checked(pooled, "pooled", (1,)), checked(weight, "weight", (2,)), checked(bias, "bias", (1,))
    if matrix.shape != (len(offset), len(x)):
        raise ValueError(f"pooled has shape {x.shape}, weight {matrix.shape}, bias {offset.shape}; C, D × C, D fit.")
    return (matrix @ unit(x) + offset).astype(float_type(pooled, weight, bias), copy=False)


def scale_gem(descriptors: npt.ArrayLike, *, power: float = 10.0, infinite: bool = True) -> FloatArray:
    """One descriptor from those of several scales: S × D → D, not normalised.

    `infinite`, the published default, is the limit of large powers: each scale normalised, then the element-wise
    maximum. Otherwise `(mean_s (d_s - m)^power)^(1 / power) + m` on the descriptors as they are, m the smallest value
    of all. Raises ValueError where there is no scale."""
    d = checked(descriptors, "descriptors", (2,))
    if d.size == 0:
        raise ValueError(f"descriptors have shape {d.shape}; one scale and one dimension at least are wanted.")
    if infinite:
        pooled = unit(d).max(axis=0)
    else:
        lowest = d.min()
        pooled = np.mean((d - lowest) ** power, axis=0) ** (1 / power) + lowest
    return pooled.astype(float_type(descriptors), copy=False)


def descriptor(scales: Sequence[npt.ArrayLike], *, infinite: bool = True) -> FloatArray:
    """The image's descriptor, a unit vector, from those of its scales (each D); see `scale_gem`."""
    precision = float_type(*scales)
    pooled = scale_gem(np.stack([checked(one, "descriptors", (1,)) for one in scales]), infinite=infinite)
    return unit(pooled.astype(np.float64)).astype(precision, copy=False)
