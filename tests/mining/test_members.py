"""What members of a key know of one another."""

from __future__ import annotations

from datetime import UTC, datetime

import made_corpus as made
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mining.members import SHORT, Member, hash_distances, member_cosines, pack, short_sketch, unpack_members
from mining.similarity import cosines, sketch_matrix


@given(
    st.text(max_size=60),
    st.floats(-4, 4),
    st.one_of(st.none(), st.datetimes(min_value=datetime(1960, 1, 1), max_value=datetime(2300, 1, 1))),
    st.integers(0, 2**64 - 1),
    st.integers(1, 2**31),
)
def test_what_is_packed_is_read_again(note: str, score: float, date: datetime | None, phash: int, width: int) -> None:
    note = note.encode("utf-8", "ignore").decode()
    image = made.image("a", crawl_date=date, phash=phash, width=width, text=" Some\nText ")
    data = pack(image, score, note)
    assert len(data) <= 400
    one = Member.unpack(image.image_id, data)
    assert note.startswith(one.note)
    assert len(note.encode()) > 40 or one.note == note
    assert (one.phash, one.width, one.area) == (phash, width, width * 300)
    assert abs(one.score - max(-3, min(3, score))) < 1e-4
    assert one.sketch == short_sketch(image.sketch)


def test_texts_meet_when_only_blanks_and_case_differ() -> None:
    first, second, third, none = (
        Member.unpack("x", pack(made.image("a", text=text))) for text in ("A  cat", "a CAT", "a dog", None)
    )
    assert first.text == second.text
    assert len({first.text, third.text, none.text}) == 3
    assert none.text == bytes(8)


def test_days_need_no_time_zone() -> None:
    days = [
        Member.unpack("x", pack(made.image("a", crawl_date=date))).day
        for date in (datetime(1970, 1, 3), datetime(1970, 1, 3, 5, tzinfo=UTC), None)
    ]
    assert days == [2, 2, 0]


def test_short_sketches_keep_cosines() -> None:
    images = [made.image(f"i{number}", like=number % 5, share=number % 7 / 7) for number in range(60)]
    matrix = sketch_matrix([one.sketch for one in images])
    short = member_cosines(unpack_members([(one.image_id, pack(one)) for one in images]))
    order = sorted(range(60), key=lambda index: images[index].image_id)
    strays = short - cosines(matrix, matrix)[np.ix_(order, order)]
    assert np.abs(np.diag(short) - 1).max() < 1e-3
    assert np.abs(strays).max() < 0.2
    assert strays.std() < 0.05


def test_short_and_empty_sketches_stay() -> None:
    assert short_sketch(b"\x01\x02") == b"\x01\x02"
    assert short_sketch(bytes(448)) == bytes(SHORT)


def test_hash_distances_count_bits() -> None:
    members = unpack_members([(name, pack(made.image("a", phash=value))) for name, value in (("b", 0b1011), ("a", 0))])
    assert [one.image_id for one in members] == ["a", "b"]
    assert hash_distances(members).tolist() == [[0, 3], [3, 0]]
