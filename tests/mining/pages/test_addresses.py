from urllib.parse import urljoin

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mining.pages.addresses import BadAddressError, match_key, resolve, site_of

BASES = [
    "http://a.test",
    "http://a.test/x",
    "http://a.test/x/y/z.html?q=1/2#f",
    "http://a.test/x/../y/z",
    "http://a.test//x//y",
    "https://u@a.test:8080/a;b/c",
    "http://a.test?q=/z",
]


@given(st.sampled_from(BASES), st.text("ab./-%~_:?é@;", max_size=10))
@example("http://a.test", "a.png")
def test_plain_references_resolve_as_the_standard_says(base, reference):
    try:
        found = resolve(base, reference)
    except BadAddressError:
        return
    assert found == urljoin(base, reference).partition("#")[0]


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("file:///etc/passwd", "scheme_not_allowed"),
        ("javascript:alert(1)", "scheme_not_allowed"),
        ("http://a.test:99999/x.png", "bad_address"),
        ("http://[::1/x.png", "bad_address"),
        ("", "bad_address"),
        ("a" * 5000, "address_too_long"),
    ],
)
def test_what_is_no_address_has_a_reason(reference, reason):
    with pytest.raises(BadAddressError, match=f"^{reason}$"):
        resolve("http://a.test/", reference)


def test_spellings_of_one_address_meet_and_different_ones_do_not():
    assert match_key("HTTP://A.test:80/ä b%2f#x") == match_key("http://a.test/%C3%A4%20b%2F")
    assert match_key("http://a.test/%7Euser/%41.png") == match_key("http://a.test/~user/A.png")
    assert match_key("http://a.test/x/../y/./z.png") == match_key("http://a.test/y/z.png")
    assert match_key("http://a.test/x\\y.png") == match_key("http://a.test/x/y.png")
    assert match_key("http://a.test/../..") == match_key("http://a.test/")
    assert match_key("http://a.test/a%2Fb") != match_key("http://a.test/a/b")
    assert match_key("http://a.test/A") != match_key("http://a.test/a")
    assert match_key("http://a.test/?q=1") != match_key("http://a.test/?q=2")


def test_site_is_the_registrable_domain_or_the_machine():
    assert site_of("http://www.shop.example.co.uk/x") == "example.co.uk"
    assert site_of("http://127.0.0.1:8101/x") == "127.0.0.1:8101"
    assert site_of("http://[broken") == ""
