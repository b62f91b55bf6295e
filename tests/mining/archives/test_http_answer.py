import pytest

from mining.archives.http_answer import HEAD_LIMIT, HeadTooLongError, dechunk, split_answer


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world"),
        (b"5;name=value\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5\r\nhello\r\n6\r\n wor", b"hello wor"),
        (b"<html>not chunked</html>", b"<html>not chunked</html>"),
        (b"", b""),
        (b"-5\r\nhello", b"-5\r\nhello"),
        (b"5\r\nhello\r\nzz\r\n", b"hello"),
        (b"5\nhello\n0\n\n", b"hello"),
        (b"ffffffffffffff\r\nhello", b"hello"),
        (b"0x5\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n"),
    ],
)
def test_dechunk(body, expected):
    assert dechunk(body) == expected


def test_status_headers_and_body():
    status, headers, body = split_answer(
        b"HTTP/1.1 404 Not Found\r\nA: 1\r\nB:2\r\n\tmore\r\nnonsense\r\nC: \xe9\r\n\r\nx"
    )
    assert (status, headers, body) == (404, [("A", "1"), ("B", "2 more"), ("C", "é")], b"x")


def test_a_chunked_body_is_put_together():
    block = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert split_answer(block)[2] == b"abc"


def test_an_interim_answer_is_passed_over():
    assert split_answer(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\nA: 1\n\nx") == (200, [("A", "1")], b"x")


@pytest.mark.parametrize("block", [b"<html>no answer", b"", b"ICY 200 OK\r\n\r\nx"])
def test_what_is_no_answer_is_all_body(block):
    assert split_answer(block) == (None, [], block)


def test_a_status_that_is_no_number_is_none():
    assert split_answer(b"HTTP/1.1 abc\r\n\r\nx") == (None, [], b"x")


def test_headers_without_an_end():
    assert split_answer(b"HTTP/1.1 200 OK\r\nA: 1") == (200, [("A", "1")], b"")
    with pytest.raises(HeadTooLongError):
        split_answer(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * HEAD_LIMIT)
