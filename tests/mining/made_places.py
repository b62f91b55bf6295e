"""Constructed pages, places and image facts for the tests of pairing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from mining.mine import PageInput
from mining.places import EligibleImage, ImageFacts, PageRecord, PlaceRecord

SITE = "example.org"


def image_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def sketch(seed: int, *, like: int | None = None, share: float = 0.0, length: int = 64) -> bytes:
    """A random sketch, mixed with `share` of the sketch of seed `like`."""
    own = np.random.default_rng(seed).normal(size=length)
    if like is not None:
        own = share * np.random.default_rng(like).normal(size=length) + (1 - share) * own
    return np.clip(own * 30, -127, 127).astype(np.int8).tobytes()


def facts(name: str = "a", **fields: object) -> ImageFacts:
    number = int(image_id(name)[:8], 16)
    values: dict[str, object] = {
        "image_id": image_id(name),
        "width": 400,
        "height": 300,
        "phash": int(image_id(name)[:16], 16),
        "flatness": 0.2,
        "sketch": sketch(number, like=1, share=0.6),
        "format": "JPEG",
        "nsfw": 0.01,
    }
    return ImageFacts(**{**values, **fields})


def page(name: str = "p", **fields: object) -> PageRecord:
    values = {"page_id": image_id(name)[:32], "url": f"http://{SITE}/{name}", "site": SITE, "title": f"Page {name}"}
    return PageRecord(**{**values, **fields})


def embedding(seed: int, share: float = 0.5) -> np.ndarray:
    vector = share * np.random.default_rng(99).normal(size=32) + (1 - share) * np.random.default_rng(seed).normal(
        size=32
    )
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def place(position: int, known: ImageFacts | None, **fields: object) -> PlaceRecord:
    values: dict[str, object] = {
        "position": position,
        "url": f"http://{SITE}/{position}.jpg",
        "group": position,
        "chosen": True,
        "image_id": known.image_id if known else None,
    }
    return PlaceRecord(**{**values, **fields})


def eligible(position: int, known: ImageFacts, text: str | None = None) -> EligibleImage:
    vector = embedding(position + 1000) if text else None
    return EligibleImage(position, f"http://{SITE}/{position}.jpg", known, text, vector)


def page_input(name: str, images: Sequence[ImageFacts], *, texts: bool = True, **fields: object) -> PageInput:
    places = [
        place(index, known, text=f"text {index}", embedding=embedding(index)) if texts else place(index, known)
        for index, known in enumerate(images)
    ]
    return PageInput(page(name, **fields), places, {known.image_id: known for known in images})


@st.composite
def image_facts(draw: st.DrawFn) -> ImageFacts:
    """Facts from a small stock of images, so that pages share some, with hashes and sketches that often nearly meet."""
    number = draw(st.integers(0, 30))
    return facts(
        f"image{number}",
        width=50 + 37 * number,
        height=400,
        phash=number // 3,
        flatness=1.0 if number == 7 else 0.3,
        nsfw=0.99 if number == 8 else 0.0,
        opt_out="noai" if number == 9 else None,
        sketch=sketch(number // 2, like=1, share=0.5),
    )


@st.composite
def page_inputs(draw: st.DrawFn) -> list[PageInput]:
    """Up to six pages of two sites, places with alternatives, dangling addresses, missing texts and annotations."""
    made = []
    for number in range(draw(st.integers(1, 6))):
        known = draw(st.lists(image_facts(), max_size=12))
        places, group = [], 0
        for position, one in enumerate(known):
            group = group if draw(st.integers(0, 4)) == 0 else position
            texted = draw(st.booleans())
            places.append(
                place(
                    position,
                    one if draw(st.integers(0, 6)) else None,
                    group=group,
                    chosen=draw(st.booleans()),
                    text=f"text {position}" if texted else None,
                    embedding=embedding(position) if texted else None,
                )
            )
        annotated = {one.image_id: one for one in known if draw(st.integers(0, 8))}
        opt_out = "noai" if draw(st.integers(0, 8)) == 0 else None
        site = draw(st.sampled_from(["one.example", "two.example"]))
        made.append(PageInput(page(f"page{number}", site=site, opt_out=opt_out), places, annotated))
    if draw(st.booleans()):
        made.append(made[0])
    return made
