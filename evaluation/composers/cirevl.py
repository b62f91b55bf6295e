"""Vision by language (CIReVL, ICLR 2024): caption, edit of the caption, embedding of the edited caption.

No image feature enters the query.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluation.composers.cirevl_prompts import CIREVL_PROMPTS, PROMPTS_VERSION
from evaluation.unit_vectors import FloatArray, checked, float_type, unit
from schemas.ids import request_id
from schemas.protocols import Captioner, Float32Array, InstructionWriter, TextEncoder, answers_in_order

#: What a line of an answer starts with to be the description.
MARKER = "Edited Description:"


@dataclass(frozen=True)
class Descriptions:
    """`texts[i]` holds the descriptions of query i; `outcomes` counts where they come from: `described`, or the
    instruction instead because of `no_caption`, `no_answer` or `no_description`."""

    captions: tuple[str | None, ...]
    texts: tuple[tuple[str, ...], ...]
    outcomes: Counter[str]


@dataclass(frozen=True)
class CirevlQueries:
    """`embeddings` float32 n × k × d, unit vectors: k descriptions a query. Their scores are averaged
    (`description_scores`), never they themselves; with k = 1, `embeddings[:, 0]` are ordinary queries."""

    descriptions: Descriptions
    embeddings: Float32Array


def parse_description(answer: str, instruction: str) -> str:
    """What the first line that starts with `Edited Description:` says, up to the next colon, without blanks around.

    Where there is no such line or it says nothing, the instruction. A description that itself holds a colon is
    therefore cut, as in the published code."""
    return _description(answer) or instruction


def describe_edits(
    captions: Sequence[str | None],
    instructions: Sequence[str],
    *,
    writer: InstructionWriter,
    style: str = "structural",
    descriptions: int = 1,
    parameters: Mapping[str, Any] | None = None,
) -> Descriptions:
    """Ask for `descriptions` edited captions of each pair of caption and instruction (n each).

    `style` is a name of `CIREVL_PROMPTS`; `parameters` go to the model (default: temperature 0), and where several
    descriptions are asked for, the number of each goes with it as its `seed`. A failed answer falls back to the
    instruction and is counted. Raises ValueError for unknown styles and for lists of unequal length."""
    if style not in CIREVL_PROMPTS:
        raise ValueError(f"style is {style!r}; the styles are {', '.join(CIREVL_PROMPTS)}.")
    if len(captions) != len(instructions) or descriptions < 1:
        raise ValueError(
            f"{len(captions)} captions, {len(instructions)} instructions, {descriptions} descriptions each: "
            "as many captions as instructions and one description at least are wanted."
        )
    asked = [
        (query, number)
        for query in range(len(captions))
        if captions[query] is not None
        for number in range(descriptions)
    ]
    base = {"temperature": 0.0} if parameters is None else dict(parameters)
    requests = []
    for query, number in asked:
        chosen = base if descriptions == 1 else {**base, "seed": number}
        requests.append(_request(captions[query] or "", instructions[query], style, writer.name, chosen))
    answers = answers_in_order(writer, requests)
    outcomes: Counter[str] = Counter()
    texts: list[list[str]] = [[] for _ in captions]
    for (query, _), answer in zip(asked, answers, strict=True):
        if answer["error"] is not None or answer["text"] is None:
            outcomes["no_answer"] += 1
            texts[query].append(instructions[query])
        else:
            found = _description(answer["text"])
            outcomes["described" if found else "no_description"] += 1
            texts[query].append(found or instructions[query])
    for query, caption in enumerate(captions):
        if caption is None:
            outcomes["no_caption"] += descriptions
            texts[query] = [instructions[query]] * descriptions
    return Descriptions(tuple(captions), tuple(tuple(one) for one in texts), outcomes)


def cirevl(
    images: Sequence[bytes],
    instructions: Sequence[str],
    *,
    captioner: Captioner,
    writer: InstructionWriter,
    encoder: TextEncoder,
    style: str = "structural",
    descriptions: int = 1,
    parameters: Mapping[str, Any] | None = None,
) -> CirevlQueries:
    """The queries of n reference images (encoded files) and their instructions; see `describe_edits`."""
    captions = captioner.caption(images)
    described = describe_edits(
        captions, instructions, writer=writer, style=style, descriptions=descriptions, parameters=parameters
    )
    flat = [text for texts in described.texts for text in texts]
    vectors = encoder.encode(flat) if flat else np.zeros((0, encoder.dimension), np.float32)
    embeddings = unit(checked(vectors, "text embeddings", (2,))).astype(np.float32)
    return CirevlQueries(described, embeddings.reshape(len(captions), descriptions, -1 if flat else encoder.dimension))


def description_scores(descriptions: npt.ArrayLike, gallery: npt.ArrayLike) -> FloatArray:
    """Cosines of n × k × d descriptions with m × d gallery images, averaged over the k: n × m.

    Averaging distances, as the published code does for CIRR, gives the same order. A zero vector scores 0."""
    precision = float_type(descriptions, gallery)
    queries, images = unit(checked(descriptions, "descriptions", (3,))), unit(checked(gallery, "gallery", (2,)))
    if queries.shape[1] == 0:
        raise ValueError("one description a query at least is wanted.")
    # The mean of products is the product with the mean, so long as the mean is not normalised.
    return (queries.mean(axis=1) @ images.T).astype(precision, copy=False)


def _description(answer: str) -> str:
    for line in answer.split("\n"):
        if line.strip().startswith(MARKER):
            return line.split(":")[1].strip()
    return ""


def _request(
    caption: str, instruction: str, style: str, model: str, parameters: Mapping[str, Any]
) -> Mapping[str, Any]:
    messages = [
        {"role": "system", "content": CIREVL_PROMPTS[style]},
        {"role": "user", "content": f"Image Content: {caption}\nInstruction: {instruction}"},
    ]
    return {
        "request_id": request_id(f"cirevl_{style}", PROMPTS_VERSION, model, dict(parameters), messages),
        "messages": messages,
        "parameters": dict(parameters),
        "image_ids": [],
    }
