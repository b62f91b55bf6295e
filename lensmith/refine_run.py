"""Refining the annotations of a benchmark: verify, rewrite, verify again; then the files, and what changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.task import ImageFile
from lensmith.evaluate_model import folder_images, image_key
from lensmith.image_features import image_features
from lensmith.refine_samples import Annotations, Sample, dumped, refined_entry, similar
from mining.annotation import AnnotateConfig
from schemas.errors import ConfigurationError
from schemas.ids import digest
from schemas.protocols import Float32Array, InstructionWriter
from schemas.storage import Folder
from schemas.thumbnails import ScaledImages
from synthesis.asking import Usage
from synthesis.chain import make_chain
from synthesis.config import FilterConfig, TaskConfig, VerifyConfig
from synthesis.run_rows import run_rows
from synthesis.tasks.verify_rewritten import rewritten_texts
from synthesis.verification.chain_verdicts import Said, judging_columns, said_of
from synthesis.verification.distractors import COUNT
from synthesis.writing import instruction_of

#: Below the output folder: where answers are kept.
GENERATIONS = "generations"
CHANGES = "changes.json"
_FEATURES = "features.npz"
#: Scaled images that are kept: neighbouring samples show the same ones.
_KEPT = 256


@dataclass(frozen=True)
class Refined:
    """What became of one sample. `outcome`: passed, ambiguous, rewritten, dropped, unchecked (nothing was judged),
    failed or deferred (a request was). `text` is the one that stands, None where the sample is dropped."""

    sample: Sample
    outcome: str
    text: str | None
    details: Mapping[str, Any]


@dataclass(frozen=True)
class Refining:
    """All samples with what became of them, and what each step used."""

    refined: Sequence[Refined]
    usage: Mapping[str, Usage] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Samples by outcome, and the rewritten ones by length."""
        counted = Counter(one.outcome for one in self.refined)
        lengths = Counter(f"rewritten {one.details['length']}" for one in self.refined if one.outcome == "rewritten")
        return {"samples": len(self.refined), **dict(sorted(counted.items())), **dict(sorted(lengths.items()))}


def refine(
    annotations: Annotations,
    samples: Sequence[Sample],
    images: Path,
    output: Folder,
    config: VerifyConfig,
    filters: FilterConfig,
    models: AnnotateConfig,
    load: Callable[[TaskConfig], InstructionWriter],
) -> Refining:
    """Take samples through the chain. Answers are kept in `output`, so that only what has none is asked.

    Raises ConfigurationError for images that are not there, and what `load` raises."""
    files = folder_images(images)

    def data(name: str) -> bytes:
        return next(content for _, content in files([annotations.images[name]]))

    _check(annotations, samples, images)
    beside = _distractors(annotations, samples, images, output, models)
    columns = judging_columns(config, filters)
    rows = [_row(annotations.benchmark, sample, beside[sample.sample_id], columns) for sample in samples]
    found = run_rows(
        rows,
        make_chain(config),
        Folder(f"{output.path.rstrip('/')}/{GENERATIONS}"),
        load,
        ScaledImages(data, _KEPT),
    )
    said = said_of(found.rows)
    refined = [
        _refined(sample, said[sample.sample_id, sample.text], row, config)
        for sample, row in zip(samples, found.rows.rows, strict=True)
    ]
    return Refining(refined, found.usage)


def write_refined(annotations: Annotations, refining: Refining, output: Folder, about: Mapping[str, Any]) -> None:
    """The files of annotations as they were laid out, with the samples that were judged and are not dropped; the lists
    that they are read with; `changes.json`."""
    for number, file in enumerate(annotations.files):
        entries = [
            entry if one.outcome != "rewritten" else refined_entry(annotations.benchmark, entry, one.text)
            for one in refining.refined
            if one.sample.file == number and one.text is not None
            for entry in (file.entries[one.sample.entry],)
        ]
        output.replace(file.path, dumped(file, entries))
    for path in annotations.beside:
        output.replace(path, (annotations.root / path).read_bytes())
    changes = [
        {"id": one.sample.sample_id, "outcome": one.outcome, "old": one.sample.text, "new": one.text, **one.details}
        for one in refining.refined
        if one.outcome != "passed"
    ]
    data = {**about, "summary": refining.counts, "changes": changes}
    output.replace(CHANGES, json.dumps(data, indent=1, ensure_ascii=False).encode())


def _row(name: str, sample: Sample, distractors: Sequence[str], columns: Mapping[str, Any]) -> dict[str, Any]:
    """A sample as a row of triplets: benchmarks have pictures alone."""
    nothing = dict.fromkeys(("page_url", "page_title", "query_text", "target_text", "query_label", "target_label"))
    return {
        **nothing,
        **columns,
        "page_id": name,
        "pair_id": sample.sample_id,
        "triplet_id": sample.sample_id,
        "query_image_id": sample.query,
        "target_image_id": sample.target,
        "instruction": sample.text,
        "distractors": list(distractors),
    }


def _refined(sample: Sample, said: Said, row: Mapping[str, Any], config: VerifyConfig) -> Refined:
    details: dict[str, Any] = {
        "verdict": said.verdict,
        "votes": list(said.votes),
        "judged_order": list(said.order),
        "distractors": list(row["distractors"]),
        "dropped": False,
    }
    if said.missing is not None:
        return Refined(sample, said.missing.kind, sample.text, {**details, "error": said.missing.reason})
    if said.verdict is None:
        return Refined(sample, "unchecked", sample.text, details)
    if said.verdict == "pass":
        return Refined(sample, "passed", sample.text, details)
    verdicts = row.get("rewritten_verdicts") or []
    judged = zip(rewritten_texts(row), verdicts, row.get("rewritten_votes") or [], strict=False)
    details["tried"] = [{"text": text, "verdict": verdict, "votes": votes} for text, verdict, votes in judged]
    if said.rewritten is not None and said.verdict in config.rewritten:
        text = instruction_of(said.rewritten.written)
        more = {name: text[name] for name in ("length", "model", "prompt")}
        return Refined(sample, "rewritten", text["text"], details | more)
    if said.verdict == "ambiguous" and config.ambiguous != "drop":
        return Refined(sample, "ambiguous", sample.text, details)
    return Refined(sample, "dropped", None, details | {"dropped": True})


def _distractors(
    annotations: Annotations, samples: Sequence[Sample], images: Path, output: Folder, models: AnnotateConfig
) -> dict[str, tuple[str, ...]]:
    """What each sample is judged among: the benchmark's own set, or the most similar of the images that the same file
    of annotations names, whichever of its samples are refined, and that are there."""
    own = {one.sample_id: one.distractors for one in samples if one.distractors is not None}
    found = {name: names for name, names in own.items() if names is not None}
    for number in sorted({one.file for one in samples if one.sample_id not in found}):
        named = {name for one in annotations.samples if one.file == number for name in one.no_distractors}
        names = sorted(name for name in named if _is_there(images, annotations.images[name]))
        vectors = _features(annotations, names, images, output, models, number)
        for one in samples:
            if one.file == number and one.sample_id not in found:
                found[one.sample_id] = similar(one, names, vectors, COUNT)
    return found


def _check(annotations: Annotations, samples: Sequence[Sample], images: Path) -> None:
    """Raise ConfigurationError for images of samples that are not there, before anything is asked."""
    wanted = {name for one in samples for name in (one.query, one.target, *(one.distractors or ()))}
    missing = sorted(name for name in wanted if not _is_there(images, annotations.images[name]))
    if missing:
        raise ConfigurationError(
            f"{images} lacks {len(missing)} of {len(wanted)} images, {missing[0]} among them: give the folder of the "
            "benchmark's images with --images."
        )


def _is_there(folder: Path, file: ImageFile) -> bool:
    return any((folder / path).is_file() for path in file.paths)


def _features(
    annotations: Annotations, names: Sequence[str], images: Path, output: Folder, models: AnnotateConfig, number: int
) -> Float32Array:
    """Features of unit length float32 (n, d), kept beside the answers. Raises ConfigurationError for an image that
    cannot be decoded."""
    path = f"_work/{number}-{digest('features', models.image_model, *names)[:16]}-{_FEATURES}"
    if output.exists(path):
        with output.open(path) as source:
            stored: Float32Array = np.load(source, allow_pickle=False)["features"]
        return stored
    # Nothing but the image model is wanted.
    unwanted = ("safety_model", "caption_model", "pattern_model", "generated_model")
    bare = models.model_copy(update=dict.fromkeys(unwanted))
    by_key = {image_key(annotations.images[name]): name for name in names}
    files = folder_images(images)(annotations.images[name] for name in names)
    features = image_features(((by_key[key], data) for key, data in files), bare)
    vectors = np.stack([features[name] for name in names])
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    made: Float32Array = (vectors / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    with output.open(path, "wb") as sink:
        np.savez(sink, features=made)
    return made
