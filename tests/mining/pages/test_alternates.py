"""The other languages of a page."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from mining.pages.alternates import MAX_ALTERNATES, page_alternates
from mining.pages.met import meet

BASE = "http://a.example/de/x.html"


def alternates(html: str, *headers: str) -> list[tuple[str, str]]:
    return page_alternates(BASE, meet(LexborHTMLParser(html).root), headers)


def test_links_of_the_markup_are_resolved_in_order_and_once() -> None:
    html = (
        "<link rel=alternate hreflang=EN href=../en/x.html><link rel='ALTERNATE nofollow' hreflang=pt-BR href=/pt/>"
        "<link rel=alternate hreflang=en href=/en/x.html#top><link rel=alternate hreflang=x-default href=/>"
    )
    assert alternates(html) == [
        ("en", "http://a.example/en/x.html"),
        ("pt-br", "http://a.example/pt/"),
        ("x-default", "http://a.example/"),
    ]


def test_other_links_and_broken_ones_are_left_out() -> None:
    html = (
        "<link rel=alternate type=application/rss+xml href=/feed><link rel=canonical hreflang=de href=/>"
        "<link rel=alternate hreflang=de><link rel=alternate hreflang='not a code' href=/a>"
        "<link rel=alternate hreflang=fr href='mailto:x@a.example'><link rel=alternate hreflang=fr href='http://[x/'>"
    )
    assert alternates(html) == []


def test_link_headers_count_too() -> None:
    header = (
        '</en/x,1;2.html>; rel="alternate"; hreflang="en", <http://b.example/>; hreflang=fr; rel=alternate; rel=x,'
        "</style.css>; rel=preload"
    )
    assert alternates("<p>", header, "nonsense <", '<>; rel="alternate"; hreflang="es"') == [
        ("en", "http://a.example/en/x,1;2.html"),
        ("fr", "http://b.example/"),
    ]


def test_there_is_a_limit() -> None:
    links = "".join(f"<link rel=alternate hreflang=en href=/{number}>" for number in range(MAX_ALTERNATES + 5))
    assert len(alternates(links)) == MAX_ALTERNATES


@given(st.text(max_size=200))
def test_any_header_is_read(header: str) -> None:
    assert all(address.startswith("http") for _, address in alternates("<p>", header))
