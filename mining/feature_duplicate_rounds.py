"""Embedding duplicates where no machine sees all images: parts settle the verdict of `feature_duplicates_of` in rounds.

Each image that has a better one near it has a list of those (`mining.near_lists`), and a part knows which other parts
list its images. It settles what its own images and what others told allow, and tells of each image that is settled once
to each part that lists it; the best open image of all can always be settled, unless its list is cut and all that it
names are rejected. Such images are *short*, and ask for the continuation of their lists.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mining.near_lists import id_of

#: What is told of a settled image.
_SURVIVES, _REJECTED = b"s", b"r"


@dataclass(frozen=True, slots=True)
class NearRow:
    """The list of an image of one part with better ones of another part, or of its own: ranks (40 bytes), sorted.
    `cut`: there are more of them."""

    rank: bytes
    part: int
    near: list[bytes]
    near_part: int
    cut: bool


class FeatureStanding:
    """What one part knows, round after round. All images are named by their ranks."""

    def __init__(self, part: int) -> None:
        self._part = part
        self._near: dict[bytes, list[bytes]] = {}
        #: Image → the last rank up to which its list is whole, of those whose lists are cut.
        self._cuts: dict[bytes, bytes] = {}
        self._open: set[bytes] = set()
        self._survives: dict[bytes, bool] = {}
        self._named: dict[bytes, bytes] = {}
        #: Image of this part → other parts that list it and have not been told.
        self._untold: dict[bytes, set[int]] = defaultdict(set)
        self._told: set[tuple[bytes, int]] = set()

    def learn(self, rows: Iterable[NearRow]) -> None:
        """Take in the lists that this part is in, or their continuations for all images that were short."""
        for rank in self.short():
            del self._cuts[rank]
        found: dict[bytes, set[bytes]] = defaultdict(set)
        own: set[bytes] = set()
        for row in rows:
            if row.part == self._part:
                found[row.rank].update(row.near)
                if row.cut:
                    self._cuts[row.rank] = min(row.near[-1], self._cuts.get(row.rank, row.near[-1]))
            if row.near_part == self._part:
                own.update(row.near)
                if row.part != self._part:
                    self._await(row)
        for rank, near in found.items():
            if rank not in self._near:
                self._open.add(rank)
            self._near[rank] = sorted(near.union(self._near.get(rank, ())))
        # Who is near no better one survives.
        self._survives |= dict.fromkeys(own - self._near.keys(), True)
        self._settle()

    def messages(self) -> Iterator[tuple[bytes, int, bytes]]:
        """(rank, part, what is told) of this round."""
        for rank in sorted(self._untold):
            if rank in self._survives:
                told = _SURVIVES if self._survives[rank] else _REJECTED
                yield from ((rank, part, told) for part in sorted(self._untold[rank]))

    def advance(self, answers: Mapping[bytes, bytes]) -> None:
        """Take in what other parts told in this round: rank → what is told."""
        for rank, part, _ in list(self.messages()):
            self._told.add((rank, part))
            self._untold[rank].discard(part)
        self._untold = defaultdict(set, {rank: parts for rank, parts in self._untold.items() if parts})
        for rank, told in answers.items():
            self._survives[rank] = told == _SURVIVES
        self._settle()

    def short(self) -> dict[bytes, bytes]:
        """Images of which all that their cut lists name are rejected → the last rank of the list."""
        found = {}
        for rank in sorted(self._open & self._cuts.keys()):
            cut = self._cuts[rank]
            if all(self._survives.get(near) is False for near in self._near[rank] if near <= cut):
                found[rank] = cut
        return found

    @property
    def settled(self) -> bool:
        """Whether no image is open."""
        return not self._open

    def rejected(self) -> dict[str, str]:
        """Rejected image id → survivor id; final when all parts are settled."""
        return {id_of(rank): id_of(self._named[rank]) for rank in sorted(self._named)}

    def _await(self, row: NearRow) -> None:
        for rank in row.near:
            if (rank, row.part) not in self._told:
                self._untold[rank].add(row.part)

    def _settle(self) -> None:
        """Settle what can be: an image that a survivor is near is rejected, and its survivor has a name as soon as all
        better ones are known to be rejected."""
        # Better images of this part go first, so that one pass is enough.
        for rank in sorted(self._open):
            cut = self._cuts.get(rank)
            is_sure = True
            for near in self._near[rank]:
                is_sure = is_sure and (cut is None or near <= cut)
                survives = self._survives.get(near)
                if survives:
                    self._survives[rank] = False
                    if is_sure:
                        self._named[rank] = near
                        self._open.remove(rank)
                    break
                is_sure = is_sure and survives is False
            else:
                if is_sure and cut is None:
                    self._survives[rank] = True
                    self._open.remove(rank)
