"""Which 64-bit values lie within a Hamming distance of each other: the search under `mining.hamming_search`.

Multi-index hashing (Norouzi, Punjani and Fleet, CVPR 2012) in the form for whole sets (Manku, Jain and Das Sarma, WWW
2007): cut into `distance + k` blocks of bits, two hashes within the distance agree in at least `k` whole blocks. For
each choice of `k` blocks those are moved to the front, the set is sorted, and hashes that stand in one run are
compared. Moving bits changes no distance, so that plain values are sorted, not positions. A pair is reported where it
agrees first, hence once. `k` is chosen by cost: more blocks mean more sorts and fewer comparisons. Runs that stay long
are searched in the same way by the bits they still differ in, so that time follows the number of hashes and of pairs,
however unevenly hashes lie. From distances of about ten on nothing is faster than comparing all with all, which is
done then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from math import comb

import numpy as np
import numpy.typing as npt

UInt64Array = npt.NDArray[np.uint64]
Int64Array = npt.NDArray[np.int64]

#: The largest distance that is searched for; unrelated hashes differ in 32 bits, give or take 4.
MAX_DISTANCE = 15
BITS = 64
#: Comparisons that are held at once, and above which one run is searched by blocks of its own.
_CHUNK = 1 << 20
#: Costs in nanoseconds: a value moved and sorted, a comparison inside a run, one of all with all.
_SORTED, _COMPARED, _PLAIN = 70.0, 15.0, 1.5
#: Real hashes are less even than random ones: a block tells as much as this part of its bits.
_EVENNESS = 0.8
_MOST_TABLES = 1024

#: A run of bits: number of the lowest one, and how many.
Segment = tuple[int, int]


def near_values(
    hashes: UInt64Array, distance: int, others: UInt64Array | None = None
) -> Iterator[tuple[UInt64Array, UInt64Array]]:
    """Pairs of values within the distance, block after block and each once, in no order that is promised: of `hashes`
    with one another, or with `others`. Both arrays hold distinct values.

    Raises ValueError on a distance that is not in 0…15.
    """
    if not 0 <= distance <= MAX_DISTANCE:
        raise ValueError(f"hashes are searched within distances of 0 to {MAX_DISTANCE} bits, not {distance}")
    if others is None and distance == 0:
        return
    yield from _near(np.sort(hashes), None if others is None else np.sort(others), distance)


def _near(left: UInt64Array, right: UInt64Array | None, distance: int) -> Iterator[tuple[UInt64Array, UInt64Array]]:
    """Pairs of distinct values; without `right` those among `left`, each once."""
    count, others = len(left), len(left) if right is None else len(right)
    if not count or not others:
        return
    some = left[0]
    varying = int(np.bitwise_or.reduce(left ^ some))
    if right is not None:
        varying |= int(np.bitwise_or.reduce(right ^ some))
    agreeing = _agreeing(count, others, varying.bit_count(), distance)
    if not agreeing:
        yield from _all_with_all(left, right, distance)
        return
    # Bits that all have in common go to the back: they part nothing.
    front = [*_runs_of_bits(varying), *_runs_of_bits(~varying & (2**BITS - 1))]
    own = _moved(left, front)
    other = own if right is None else _moved(right, front)
    used = varying.bit_count()
    blocks = [(low + BITS - used, width) for low, width in cut(used, distance + agreeing)]
    rest = [(0, BITS - used)] if used < BITS else []
    for chosen in combinations(range(len(blocks)), agreeing):
        order = [*(blocks[one] for one in chosen), *(one for at, one in enumerate(blocks) if at not in chosen), *rest]
        bits = sum(blocks[one][1] for one in chosen)
        ranked = np.sort(_moved(own, order))
        partners = None if right is None else np.sort(_moved(other, order))
        earlier = [_mask(blocks[one]) for one in range(chosen[-1]) if one not in chosen]
        for found, partner in _in_runs(ranked, partners, bits, distance):
            one, two = _moved_back(found, order), _moved_back(partner, order)
            first_here = np.ones(len(one), bool)
            for mask in earlier:
                first_here &= ((one ^ two) & mask) != 0
            if first_here.any():
                yield _moved_back(one[first_here], front), _moved_back(two[first_here], front)


def _in_runs(
    left: UInt64Array, right: UInt64Array | None, bits: int, distance: int
) -> Iterator[tuple[UInt64Array, UInt64Array]]:
    """Near pairs among values that have their first `bits` in common; both arrays are sorted."""
    shift = np.uint64(BITS - bits)
    keys, starts, stops = _runs(left >> shift)
    if right is None:
        long = stops - starts > 1
        starts, stops = starts[long], stops[long]
        other_starts, other_stops, partners = starts, stops, left
    else:
        other_keys, other_starts, other_stops = _runs(right >> shift)
        _, own_rows, rows = np.intersect1d(keys, other_keys, assume_unique=True, return_indices=True)
        starts, stops = starts[own_rows], stops[own_rows]
        other_starts, other_stops = other_starts[rows], other_stops[rows]
        partners = right
    hot = (stops - starts) * (other_stops - other_starts) > _CHUNK
    for number in np.flatnonzero(hot):
        own = left[starts[number] : stops[number]]
        others = partners[other_starts[number] : other_stops[number]]
        yield from _near(own, None if right is None else others, distance)
    starts, stops = starts[~hot], stops[~hot]
    run, places = ranges(starts, stops - starts)
    begin = places + 1 if right is None else other_starts[~hot][run]
    counts = other_stops[~hot][run] - begin
    total = np.cumsum(counts)
    at = 0
    while at < len(places):
        done = total[at - 1] if at else 0
        end = max(int(np.searchsorted(total, done + _CHUNK, "right")), at + 1)
        row, place = ranges(begin[at:end], counts[at:end])
        found, partner = left[places[at:end][row]], partners[place]
        near = np.bitwise_count(found ^ partner) <= distance
        if near.any():
            yield found[near], partner[near]
        at = end


def _all_with_all(
    left: UInt64Array, right: UInt64Array | None, distance: int, block: int = 1024
) -> Iterator[tuple[UInt64Array, UInt64Array]]:
    partners = left if right is None else right
    for start in range(0, len(left), block):
        own = left[start : start + block]
        for begin in range(start if right is None else 0, len(partners), block):
            others = partners[begin : begin + block]
            near = np.bitwise_count(own[:, None] ^ others[None, :]) <= distance
            if right is None and begin == start:
                near = np.triu(near, 1)
            if near.any():
                one, two = np.nonzero(near)
                yield own[one], others[two]


def _agreeing(count: int, others: int, bits: int, distance: int) -> int:
    """In how many blocks hashes must agree before they are compared, so that it costs least; 0 is not to cut."""
    pairs = count * others / (2 if others == count else 1)
    best, least = 0, pairs * _PLAIN
    for agreeing in range(1, bits - distance + 1):
        tables = comb(distance + agreeing, agreeing)
        if tables > _MOST_TABLES:
            break
        key = _EVENNESS * bits * agreeing / (distance + agreeing)
        cost = tables * ((count + others) * _SORTED + pairs / 2.0**key * _COMPARED)
        if cost < least:
            best, least = agreeing, cost
    return best


def cut(bits: int, blocks: int) -> list[Segment]:
    """`bits` in blocks as equal as may be, from the highest on: number of the lowest bit, and width."""
    edges = [bits - bits * one // blocks for one in range(blocks + 1)]
    return [(low, high - low) for high, low in pairwise(edges)]


def _runs_of_bits(mask: int) -> list[Segment]:
    """The bits of a mask as runs, from the highest on."""
    runs: list[Segment] = []
    low = 0
    while mask >> low:
        low += ((mask >> low) & -(mask >> low)).bit_length() - 1
        width = (~(mask >> low) & ((mask >> low) + 1)).bit_length() - 1
        runs.append((low, width))
        low += width
    return runs[::-1]


def _moved(values: UInt64Array, order: Sequence[Segment]) -> UInt64Array:
    """The segments of bits in another order, the first of them highest; together they hold all 64 bits."""
    place, result = BITS, np.zeros_like(values)
    for low, width in order:
        place -= width
        result |= _shifted(values & _mask((low, width)), place - low)
    return result


def _moved_back(values: UInt64Array, order: Sequence[Segment]) -> UInt64Array:
    """What `_moved` undoes."""
    place, result = BITS, np.zeros_like(values)
    for low, width in order:
        place -= width
        result |= _shifted(values & _mask((place, width)), low - place)
    return result


def _shifted(values: UInt64Array, by: int) -> UInt64Array:
    return values << np.uint64(by) if by >= 0 else values >> np.uint64(-by)


def _mask(segment: Segment) -> np.uint64:
    low, width = segment
    return np.uint64(((1 << width) - 1) << low)


def _runs(keys: UInt64Array) -> tuple[UInt64Array, Int64Array, Int64Array]:
    """Runs of equal keys of a sorted array, at least one: keys, starts, stops."""
    edges = np.flatnonzero(keys[1:] != keys[:-1]) + 1
    starts = np.concatenate([[0], edges])
    return keys[starts], starts, np.concatenate([edges, [len(keys)]])


def ranges(starts: Int64Array, counts: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Ranges one after another: the number of the range, and the place, of each of their members."""
    rows = np.repeat(np.arange(len(starts)), counts)
    before = np.cumsum(counts) - counts
    return rows, np.arange(len(rows)) - before[rows] + starts[rows]
