import pytest
from selectolax.lexbor import LexborHTMLParser

from mining.pages.addresses import BadAddressError, match_key, resolve, site_of
from mining.pages.charset import decode_page
from mining.pages.met import meet
from mining.pages.page import Head, detected_language, read_head, stated_language


def head(html: str) -> Head:
    root = LexborHTMLParser(html).root
    return read_head(root, meet(root), "lensmithbot")


def test_head_fields():
    found = head(
        "<html lang=pt-BR><head><title> A  page </title><base href=/x/><meta name=description content='About'>"
        "<link rel='alternate canonical' href=/c></head>"
    )
    assert (found.title, found.description, found.language) == ("A page", "About", "pt")
    assert (found.base, found.canonical) == ("/x/", "/c")


@pytest.mark.parametrize(
    ("html", "title"),
    [
        ("<meta property=og:title content=Shared>", "Shared"),
        ("<body><h1>Heading</h1>", "Heading"),
        ("<svg><title>icon</title></svg><h1>Heading</h1>", "Heading"),
        ("<p>nothing</p>", None),
    ],
)
def test_title_falls_back(html, title):
    assert head(html).title == title


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<a rel=license href=https://x.example/l>l</a>", "https://x.example/l"),
        (
            "<a href='https://creativecommons.org/licenses/by/4.0/'>cc</a>",
            "https://creativecommons.org/licenses/by/4.0/",
        ),
        (
            '<script type=\'application/ld+json\'>{"@graph": [{"license": {"@id": "https://l.example/"}}]}</script>',
            "https://l.example/",
        ),
        ("<script type='application/ld+json'>{\"license\": broken</script>", None),
        ("<a href=/license>terms</a>", None),
        (
            "<a href='https://creativecommons.org/licenses/by/4.0/'>theirs</a><link rel=license href=/ours>",
            "/ours",
        ),
        ('<script type=\'application/ld+json\'>{"license": ["CC BY / SA", "x"]}</script>', "CC BY / SA"),
        ("<meta name=dcterms.license content='GPL'>", "GPL"),
        ('<script>var license = {"license": "x"}</script>', None),
    ],
)
def test_licence(html, expected):
    assert head(html).license == expected


def test_robots_directives_of_everyone_and_of_us():
    found = head(
        "<meta name=robots content='NoIndex, noai'><meta name=LensmithBot content=noimageai>"
        "<meta name=otherbot content=noimageindex><meta name=tdm-reservation content=1>"
    )
    assert found.directives == {"noindex", "noai", "noimageai", "tdm-reservation"}


def test_language_comes_from_markup_then_header_then_text():
    german = "Dies ist ein längerer deutscher Satz über Bilder, Brücken und alte Leuchttürme an der Küste. " * 3
    assert stated_language(Head(language="fr"), ["de"]) == "fr"
    assert stated_language(Head(), ["de-AT, en"]) == "de"
    assert detected_language(german) == "de"
    assert detected_language("x") is None


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("é".encode(), None, "é"),
        ("é".encode("latin-1"), "text/html; charset=ISO-8859-1", "é"),
        (b"<meta charset=windows-1252>\x93x\x94", None, "<meta charset=windows-1252>“x”"),
        (b"\xef\xbb\xbf" + "é".encode(), "text/html; charset=latin-1", "é"),
        ("é".encode("utf-16-le"), None, None),
        ("日本".encode("shift_jis"), "text/html; charset=Shift_JIS", "日本"),
        ("é".encode(), "text/html; charset=no-such-thing", "é"),
        (
            b"<?xml version='1.0' encoding='iso-8859-1'?><p>\xe9",
            None,
            "<?xml version='1.0' encoding='iso-8859-1'?><p>é",
        ),
        # Cut in the middle of a character, as the limit of a page may do.
        ("ééé".encode()[:-1], None, "éé"),
    ],
)
def test_charset(body, content_type, expected):
    text, _ = decode_page(body, content_type)
    if expected is not None:
        assert text == expected


def test_resolve_keeps_the_spelling_and_drops_the_fragment():
    assert resolve("http://a.example/b/c.html", " ../x y.png#f ") == "http://a.example/x y.png"
    assert resolve("http://a.example/", "//b.example/ü.png") == "http://b.example/ü.png"


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("file:///etc/passwd", "scheme_not_allowed"),
        ("javascript:alert(1)", "scheme_not_allowed"),
        ("http://[::1/x", "bad_address"),
        ("http://a:b@:99999/", "bad_address"),
        ("", "bad_address"),
        ("x" * 5000, "address_too_long"),
    ],
)
def test_resolve_refuses(reference, reason):
    with pytest.raises(BadAddressError, match=reason):
        resolve("http://a.example/", reference)


def test_spellings_of_one_address_meet():
    assert match_key("HTTP://A.example:80/a b/ü.png") == match_key("http://a.example/a%20b/%c3%bc.png")
    assert match_key("http://a.example/x?q=1") != match_key("http://a.example/x?q=2")


def test_sites():
    assert site_of("https://img.shop.co.uk/x") == "shop.co.uk"
    assert site_of("http://127.0.0.1:8101/x") == "127.0.0.1:8101"
