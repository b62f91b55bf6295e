"""The files beside a dataset's parquet: card, Croissant, funnel, manifest and tombstones."""

from __future__ import annotations

import json

from publishing.card import render_card
from publishing.croissant import croissant
from publishing.description import MANIFEST, Description
from publishing.tombstones import TOMBSTONES, Tombstones


def documents(description: Description, tombstones: Tombstones) -> dict[str, bytes]:
    """Name → content of every document of a dataset; equal descriptions give equal bytes."""
    result = {
        "README.md": render_card(description, tombstones).encode(),
        "croissant.json": _json(croissant(description)),
        "funnel.json": _json(description.funnel),
        MANIFEST: _json(description.manifest()),
    }
    if tombstones:
        result[TOMBSTONES] = tombstones.to_bytes()
    return result


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
