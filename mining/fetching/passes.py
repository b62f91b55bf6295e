"""Which addresses are asked next, and in which order: hosts take turns, none before its time."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from mining.fetching.addresses import Target, address_id
from mining.fetching.politeness import Gates
from mining.fetching.verdicts import Verdict

#: A pass holds what falls due within so many seconds of its first address. Passes end when their slowest address
#: does, so they should not be many; what was learnt about hosts is used in the next one, so they should not be long.
_HORIZON = 30.0


@dataclass
class Task:
    """One address to ask for: its reading, the addresses as written that read so, and where it stands."""

    target: Target
    urls: list[str] = field(default_factory=list)
    attempts: int = 0
    #: Not to be asked before (monotonic clock), and planned for, in the present pass.
    not_before: float = 0.0
    due: float = 0.0
    #: Whether img2dataset asked for it in the present pass, and whether that came to an end that we know of.
    asked: bool = False
    answered: bool = False
    #: A body was handed to img2dataset with this verdict and has not come back yet.
    handed_over: Verdict | None = None
    message: str | None = None

    @property
    def url(self) -> str:
        """The address as it is asked."""
        return self.target.url

    def begin_pass(self) -> None:
        """Forget what the pass before came to."""
        self.asked = self.answered = False
        self.message = None


def plan_pass(tasks: Sequence[Task], gates: Gates) -> list[Task]:
    """The tasks of the next pass in the order of their planned starts, each with its `due` set.

    The order goes by what hosts sustain (`step`), `due` by what they allow (`interval`). A thread that sleeps until
    its task is due keeps hardly any other waiting that could go sooner, since later ones are planned later."""
    now = time.monotonic()
    by_host: dict[str, list[Task]] = defaultdict(list)
    for task in tasks:
        by_host[task.target.authority].append(task)
    turns: list[tuple[float, int, str, Task]] = []
    for authority, queue in by_host.items():
        gate = gates.of(authority)
        queue.sort(key=lambda task: (task.not_before, address_id(task.url)))
        start = planned = max(now, gate.next_start)
        for turn, task in enumerate(queue):
            planned = max(planned, task.not_before)
            task.due = max(start + turn * gate.interval, task.not_before)
            turns.append((planned, turn, authority, task))
            planned += gate.step
            if planned > now + _HORIZON + gate.step:
                break
    turns.sort(key=lambda entry: entry[:3])
    last = turns[0][0] + _HORIZON
    return [task for planned, _, _, task in turns if planned <= last]
