"""The choice of few pairs among many: the best first, spread over the images, exactly capped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

#: Position of the query, position of the target, score (more is better).
Candidate = tuple[int, int, float]


def chosen_pairs(candidates: Iterable[Candidate], ids: Sequence[str], cap: int, per_image: int) -> list[Candidate]:
    """At most `cap` of the candidates, each image in at most `per_image` of them, as query or target.

    In rounds: in the n-th an image takes part in n pairs at most, so that no image has two while another that could
    has none. Inside a round the best score goes first, ties by id.
    """
    ordered = sorted(candidates, key=lambda one: (-one[2], ids[one[0]], ids[one[1]]))
    used: Counter[int] = Counter()
    taken: list[Candidate] = []
    for limit in range(1, per_image + 1):
        left: list[Candidate] = []
        for query, target, score in ordered:
            if len(taken) == cap:
                return taken
            if used[query] < limit and used[target] < limit:
                taken.append((query, target, score))
                used[query] += 1
                used[target] += 1
            else:
                left.append((query, target, score))
        ordered = left
    return taken
