import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from mining.pages.costly_markup import tame
from mining.pages.met import meet
from mining.pages.picture import PageWalk
from mining.pages.picture_markup import of_style
from mining.pages.places import walk as walk_met
from mining.pages.srcset import parse_srcset


def walk(root, limit: int) -> PageWalk:
    return walk_met(root, meet(root), limit)


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
        "<div class='WP-Caption'><img src=a.png><p class='WP-Caption-Text'>A hill</p></div>",
        "<li class='item'><img src=a.png><p class='caption'>A hill</p></li>",
    ],
)
def test_captions(html):
    assert pictures(html)[0].caption == "A hill"


def test_captions_of_a_gallery_go_to_their_own_pictures():
    item = "<div class=item><img src={0}.png><p class=caption>{0}</p></div>"
    found = pictures(f"<div class=gallery><img src=top.png>{item.format('one')}{item.format('two')}</div>")
    assert [one.caption for one in found] == [None, "one", "two"]


def test_a_caption_of_one_picture_is_not_that_of_all():
    html = "<div id=content><img src=a.png><img src=b.png><p>text</p><p class=legend>About b</p></div>"
    assert [one.caption for one in pictures(html)] == [None, None]


def test_a_link_to_the_page_of_a_file_is_no_full_picture():
    for href in ("/wiki/File:Hill.jpg", "/wiki/Datei%3AHill.jpg", "index.php?title=File:Hill.jpg&action=x"):
        assert named(f"<a href='{href}'><img src=thumb.jpg></a>") == [[("thumb.jpg", "img")]]
    assert len(named("<a href='http://a.example:8080/hill.jpg'><img src=thumb.jpg></a>")[0]) == 2


def test_lazy_attributes_that_hold_no_address_are_none():
    assert named("<img src=a.png data-image=true data-src='{\"a\": 1}' data-lazy=1>") == [[("a.png", "img")]]


def test_pictures_in_templates_are_found():
    html = "<p>Text <img src=a.png></p><template><div><img src=b.png alt=B></div></template>"
    assert named(html) == [[("a.png", "img")], [("b.png", "img")]]


def test_text_around_holds_where_pictures_stand_in_unseen_elements():
    page = walk(
        LexborHTMLParser("<svg><title>t<img src=a.png></title></svg><p>before <img src=b.png> after</p>").root, 10
    )
    assert [one.addresses[0].reference for one in page.pictures] == ["a.png", "b.png"]
    assert page.around(page.pictures[1]) == ("before", "after")


def test_alternatives_are_bounded_and_the_plain_source_is_among_them():
    srcset = ", ".join(f"x{number}.png {number}w" for number in range(1, 10_000))
    [found] = pictures(f"<img src=a.png srcset='{srcset}'>")
    assert len(found.addresses) < 100
    assert found.addresses[0].reference == "a.png"


def test_beyond_the_limit_every_kind_of_picture_is_still_counted():
    html = "<meta property=og:image content=o.png><img src=a.png><p style='background:url(s.png)'>x</p><img src=b.png>"
    assert [one[0] for one in named(html)] == [("o.png", "og"), ("a.png", "img"), ("s.png", "style"), ("b.png", "img")]
    found = pictures(html, limit=1)
    assert [one.addresses[0].source for one in found] == ["og", "img", "style", "img"]


@pytest.mark.parametrize(
    ("style", "address"),
    [
        ("background: url(a.png)", "a.png"),
        ("color: red; BACKGROUND-IMAGE:URL( 'a b.png' )", "a b.png"),
        ('background-image: linear-gradient(rgba(0,0,0,.5), red), url("a.png") no-repeat', "a.png"),
        ("background:url(data:image/gif;base64,R0lGOD=)", "data:image/gif;base64,R0lGOD="),
        ("background-color: red; mask: url(a.png)", None),
        ("background: url('unfinished", None),
        ("background: url()", None),
        (None, None),
    ],
)
def test_backgrounds(style, address):
    assert of_style(style) == address


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
        "<div></b>" * 300_000 + "<img src=a.png>",
        "<select>" + "<option>x" * 100_000 + "</select><img src=a.png>",
        "<p " + " ".join(f"a{number}=1" for number in range(100_000)) + "><img src=a.png>",
        "<picture>" + "<source srcset='a.png 1x'>" * 50_000 + "<img src=a.png>" * 5000,
        '<p style="' + "background:url('x" * 300_000 + '"><img src=a.png>',
        "<img src=a.png><noscript>" + "<img src=b.png>" * 20_000 + "</noscript>",
    ],
    ids=[
        "nested",
        "figure of many",
        "captions in captions",
        "headings in headings",
        "end tags of nothing",
        "options",
        "attributes",
        "sources",
        "styles",
        "noscript",
    ],
)
def test_markup_made_to_cost_much_does_not(html):
    started = time.process_time()
    found = walk(LexborHTMLParser(tame(html)).root, 5000)
    # Milliseconds when the cost is linear, minutes when it is not.
    assert time.process_time() - started < 20
    assert sum(len(one.addresses) for one in found.pictures) < 30_000


@pytest.mark.parametrize(
    "html",
    [
        "<p>" + "words " * 2000 + "<img src=a.png>",
        "<img src='data:image/png;base64," + "A" * 10_000 + "' alt='a b c'>",
        "<ul>" + "<li>one" * 30_000 + "</ul><img src=a.png>",
        "<div><b></b></div>" * 20_000 + "<img src=a.png>",
    ],
)
def test_honest_markup_is_not_cut(html):
    assert tame(html) == html
