"""Prompt directional vectors (Tursun et al., WACV 2026): how the instruction moves the text, applied to both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy.typing as npt

from evaluation.unit_vectors import FloatArray, checked, float_type, same_shape, unit, unit_sum


@dataclass(frozen=True)
class PdvSettings:
    """The three weights of PDV-F; `beta` is the weight of the text side."""

    beta: float
    alpha_image: float
    alpha_text: float


#: The paper's weights by the method that PDV is put on, the benchmark and the backbone; `*` stands for any.
PDV_SETTINGS: Mapping[tuple[str, str, str], PdvSettings] = MappingProxyType(
    {
        ("cirevl", "fashioniq", "B/32"): PdvSettings(0.75, 1.4, 1.4),
        ("cirevl", "fashioniq", "L/14"): PdvSettings(0.55, 1.0, 1.3),
        ("cirevl", "fashioniq", "G/14"): PdvSettings(0.6, 1.4, 1.4),
        ("cirevl", "cirr", "*"): PdvSettings(0.75, 1.4, 1.2),
        ("cirevl", "circo", "*"): PdvSettings(0.75, 1.4, 1.2),
        ("searle", "*", "B/32"): PdvSettings(0.9, 1.4, 1.2),
        ("searle", "*", "L/14"): PdvSettings(0.85, 1.4, 1.2),
        ("pic2word", "*", "*"): PdvSettings(0.8, 1.0, 1.0),
        ("ldre", "*", "*"): PdvSettings(0.75, 1.4, 1.4),
    }
)


def pdv(
    image: npt.ArrayLike,
    text_reference: npt.ArrayLike,
    text_composed: npt.ArrayLike,
    *,
    alpha_text: float,
    alpha_image: float,
    beta: float,
) -> FloatArray:
    """PDV-F: `n((1 - beta) PDV-I + beta PDV-T)`.

    With unit v (reference image), t0 (text of the reference: its caption or pseudo-token with an empty prompt) and t1
    (text of the reference with the instruction): `D = t1 - t0`, `PDV-T = t0 + alpha_text D`, `PDV-I = v + alpha_image
    D`. Neither D nor the parts are normalised before they are fused. `alpha_text` 1 and `beta` 1 give t1, the method
    without PDV.

    The three inputs have one shape, d or n × d; the result has it too: unit vectors, float64 where an input is. Inputs
    are normalised first; a zero vector stays zero and adds nothing. Equal texts have D = 0: the weighted sum of image
    and text. Parts that cancel (image opposite to the text at `beta` 0.5 and D = 0) give the zero vector. Raises
    ValueError for unequal shapes and for values that are not finite."""
    precision = float_type(image, text_reference, text_composed)
    v = checked(image, "image", (1, 2))
    t0 = checked(text_reference, "text_reference", (1, 2))
    t1 = checked(text_composed, "text_composed", (1, 2))
    same_shape(image=v, text_reference=t0, text_composed=t1)
    v, t0, t1 = unit(v), unit(t0), unit(t1)
    result = unit_sum(
        (1 - beta, v),
        (beta, t0),
        ((1 - beta) * alpha_image + beta * alpha_text, t1 - t0),
        precision=precision,
    )
    return result.astype(precision, copy=False)


def pdv_text(text_reference: npt.ArrayLike, text_composed: npt.ArrayLike, *, alpha: float) -> FloatArray:
    """PDV-T: `n(t0 + alpha (t1 - t0))`; see `pdv`."""
    return pdv(text_reference, text_reference, text_composed, alpha_text=alpha, alpha_image=0.0, beta=1.0)


def pdv_image(
    image: npt.ArrayLike, text_reference: npt.ArrayLike, text_composed: npt.ArrayLike, *, alpha: float
) -> FloatArray:
    """PDV-I: `n(v + alpha (t1 - t0))`; see `pdv`."""
    return pdv(image, text_reference, text_composed, alpha_text=0.0, alpha_image=alpha, beta=0.0)
