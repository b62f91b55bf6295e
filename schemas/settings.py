"""What of a stage's settings decides its output."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from schemas.ids import canonical_json, digest


def deciding_fields(settings: BaseModel) -> dict[str, Any]:
    """The settings that change the output, as JSON values: fields marked `operational` (threads, batch sizes, pauses)
    are left out, in nested settings too, and parts that are off (null) where a field is marked `absent_if_null`: such
    a part changes nothing of what was made before it existed."""
    kept: dict[str, Any] = {}
    whole = settings.model_dump(mode="json")
    for name, field in type(settings).model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("operational"):
            continue
        value = getattr(settings, name)
        if value is None and isinstance(extra, dict) and extra.get("absent_if_null"):
            continue
        kept[name] = deciding_fields(value) if isinstance(value, BaseModel) else whole[name]
    return kept


def settings_digest(settings: BaseModel) -> str:
    """Hex digest of the settings that change the output."""
    return digest("settings", type(settings).__name__, canonical_json(deciding_fields(settings)))
