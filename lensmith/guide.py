"""`--guided-by MODEL`: a trained model as an input of a run, and what a run says of the models that guided it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from beam_jobs.corpus.guided import GuideModel
from beam_jobs.corpus.rounds import Round, stored_rounds, train_triplets
from beam_jobs.workspace import Workspace
from lensmith.output_folder import is_output
from lensmith.settings import Settings
from lensmith.train_command import NEEDED
from mining.mine_config import MineConfig
from mining.miners.hard_rounds import HardRounds
from publishing.description import ModelFact
from schemas.errors import ConfigurationError, MissingPackageError
from schemas.ids import digest
from schemas.protocols import Float32Array

_LOADER = "lensmith.guide:load"


class GuidingRetriever:
    """A retriever that `lensmith train` wrote, as mining asks it (`ComposedEncoder`): on one thread, in float32."""

    def __init__(self, folder: str) -> None:
        import torch

        from training.models.make import from_pretrained

        torch.set_num_threads(1)
        self._network = from_pretrained(Path(folder))
        self.name = str(self._network.kind)
        self.revision = model_digest(folder)

    def encode(self, files: Mapping[str, bytes], items: Sequence[tuple[str, str]]) -> Float32Array:
        """See `ComposedEncoder`. Raises ConfigurationError for a file that cannot be decoded."""
        from lensmith.training_models import surroundings
        from training.data.image_store import GivenImages
        from training.embedding import embed
        from training.items import Item
        from training.model_sources import still_sources

        names = sorted(files)
        numbers = {name: number for number, name in enumerate(names)}
        store = GivenImages([files[name] for name in names], names)
        with TemporaryDirectory(prefix="lensmith-guide-") as work:
            texts = [text for _, text in items]
            sources = still_sources(self._network, store, texts, Path(work), "guide", surroundings(lambda _: None))
            return embed(self._network, [Item(numbers[image_id], text) for image_id, text in items], sources)


def load(folder: str, revision: str) -> GuidingRetriever:
    """The retriever in a folder. Raises ConfigurationError where its weights are not those of `revision`: a worker must
    see the folder that the run was given."""
    found = GuidingRetriever(folder)
    if found.revision != revision:
        raise ConfigurationError(
            f"{folder} holds another model here than where the run began: give workers the same one."
        )
    return found


def guide_model(folder: str) -> GuideModel:
    """A model's folder as the jobs take it. Raises ConfigurationError for a folder that holds none, and
    MissingPackageError."""
    try:
        from training.models.make import read_description
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package not in NEEDED:
            raise
        raise MissingPackageError(package, "train", "--guided-by") from error
    path = os.path.abspath(folder)
    about = read_description(Path(path))
    return GuideModel(_LOADER, path, model_digest(path), str(about["model"]["kind"]))


def model_digest(folder: str) -> str:
    """Hex digest of what a model computes with: its weights, and the files of towers that are kept with it. Where it
    lies and how it was trained are no part of it. Raises ConfigurationError where the weights cannot be read."""
    from training.models.assets import ROLES
    from training.models.make import WEIGHTS

    files = [Path(folder) / WEIGHTS]
    for role in ROLES:
        files += sorted(one for one in (Path(folder) / role).rglob("*") if one.is_file())
    try:
        parts = [part for one in files for part in (one.relative_to(folder).as_posix(), _file_digest(one))]
    except OSError as error:
        raise ConfigurationError(
            f"{folder} holds no model of Lensmith: give the --output of `lensmith train`."
        ) from error
    return digest("model", *parts)


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_guide(workspace: Workspace, extend: bool) -> None:
    """Raise ConfigurationError where a model cannot guide a run into this folder."""
    if not is_output(workspace):
        raise ConfigurationError(
            f"{workspace.path} has published no dataset yet: run without --guided-by, train a model on its dataset, "
            "then let that guide the next round."
        )
    train_triplets(workspace)
    if not extend:
        raise ConfigurationError("--guided-by adds a round to what the output folder has: add --extend.")


def with_rounds(settings: Settings, workspace: Workspace, guided: bool) -> Settings:
    """The settings of a folder that has rounds, or gets one: `hard_rounds` is among its miners, the last where the
    settings do not say."""
    mine = settings.mine_pairs
    if HardRounds.name in mine.miners or not (guided or stored_rounds(workspace)):
        return settings
    fields = mine.model_dump() | {"miners": (*mine.miners, HardRounds.name)}
    return settings.model_copy(update={"mine_pairs": MineConfig(**fields)})


def rounds_said(workspace: Workspace) -> list[dict[str, Any]]:
    """What `run.json` says of the rounds of a folder."""
    return [
        {"round": one.number, "model": one.model, "kind": one.name, "dataset": one.dataset}
        for one in stored_rounds(workspace)
    ]


def round_models(rounds: Sequence[Round]) -> list[ModelFact]:
    """What the card says of the models whose mistakes were mined."""
    role = "answers whose mistakes were mined, round"
    return [
        ModelFact(role=f"{role} {one.number}", name=f"a {one.name} retriever", revision=one.model) for one in rounds
    ]
