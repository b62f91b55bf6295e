import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from mining.pages.costly_markup import tame
from mining.pages.places import walk
from mining.pages.srcset import parse_srcset


def pictures(html: str, limit: int = 1000):
    return walk(LexborHTMLParser(html).root, limit).pictures


def named(html: str):
    """(reference, source) of every address, by picture."""
    return [[(one.reference, one.source) for one in picture.addresses] for picture in pictures(html)]


def test_pictures_come_in_document_order_with_their_attributes():
    found = pictures('<h1>Top</h1><img src=a.png alt=" An  apple " title=T width=120 height=80px><img src=b.png>')
    assert [(one.addresses[0].reference, one.alt, one.title) for one in found] == [
        ("a.png", "An apple", "T"),
        ("b.png", None, None),
    ]
    assert (found[0].width, found[0].height, found[0].heading) == (120, 80, "Top")


def test_srcset_and_picture_are_alternatives_of_one_picture_and_the_largest_is_chosen():
    html = (
        "<picture><source srcset='w.webp 800w, x.webp 1600w'><img src=s.jpg srcset='s.jpg 400w, m.jpg 900w'></picture>"
    )
    found = pictures(html)
    assert len(found) == 1
    assert {one.reference for one in found[0].addresses} == {"s.jpg", "m.jpg", "w.webp", "x.webp"}
    assert found[0].addresses[found[0].chosen].reference == "x.webp"


@pytest.mark.parametrize("attribute", ["data-src", "data-original", "data-lazy-src"])
def test_lazy_loading_names_the_real_address_beside_the_placeholder(attribute):
    found = pictures(f"<img src=blank.gif {attribute}=real.jpg>")[0]
    assert found.addresses[0].reference == "blank.gif"
    assert found.addresses[found.chosen].reference == "real.jpg"


def test_noscript_after_a_lazy_picture_is_the_same_picture():
    html = "<p><img class=lazy data-src=a.jpg> <noscript><img src=a-plain.jpg alt=Plain></noscript></p>"
    found = pictures(html)
    assert len(found) == 1
    assert found[0].alt == "Plain"
    assert named(html) == [[("a.jpg", "lazy"), ("a-plain.jpg", "noscript")]]


def test_noscript_alone_is_a_picture_of_its_own():
    assert named("<noscript><img src=a.jpg></noscript>") == [[("a.jpg", "img")]]


def test_a_thumbnail_leads_to_the_full_picture():
    found = pictures(
        "<a href='full/a.JPG?x=1' title='The hill'><img src=thumb.jpg></a><a href=page.html><img src=b.png></a>"
    )
    assert found[0].addresses[found[0].chosen].reference == "full/a.JPG?x=1"
    assert found[0].title == "The hill"
    assert [one.source for one in found[1].addresses] == ["img"]


@pytest.mark.parametrize(
    "html",
    [
        "<figure><img src=a.png><figcaption>A  hill</figcaption></figure>",
        "<figure><a href=x><img src=a.png></a><div><figcaption>A hill</figcaption></div></figure>",
        "<div class='thumbinner'><img src=a.png><div class='thumbcaption'>A hill</div></div>",
        "<div class='wp-caption'><img src=a.png><p class='wp-caption-text'>A hill</p></div>",
    ],
)
def test_captions(html):
    assert pictures(html)[0].caption == "A hill"


def test_backgrounds_of_content_boxes_and_open_graph():
    html = (
        "<head><meta property=og:image content=og.png></head><body style='background:url(page.png)'>"
        "<div style=\"color:red; background-image: url('hero.jpg')\" aria-label='Hero'></div>"
    )
    assert named(html) == [[("og.png", "og")], [("hero.jpg", "style")]]


def test_heading_path_and_text_around():
    page = walk(
        LexborHTMLParser(
            "<h1>One</h1><h2>Two</h2><p>Before it <img src=a.png> after it.</p><h2>Three</h2><img src=b.png>"
            "<script>var hidden = 1</script><style>p {}</style>"
        ).root,
        10,
    )
    assert [one.heading for one in page.pictures] == ["One > Two", "One > Three"]
    before, after = page.around(page.pictures[0])
    assert before.endswith("Before it")
    assert after.startswith("after it.")
    assert "hidden" not in page.text


def test_a_hundred_thousand_pictures_take_linear_time_and_only_plain_addresses_after_the_limit():
    found = pictures("<img src=a.png srcset='b.png 2x'>" * 100_000, limit=50)
    assert len(found) == 100_000
    assert len(found[0].addresses) == 2
    assert len(found[60].addresses) == 1


def test_deeply_nested_markup_is_read():
    found = pictures("<div>" * 50_000 + "<img src=a.png>" + "</div>" * 50_000)
    assert [one.addresses[0].reference for one in found] == ["a.png"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.png 1x, b.png 2x", [("a.png", 1000.0), ("b.png", 2000.0)]),
        ("a.png, b.png 2x", [("a.png", 1000.0), ("b.png", 2000.0)]),
        ("a,b.png 100w,c.png 200w", [("a,b.png", 100.0), ("c.png", 200.0)]),
        ("data:image/png;base64,AAA= 1x, x.png 2x", [("data:image/png;base64,AAA=", 1000.0), ("x.png", 2000.0)]),
        ("", []),
        (" , ", []),
    ],
)
def test_srcset(text, expected):
    assert parse_srcset(text) == expected


@given(st.text(alphabet="ab.png,:;() 12wx\n\t", max_size=300))
@settings(max_examples=200, deadline=None)
def test_srcset_never_fails_and_gives_no_blanks(text):
    for address, size in parse_srcset(text):
        assert address
        assert not set(address) & set(" \t\n")
        assert size >= 0


@given(st.text(max_size=400))
@settings(max_examples=100, deadline=None)
def test_any_text_is_read_as_markup(text):
    page = walk(LexborHTMLParser(f"<body>{text}<img src=last.png>").root, 100)
    for one in page.pictures:
        page.around(one)


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 300_000 + "<img src=a.png>",
        "<figure>" + "<img src=a.png>" * 5000 + "<b></b>" * 300_000,
        "<div class=caption>x <img src=a.png>" * 4000 + "y" * 3_000_000,
        "<h1><div>" * 2400 + "y " * 1_000_000 + "<img src=a.png>",
    ],
    ids=["nested", "figure of many", "captions in captions", "headings in headings"],
)
def test_markup_made_to_cost_much_does_not(html):
    started = time.process_time()
    walk(LexborHTMLParser(tame(html)).root, 5000)
    # Milliseconds when the cost is linear, minutes when it is not.
    assert time.process_time() - started < 20
