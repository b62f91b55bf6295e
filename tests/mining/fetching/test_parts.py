"""The small parts: robots.txt bombs, media types, pauses asked for, settings."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from pydantic import ValidationError

from mining.fetching import FetchConfig
from mining.fetching.content_coding import BadCodingError, decode_content
from mining.fetching.fetcher import _seconds
from mining.fetching.media_type import image_type
from mining.fetching.robots import RobotsRules


def test_a_robots_txt_of_agents_times_rules_is_read_in_time():
    agents = "\n".join(f"User-agent: bot{number}" for number in range(12_000))
    rules = "\n".join(f"Disallow: /{number}/*x*y*z$" for number in range(12_000))
    started = time.monotonic()
    parsed = RobotsRules(f"{agents}\n{agents}\n{rules}\nUser-agent: *\nDisallow: /no", "lensmithbot")
    assert not parsed.allows("http://h.test/no")
    assert parsed.allows("http://h.test/1/x/y/z")
    assert time.monotonic() - started < 60


def test_groups_keep_their_bounds_when_other_agents_are_merged():
    text = "User-agent: LensmithBot\nDisallow: /a\n\nuseragent OtherBot # not us\nDisallow: /b\nCrawl-delay: 9"
    rules = RobotsRules(text, "lensmithbot")
    assert [rules.allows(f"http://h.test/{name}") for name in "abc"] == [False, True, True]
    assert rules.crawl_delay is None


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", None),
        (b"BM\x46\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00", "image/bmp"),
        (b"BMW is a maker of cars and motor cycles", None),
        (b"\x00\x00\x00\x20ftypavif\x00\x00", "image/avif"),
        (b"\x00\x00\x00\x20ftypmp42\x00\x00", None),
        (b'<?xml version="1.0"?>\n<!-- by hand -->\n<!DOCTYPE svg PUBLIC "x">\n<svg xmlns="y">', "image/svg+xml"),
        (b'<!DOCTYPE svg [ <!ENTITY a "b"> ]>\n<svg>', "image/svg+xml"),
        (b"<!DOCTYPE html><html><svg>", None),
        (b"<!---->" * 1000 + b"<p>", None),
        (b"<!--", None),
        (b"", None),
        (b"%PDF-1.7", None),
    ],
)
def test_image_type(head, kind):
    assert image_type(head) == kind


def test_padding_after_a_compressed_stream_is_harmless_and_other_rubbish_is_told():
    import gzip

    assert decode_content(gzip.compress(b"x") + bytes(20), ["gzip"], 10) == (b"x", False)
    assert decode_content(gzip.compress(b"x" * 20), ["gzip"], 10, truncate=True) == (b"x" * 10, True)
    with pytest.raises(BadCodingError):
        decode_content(b"\x1f\x8b" + bytes(20), ["gzip"], 10)


def test_pauses_are_read_in_both_forms():
    assert _seconds("120") == 120
    assert _seconds(formatdate(time.time() + 60, usegmt=True)) == pytest.approx(60, abs=2)
    assert _seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    for odd in (None, "", "soon", "-5", "9" * 400, "Wed, 99 Foo 2015"):
        assert _seconds(odd) in (None, float("inf"))


def test_settings_are_checked_and_say_which_of_them_matter():
    with pytest.raises(ValidationError):
        FetchConfig(user_agent="Bad\r\nX-Injected: yes")
    with pytest.raises(ValidationError):
        FetchConfig(opt_out_list=(" ",))
    with pytest.raises(ValidationError, match="host or host:port"):
        FetchConfig(allow_hosts=("http://127.0.0.1:8000/",))
    assert FetchConfig().agent == "lensmithbot"
    matters = {
        name
        for name, field in FetchConfig.model_fields.items()
        if not (isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("operational"))
    }
    assert matters == {"user_agent", "opt_out", "opt_out_list", "allow_hosts", "max_bytes", "max_redirects"}
    assert all(field.description for field in FetchConfig.model_fields.values())
