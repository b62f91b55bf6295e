"""The triplets of a page with what ranks and judges say of them: which texts stay, which are replaced, which go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.ids import triplet_id
from schemas.outcomes import Outcomes
from schemas.protocols import Float32Array, TextEncoder
from synthesis.chain import Unanswered, passing
from synthesis.config import VerifyConfig
from synthesis.verification.chain_verdicts import Said, TextKey
from synthesis.verification.distractors import Lookalikes
from synthesis.verification.ranks import CaptionRank, Judgement, PageImages, caption_rank, judge
from synthesis.words import words
from synthesis.writing import instruction_of, parse_left

#: Features float32 (n, d) to sketches int8 (n, s): what images are compared by.
Project = Callable[[Float32Array], npt.NDArray[np.int8]]

#: Better verdicts first; among equal ones what a model has judged, then the order in which the texts came.
_ORDER = {"pass": 0, "unchecked": 1, "ambiguous": 2}


@dataclass(frozen=True)
class Verifying:
    """What verifying needs beside the rows of a page. `said`: what a chain said of texts. `project` where texts and
    images have one space: what makes a text's embedding comparable with the sketches of images."""

    config: VerifyConfig
    encoder: TextEncoder
    lookalikes: Lookalikes
    said: Mapping[TextKey, Said] = field(default_factory=dict)
    project: Project | None = None


@dataclass(frozen=True)
class _Kept:
    """A text that stays, as `instructions` hold it, and the columns that speak of it."""

    text: dict[str, Any]
    ranks: Judgement
    said: Said
    caption: CaptionRank | None = None
    rewritten_from: str | None = None

    @property
    def verdict(self) -> str:
        return str(self.text["verdict"])

    @property
    def order(self) -> tuple[int, int, int]:
        verdict, judged = self.verdict, bool(self.said.votes)
        return (0 if verdict == "pass" else 1, 0 if judged else 1, _ORDER[verdict])


def verify_page(
    triplets: Sequence[Mapping[str, Any]], images: PageImages, verifying: Verifying, outcomes: Outcomes
) -> None:
    """Verify the triplets of one page: units `text` and `triplet`, rows of `verified`.

    A text is dropped that a judge fails (`verifier_failed`), or without a judge the ranks (`target_ranked_low`); one
    that was written anew takes its place (`rewritten`), and where the best text fails that alone is judged the others
    go with it (`best_text_failed`). A text whose request failed or was deferred is failed or deferred, a triplet
    without a text left as its first such text, else rejected as its first text. Of the texts that are left those with
    the better verdict come first; the columns of a triplet are those of the first.
    """
    page = _Page(images, verifying, _vectors(triplets, verifying))
    for triplet in triplets:
        _Triplet(triplet, page, outcomes).verify()


def fail_page(triplets: Sequence[Mapping[str, Any]], error: str, outcomes: Outcomes) -> None:
    """Report all triplets of a page and their texts as failed: the model's process died on it."""
    for triplet in triplets:
        outcomes.entered("triplet")
        outcomes.failed("triplet", error, id=triplet["triplet_id"], url=triplet["page_url"])
        for text in triplet["instructions"]:
            outcomes.entered("text")
            outcomes.failed("text", error, id=triplet["triplet_id"], detail=text["text"])


def _vectors(triplets: Sequence[Mapping[str, Any]], verifying: Verifying) -> dict[str, Float32Array]:
    """Embeddings of all texts that are ranked, each once."""
    wanted: set[str] = set()
    for triplet in triplets:
        for text in triplet["instructions"]:
            wanted.add(text["text"])
            said = verifying.said.get((triplet["triplet_id"], text["text"]), Said())
            wanted |= {said.rewritten.written.candidate.text} if said.rewritten else set()
            wanted |= {said.target_caption} if said.target_caption else set()
    distinct = sorted(wanted)
    return dict(zip(distinct, verifying.encoder.encode(distinct), strict=True))


@dataclass(frozen=True)
class _Page:
    images: PageImages
    verifying: Verifying
    vectors: Mapping[str, Float32Array]

    def ranks(self, text: str, triplet: Mapping[str, Any]) -> Judgement:
        return judge(self.vectors[text], triplet, self.images, self.verifying.config)

    def caption(self, said: Said, triplet: Mapping[str, Any]) -> CaptionRank | None:
        if said.target_caption is None:
            return None
        vector, project = self.vectors[said.target_caption], self.verifying.project
        against = self.images.texts
        if project is not None:
            vector, against = project(vector[None])[0].astype(np.float32), self.images.sketches
        return caption_rank(vector, against, triplet, self.images, self.verifying.config)


class _Triplet:
    """One triplet on its way: what is kept of its texts, and why the others are not."""

    def __init__(self, triplet: Mapping[str, Any], page: _Page, outcomes: Outcomes) -> None:
        self._triplet, self._page, self._outcomes = triplet, page, outcomes
        self._config = page.verifying.config
        self._kept: list[_Kept] = []
        self._lost: list[Unanswered] = []

    def verify(self) -> None:
        """All texts, then the row or what became of the triplet."""
        self._outcomes.entered("triplet")
        best, *others = self._triplet["instructions"]
        self._outcomes.entered("text", 1 + len(others))
        self._text(best)
        lost = self._lost[0] if not self._kept and self._config.judges and self._config.verify == "best" else None
        for text in others:
            if lost is None:
                self._text(text)
            else:
                reason = "best_text_failed" if lost.kind == "rejected" else lost.reason
                self._lose(text["text"], Unanswered(reason, lost.kind))
        if self._kept:
            self._kept.sort(key=lambda one: one.order)
            self._outcomes.kept("text", len(self._kept))
            self._outcomes.row("verified", self._row())
            self._outcomes.kept("triplet")
            self._outcomes.out("triplet")
            return
        self._tell("triplet", passing(self._lost) or self._lost[0], self._triplet["instruction"])

    def _text(self, text: Mapping[str, Any]) -> None:
        said = self._page.verifying.said.get((self._triplet["triplet_id"], text["text"]), Said())
        if said.missing is not None:
            self._lose(text["text"], said.missing)
            return
        ranks, caption = self._page.ranks(text["text"], self._triplet), self._page.caption(said, self._triplet)
        verdict, reason = self._verdict(said, ranks, caption)
        if said.rewritten is not None and said.verdict in self._config.rewritten:
            self._replace(text["text"], said)
        elif verdict == "fail" or (verdict == "ambiguous" and self._config.ambiguous == "drop"):
            self._lose(text["text"], Unanswered(reason if verdict == "fail" else "ambiguous"), _why(ranks, said))
        else:
            self._keep(_Kept({**text, "verdict": verdict}, ranks, said, caption))

    def _verdict(self, said: Said, ranks: Judgement, caption: CaptionRank | None) -> tuple[str, str]:
        """The verdict on a text, and the reason if it fails. Where a model judges others, ranks never let pass what it
        said nothing of."""
        if said.verdict == "fail":
            return "fail", "verifier_failed"
        low = caption is not None and caption.low
        if low or (said.verdict is None and ranks.verdict == "fail"):
            return "fail", "target_ranked_low"
        if said.verdict is not None:
            return said.verdict, ""
        if self._config.judges:
            return "unchecked", ""
        return ("pass" if caption is not None and caption.alone else ranks.verdict), ""

    def _replace(self, failed: str, said: Said) -> None:
        """The coarsest of the texts written anew that passed, in place of the one that failed."""
        assert said.rewritten is not None
        new = instruction_of(said.rewritten.written) | {"verdict": "pass"}
        self._tell("text", Unanswered("rewritten"), f"{failed} → {new['text']}")
        self._outcomes.entered("text")
        judged = Said("pass", said.rewritten.votes, said.rewritten.order, said.judged_by)
        self._keep(_Kept(new, self._page.ranks(new["text"], self._triplet), judged, rewritten_from=failed))

    def _keep(self, kept: _Kept) -> None:
        same = words(kept.text["text"])
        if any(words(one.text["text"]) == same for one in self._kept):
            self._lose(kept.text["text"], Unanswered("duplicate"))
        else:
            self._kept.append(kept)

    def _lose(self, text: str, why: Unanswered, detail: str = "") -> None:
        self._lost.append(why)
        self._tell("text", why, f"{text}{detail}")

    def _tell(self, unit: str, why: Unanswered, detail: str) -> None:
        why.tell(self._outcomes, unit, id=self._triplet["triplet_id"], url=self._triplet["page_url"], detail=detail)

    def _row(self) -> dict[str, Any]:
        best, triplet = self._kept[0], self._triplet
        ends = (triplet["page_id"], triplet["query_image_id"], triplet["target_image_id"])
        judged = bool(best.said.votes)
        texts = [one.text for one in self._kept]
        return {
            **triplet,
            "triplet_id": triplet_id(triplet["pair_id"], best.text["text"]),
            "instruction": best.text["text"],
            "instructions": texts,
            **parse_left(triplet, texts),
            "rank_text": best.ranks.rank_text,
            "rank_query": best.ranks.rank_query,
            "rank_both": best.ranks.rank_both,
            "rank_caption": best.caption.rank if best.caption is not None else None,
            "candidates": best.ranks.candidates,
            "verdict": best.verdict,
            "distractors": [one.image_id for one in self._page.verifying.lookalikes.of(*ends)],
            "judged_by": best.said.judged_by if judged else None,
            "votes": list(best.said.votes) if judged else None,
            "judged_order": list(best.said.order) if judged else None,
            "rewritten_from": best.rewritten_from,
        }


def _why(ranks: Judgement, said: Said) -> str:
    if said.votes:
        return f" (votes {', '.join(str(vote) for vote in said.votes)})"
    return f" (rank {ranks.rank_text} of {ranks.candidates})"
