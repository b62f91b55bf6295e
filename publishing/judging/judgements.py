"""What judges said of a sample: their files, checked, and the summary of them all."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from publishing.judging.agreement import cohens_kappa, wilson
from publishing.judging.sample import Item, JudgeSample, strata_of
from schemas.errors import ConfigurationError
from schemas.ids import digest

#: What may be said of a text: it leads to the target and to no other image; only partly, or to others as well; it
#: says what the target does not show; the images do not tell.
VERDICTS = ("good", "partly", "false", "unclear")
#: How the name of a judge begins that is a model.
MODEL = "model "
#: Version of the files that sheets save.
FORMAT = 1
_SAMPLE_ID = re.compile(r"[0-9a-f]{32}")
#: Letters of a name, and of a note, at most.
NAME_LENGTH, NOTE_LENGTH = 80, 2000


@dataclass(frozen=True)
class Judgements:
    """The answers of one judge: item id → one of `VERDICTS`, and notes on some of the items."""

    sample_id: str
    judge: str
    answers: Mapping[str, str]
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        """The same for the same judge."""
        return f"{digest('judge', self.judge)[:16]}.json"

    def to_json(self) -> dict[str, Any]:
        """As the sheet saves it."""
        answers = [
            {"id": name, "verdict": verdict} | ({"note": self.notes[name]} if self.notes.get(name) else {})
            for name, verdict in self.answers.items()
        ]
        return {"lensmith_judgements": FORMAT, "sample": self.sample_id, "judge": self.judge, "answers": answers}


def parse_judgements(data: bytes, path: str) -> Judgements:
    """A file that a sheet saved. Raises ConfigurationError, which names `path` and the mend, for anything else."""
    try:
        read = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} is no JSON: give the file that the sheet's Save button wrote.") from error
    if not isinstance(read, dict) or read.get("lensmith_judgements") != FORMAT:
        raise ConfigurationError(f"{path} holds no judgements: give the file that the sheet's Save button wrote.")
    sample_id, judge, answers = (read.get(name) for name in ("sample", "judge", "answers"))
    if not isinstance(sample_id, str) or not _SAMPLE_ID.fullmatch(sample_id):
        raise ConfigurationError(f"{path} does not say of which sample it is: save it anew from the sheet.")
    judge = " ".join(judge.split()) if isinstance(judge, str) else ""
    if not judge or len(judge) > NAME_LENGTH or not judge.isprintable():
        raise ConfigurationError(
            f"{path} does not say who judged: enter a name of at most {NAME_LENGTH} letters, save anew."
        )
    if not isinstance(answers, list) or not answers:
        raise ConfigurationError(f"{path} holds no answers: judge some items before you save.")
    given: dict[str, str] = {}
    notes: dict[str, str] = {}
    for one in answers:
        name, verdict, note = (one.get(key) if isinstance(one, dict) else None for key in ("id", "verdict", "note"))
        if not isinstance(name, str) or not isinstance(verdict, str) or verdict not in VERDICTS:
            raise ConfigurationError(f"{path} holds an answer that is none of {', '.join(VERDICTS)}: save it anew.")
        if name in given:
            raise ConfigurationError(f"{path} answers {name[:80]!r} twice: save it anew from the sheet.")
        given[name] = verdict
        if isinstance(note, str) and note.strip():
            notes[name] = note.strip()[:NOTE_LENGTH]
    return Judgements(sample_id, judge, given, notes)


def check(judged: Judgements, sample: JudgeSample, path: str) -> None:
    """Raises ConfigurationError for answers about what is not in the sample."""
    foreign = sorted(judged.answers.keys() - {one.item_id for one in sample.items})
    if judged.sample_id != sample.sample_id or foreign:
        what = f"{foreign[0][:80]!r} is not in it" if foreign else f"it is of {judged.sample_id}"
        raise ConfigurationError(
            f"{path} does not belong to the sample {sample.sample_id} ({what}): import it where its sheet was made."
        )


def summary(sample: JudgeSample, judges: Iterable[Judgements]) -> dict[str, Any]:
    """Shares of good texts by judge, over all and by stratum, with 95% intervals, and the agreement of all pairs of
    judges on the items that both judged. All answers count in a share, `unclear` too."""
    sorted_judges = sorted(judges, key=lambda one: (one.judge.startswith(MODEL), one.judge))
    return {
        "sample": sample.sample_id,
        "size": len(sample.items),
        "by": sample.by,
        "seed": sample.seed,
        "of": dict(sample.of),
        "judges": [{"judge": one.judge, "shares": _shares(sample, one)} for one in sorted_judges],
        "agreement": [_agreement(*pair) for pair in combinations(sorted_judges, 2)],
    }


def _shares(sample: JudgeSample, judged: Judgements) -> list[dict[str, Any]]:
    """Over all first, then by method, then by another stratum if the sample was drawn by one."""
    items = [one for one in sample.items if one.item_id in judged.answers]
    rows = [_share("all", "", items, judged)]
    for by in dict.fromkeys(("method", sample.by)):
        for name in strata_of(items, by) if by != "none" else ():
            own = [one for one in items if (one.method if by == "method" else one.stratum) == name]
            rows.append(_share(by, name, own, judged))
    return rows


def _share(by: str, name: str, items: Sequence[Item], judged: Judgements) -> dict[str, Any]:
    counts = Counter(judged.answers[one.item_id] for one in items)
    low, high = wilson(counts["good"], len(items))
    said = {verdict: counts[verdict] for verdict in VERDICTS}
    share = {"share": counts["good"] / len(items), "low": low, "high": high}
    return {"by": by, "name": name, "judged": len(items), **said} | {key: round(one, 4) for key, one in share.items()}


def _agreement(first: Judgements, second: Judgements) -> dict[str, Any]:
    common = sorted(first.answers.keys() & second.answers.keys())
    ours, theirs = ([one.answers[name] for name in common] for one in (first, second))
    kappa = cohens_kappa(ours, theirs)
    agreed = sum(one == other for one, other in zip(ours, theirs, strict=True))
    return {
        "judges": [first.judge, second.judge],
        "items": len(common),
        "agreed": agreed,
        "kappa": None if kappa is None else round(kappa, 4),
    }
