from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.fetching import bucket_of, host_of
from mining.fetching.addresses import read_address
from mining.fetching.verdicts import StoppedError


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://Example.ORG/a.png", "example.org"),
        ("http://example.org:80/", "example.org"),
        ("https://example.org:443/", "example.org"),
        ("https://example.org:80/", "example.org:80"),
        ("http://127.0.0.1:8101/x", "127.0.0.1:8101"),
        ("http://[2001:DB8::1]:8080/x", "[2001:db8::1]:8080"),
        ("http://user:pass@example.org./", "example.org"),
        ("http://bücher.example/", "xn--bcher-kva.example"),
        ("http://my_host.example/", "my_host.example"),
        ("not an address", ""),
        ("ftp://example.org/", ""),
        ("", ""),
    ],
)
def test_host_of(url, host):
    assert host_of(url) == host


def test_addresses_become_ascii_without_losing_what_is_written():
    assert read_address("http://h.test/ä b%20c?q=ü&r=%FF#x").url == "http://h.test/%C3%A4%20b%20c?q=%C3%BC&r=%FF"
    assert read_address("http://h.test?q").path == "/?q"
    assert read_address(" http://h.test/a\n/b\t ").url == "http://h.test/a/b"
    base = read_address("http://h.test/x/y")
    assert read_address("../z", base).url == "http://h.test/z"
    assert read_address("//other.test/z", base).url == "http://other.test/z"


@given(st.text(max_size=40), st.sampled_from(["", "http://", "https://", "http://h.test/", "http://h.test:"]))
def test_no_text_crashes_the_reading(text, start):
    try:
        target = read_address(start + text)
    except StoppedError as stopped:
        reason = stopped.verdict.reason
        target = None
    if target is None:
        assert reason in ("bad_address", "address_refused")
        return
    assert target.url.isascii()
    assert not any(ord(character) <= 32 or ord(character) == 127 for character in target.url)
    assert read_address(target.url) == target


def test_buckets_are_even_and_the_same_everywhere():
    assert [bucket_of(host, 64) for host in ("example.org", "127.0.0.1:8101", "")] == [50, 58, 23]
    sizes = Counter(bucket_of(f"host{number}.example", 8) for number in range(4000))
    assert min(sizes.values()) > 400
    with pytest.raises(ValueError, match="at least one"):
        bucket_of("example.org", 0)
