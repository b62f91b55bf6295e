"""Training-free composers: reference image and modification text to one query, from embeddings alone."""

from __future__ import annotations

from evaluation.composers.cirevl import (
    CirevlQueries,
    Descriptions,
    cirevl,
    describe_edits,
    description_scores,
    parse_description,
)
from evaluation.composers.cirevl_prompts import CIREVL_PROMPTS
from evaluation.composers.pdv import PDV_SETTINGS, PdvSettings, pdv, pdv_image, pdv_text
from evaluation.composers.single_modality import image_only, text_only
from evaluation.composers.slerp import SLERP_ALPHA, slerp
from evaluation.composers.weighted_sum import weighted_sum
from evaluation.composers.weimocir import WEIMOCIR_SETTINGS, WeimocirForm, WeimocirSettings, weimocir

__all__ = [
    "CIREVL_PROMPTS",
    "PDV_SETTINGS",
    "SLERP_ALPHA",
    "WEIMOCIR_SETTINGS",
    "CirevlQueries",
    "Descriptions",
    "PdvSettings",
    "WeimocirForm",
    "WeimocirSettings",
    "cirevl",
    "describe_edits",
    "description_scores",
    "image_only",
    "parse_description",
    "pdv",
    "pdv_image",
    "pdv_text",
    "slerp",
    "text_only",
    "weighted_sum",
    "weimocir",
]
