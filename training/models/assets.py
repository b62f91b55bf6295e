"""What a saved model holds of the models that it was built of, and what it finds elsewhere again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from schemas.errors import ConfigurationError
from training.towers.hub_checkpoints import LOCAL

#: Folders of assets within a model's, by role.
ROLES = ("image_tower", "text_tower", "language_model")


class Part(Protocol):
    """A model that another one was built of."""

    name: str
    revision: str
    weights: str


@dataclass(frozen=True)
class Assets:
    """A saved model's folder and what its description says of its parts; empty for a new model."""

    folder: Path | None = None
    towers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def folder_of(self, role: str) -> Path | None:
        """Where a part's architecture is saved; None where it comes from its source."""
        if self.folder is None or self.towers.get(role, {}).get("weights") != "model":
            return None
        return self.folder / role

    def name(self, role: str, part: Part) -> None:
        """Give a part that is built of assets its name again. Raises ConfigurationError for one whose source holds
        other weights than those that the model was trained with."""
        if self.folder_of(role) is not None:
            part.name, part.revision = self.towers[role]["name"], self.towers[role]["revision"]
        elif role in self.towers and self.towers[role]["revision"] != part.revision:
            raise ConfigurationError(
                f"the model in {self.folder} was trained with {self.towers[role]['name']!r} at "
                f"{self.towers[role]['revision']!r} as its {role}, and finds {part.revision!r}: put the first one back."
            )

    def sources(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """A saved configuration whose parts from the hub are asked for at the revision that was trained with.

        Raises ConfigurationError where the folder of a part has gone."""
        found = dict(given)
        for role, about in self.towers.items():
            source, revision = found.get(role), about["revision"]
            if not isinstance(source, str):
                continue
            if about["weights"] == "folder" and not Path(source).is_dir():
                raise ConfigurationError(
                    f"the {role} of the model in {self.folder} is the one in the folder {source}, which has gone: put "
                    "it back, or train with model.keep_towers set to folders, which saves it with the model."
                )
            if about["weights"] == "hub" and "@" not in source and not revision.startswith(LOCAL):
                found[role] = f"{source}@{revision}"
        return found


def is_kept(part: Part, keep: str) -> bool:
    """Whether a frozen part is saved with the model: `keep` is `none`, `folders` or `all`."""
    return part.weights == "model" or (part.weights == "folder" and keep == "folders") or _all(part, keep)


def described(part: Part, kept: bool) -> dict[str, str]:
    """See `Retriever.towers`."""
    weights = "model" if kept and part.weights != "package" else part.weights
    return {"name": part.name, "revision": part.revision, "weights": weights}


def _all(part: Part, keep: str) -> bool:
    return keep == "all" and part.weights != "package"
