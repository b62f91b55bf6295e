import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthesis.writers.http_answers import AnswerReader, AnswerTooLongError, MalformedAnswerError

COUNTED = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}'
CHUNKED = (
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 Too Many\r\nTransfer-Encoding: chunked\r\nRetry-After: 3\r\n\r\n"
    b'3\r\n{"a\r\n4;more=1\r\n":1}\r\n0\r\nTrailer: x\r\n\r\n'
)
TO_THE_END = b'HTTP/1.0 200\r\n\r\n{"a":1}'


def fed(data, cuts, most=100):
    reader, at = AnswerReader(most), 0
    done = False
    for cut in [*sorted(cuts), len(data)]:
        if cut > at:
            done = reader.feed(data[at:cut])
            at = cut
    return reader, done


@pytest.mark.parametrize(
    ("data", "status", "reusable"), [(COUNTED, 200, True), (CHUNKED, 429, True), (TO_THE_END, 200, False)]
)
@given(cuts=st.sets(st.integers(0, 200), max_size=12))
def test_the_answer_is_the_same_however_its_bytes_come(data, status, reusable, cuts):
    reader, done = fed(data, [cut for cut in cuts if cut < len(data)])
    assert done == (data is not TO_THE_END)
    assert reader.end()
    assert (reader.status, reader.body, reader.reusable) == (status, b'{"a":1}', reusable)
    assert reader.headers.get("retry-after") == ("3" if data is CHUNKED else None)


@pytest.mark.parametrize("data", [COUNTED, CHUNKED])
@given(at=st.integers(0, 300))
def test_a_part_of_an_answer_is_none(data, at):
    reader, done = fed(data[: at % len(data)], ())
    assert not done
    assert not reader.end()


def test_a_connection_that_says_more_or_that_it_ends_is_not_used_again():
    assert not fed(COUNTED + b"HTTP/1.1 408 Time-out\r\n", ())[0].reusable
    assert not fed(COUNTED.replace(b"Content-Type", b"Connection: close\r\nContent-Type"), ())[0].reusable


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"<html>\r\n\r\n", MalformedAnswerError),
        (b"HTTP/2 200 OK\r\n\r\n", MalformedAnswerError),
        (b"HTTP/1.1 200 OK\r\nno header\r\n\r\n", MalformedAnswerError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", MalformedAnswerError),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", MalformedAnswerError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", MalformedAnswerError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", MalformedAnswerError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", MalformedAnswerError),
        (b"x" * (1 << 17), MalformedAnswerError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", AnswerTooLongError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n", AnswerTooLongError),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 101, AnswerTooLongError),
    ],
)
def test_what_is_no_answer_is_refused(data, error):
    with pytest.raises(error):
        AnswerReader(100).feed(data)


@given(
    st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([COUNTED[:40], CHUNKED[50:90], b"\r\n"])), max_size=8)
)
def test_nothing_else_is_raised_whatever_comes(pieces):
    reader = AnswerReader(50)
    with contextlib.suppress(MalformedAnswerError, AnswerTooLongError):
        for piece in pieces:
            if reader.feed(piece):
                break
    assert len(reader.body) <= 50
