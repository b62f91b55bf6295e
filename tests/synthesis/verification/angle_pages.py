"""Pages whose texts and looks are angles on a circle: the text of a query lies at an angle too, cosines are plain."""

import numpy as np

from synthesis.config import VerifyConfig
from synthesis.verification.distractors import Lookalikes
from synthesis.verification.pages import Verifying
from synthesis.verification.ranks import PageImages

DEGREES = {"q": 0, "t": 10, "a": 40, "b": 80, "c": 120}


def at(degrees):
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)


class Circle:
    """A text model: a text is its angle."""

    name, revision, dimension = "circle", "1", 2

    def __init__(self):
        self.calls = []

    def encode(self, texts):
        self.calls.append(list(texts))
        return np.stack([at(float(text.rsplit(" ", 1)[-1])) for text in texts])


def eligible(texts=DEGREES, looks=None, page="page"):
    """Rows of `eligible` of one page."""
    looks = looks or dict.fromkeys(texts, 0)
    return [
        {
            "page_id": page,
            "image_id": name,
            "text": None if degrees is None else f"at {degrees}",
            "embedding": None if degrees is None else at(degrees),
            "sketch": np.round(100 * at(looks[name])).astype(np.int8).tobytes(),
            "phash": name * 16,
        }
        for name, degrees in texts.items()
    ]


def images(texts=DEGREES, looks=None):
    return PageImages.from_rows(eligible(texts, looks), 2)


def triplet(*texts, query="q", target="t"):
    return {
        "pair_id": "pair",
        "triplet_id": "old",
        "page_id": "page",
        "page_url": "http://x/",
        "query_image_id": query,
        "target_image_id": target,
        "query_text": "at 0",
        "target_text": "at 10",
        "instruction": texts[0],
        "instructions": [{"text": text, "verdict": "unchecked"} for text in texts],
    }


def verifying(encoder=None, said=None, project=None, **settings):
    return Verifying(VerifyConfig(**settings), encoder or Circle(), Lookalikes(eligible()), said or {}, project)
