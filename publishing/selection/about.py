"""What a selected dataset says of its selection, in its manifest, card and Croissant description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from publishing.description import Facts

#: Where the facts hold the selections that made a dataset, the last one last.
SELECTIONS = "select"


def with_selection(facts: Facts, told: Mapping[str, Any]) -> Facts:
    """Facts with one more selection: its settings, counts, and the digest of the dataset that it chose from."""
    settings = told["settings"]
    line = f"lensmith select DATASET_DIR --size {settings['size']} --by {settings['by']}"
    if told.get("features"):
        line += f" --features {told['features']}"
    earlier = facts.configuration.get(SELECTIONS, [])
    return facts.model_copy(
        update={
            "configuration": {**facts.configuration, SELECTIONS: [*earlier, dict(told)]},
            "commands": (*facts.commands, f"{line} --config selection.yaml"),
        }
    )


def selection_sentence(facts: Facts) -> str:
    """What was selected from what, in a sentence for each selection; "" for a dataset that is whole."""
    return " ".join(_sentence(one) for one in facts.configuration.get(SELECTIONS, []))


def _sentence(told: Mapping[str, Any]) -> str:
    settings, by = told["settings"], told["settings"]["by"]
    ways = {
        "quality": "by quality",
        "diversity": "by diversity",
        "mix": f"{told['by_quality']:,} by quality and the others by diversity",
    }
    features = f" (features: {told['features']})" if told.get("features") else ""
    return (
        f"The split train is a selection of {settings['size']:,} of {told['triplets']:,} triplets, {ways[by]}"
        f"{features}; the other splits are as they were. The dataset before has a lensmith.json of SHA-256 "
        f"{told['source'][:16]}…."
    )
