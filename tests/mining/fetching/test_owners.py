"""What owners say: robots.txt, headers, and the user's list."""

from __future__ import annotations

import time

import pytest

from .conftest import PNG, image, never_before, redirect, status


def robots(text: str):
    return image(text.encode(), "text/plain")


def test_disallowed_addresses_are_never_asked(web, fetch):
    web.on("/robots.txt", robots("User-agent: *\nDisallow: /private/\nAllow: /private/open/"))
    for path in ("/private/a.png", "/private/open/a.png", "/a.png"):
        web.on(path, image())
    result = fetch(*[web.url(path) for path in ("/private/a.png", "/private/open/a.png", "/a.png")])
    assert result.reasons == {web.url("/private/a.png"): "robots_disallowed"}
    assert web.asked("/private/a.png") == []
    assert len(web.asked("/robots.txt")) == 1


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("User-agent: LensmithBot\nDisallow: /", False),
        ("User-agent: lensmithbot/2\nDisallow: /", True),
        ("User-agent: *\nDisallow: /\n\nUser-agent: LensmithBot\nDisallow:", True),
        ("User-agent: OtherBot\nDisallow: /", True),
        ("User-agent: OtherBot\nUser-agent: LensmithBot\nDisallow: /*.png$", False),
        ("User-agent: *\nDisallow: /*.png", False),
        ("\ufeffUser-agent: *\nDisallow: /", False),
        ("<html>not found</html>", True),
        ("", True),
    ],
)
def test_rules_for_our_agent(web, fetch, text, allowed):
    web.on("/robots.txt", robots(text))
    web.on("/a.png", image())
    assert (fetch(web.url("/a.png")).reasons == {}) is allowed


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_a_robots_txt_that_is_missing_or_closed_allows(web, fetch, code):
    web.on("/robots.txt", status(code))
    web.on("/a.png", image())
    assert len(fetch(web.url("/a.png")).images) == 1


@pytest.mark.parametrize("code", [500, 502, 503])
def test_a_robots_txt_that_fails_disallows_for_this_run(web, fetch, code):
    web.on("/robots.txt", status(code))
    urls = [web.url(f"/{number}.png") for number in range(4)]
    assert fetch(*urls, attempts=3).reasons == dict.fromkeys(urls, "error:robots_unreachable")
    assert [request.path for request in web.server.log] == ["/robots.txt"]


def test_a_robots_txt_that_asks_for_a_pause_allows_after_it(web, fetch):
    web.on("/robots.txt", status(429, Retry_After="1"))
    web.on("/a.png", image())
    assert len(fetch(web.url("/a.png")).images) == 1
    robots, picture = (request.moment for request in web.server.log)
    assert picture - robots >= 1


def test_a_robots_txt_that_never_comes_disallows(web, fetch):
    def hang_up(handler):
        handler.close_connection = True

    web.on("/robots.txt", hang_up)
    assert fetch(web.url("/a.png"), attempts=2).reasons == {web.url("/a.png"): "error:robots_unreachable"}
    assert {request.path for request in web.server.log} == {"/robots.txt"}


def test_robots_txt_is_followed_to_another_host_and_read_to_its_limit(web, fetch):
    web.on("site.test/robots.txt", redirect(web.url("/rules.txt", "other.test")))
    web.on("/rules.txt", robots("User-agent: *\nDisallow: /a\n" + "# padding\n" * 200_000 + "Disallow: /b"))
    web.on("/b.png", image())
    result = fetch(web.url("/a.png"), web.url("/b.png"))
    assert result.reasons == {web.url("/a.png"): "robots_disallowed"}
    assert set(result.images) == {web.url("/b.png")}


def test_robots_txt_of_a_redirects_host_counts(web, fetch):
    web.on("other.test/robots.txt", robots("User-agent: *\nDisallow: /"))
    web.on("/a.png", redirect(web.url("/b.png", "other.test")))
    assert fetch(web.url("/a.png")).reasons == {web.url("/a.png"): "robots_disallowed"}
    assert web.asked(host="other.test") == []


def test_crawl_delay_is_honoured_within_the_cap(web, fetch):
    web.on("/robots.txt", robots("User-agent: *\nCrawl-delay: 600"))
    urls = [web.url(f"/{number}.png") for number in range(3)]
    for number in range(3):
        web.on(f"/{number}.png", image())
    started = time.monotonic()
    assert len(fetch(*urls, crawl_delay_cap=0.4).images) == 3
    assert never_before([request.moment for request in web.server.log], started, 0.4)


HEADERS = [
    ({"X_Robots_Tag": "noai"}, "noai"),
    ({"X_Robots_Tag": "nofollow, NoImageAI"}, "noimageai"),
    ({"X_Robots_Tag": "lensmithbot: noimageindex"}, "noimageindex"),
    ({"X_Robots_Tag": "unavailable_after: Wed, 25 Jun 2030 15:00:00 PST, noai"}, "noai"),
    ({"X_Robots_Tag": "otherbot: noindex, lensmithbot: noai, noimageai"}, "noai,noimageai"),
    ({"TDM_Reservation": "1"}, "tdm-reservation"),
]


@pytest.mark.parametrize(("headers", "signal"), HEADERS)
def test_opt_out_headers_reject_or_are_recorded(web, fetch, headers, signal):
    web.on("/a.png", image(**headers))
    result = fetch(web.url("/a.png"))
    assert result.reasons == {web.url("/a.png"): "opted_out"}
    assert result.outcomes.rows("rejected")[0]["detail"] == signal
    assert result.images == {}
    kept = fetch(web.url("/a.png"), opt_out="keep")
    assert kept.images[web.url("/a.png")]["opt_out"] == signal


@pytest.mark.parametrize(
    "headers", [{"X_Robots_Tag": "noindex"}, {"X_Robots_Tag": "otherbot: noai"}, {"TDM_Reservation": "0"}]
)
def test_other_headers_do_not(web, fetch, headers):
    web.on("/a.png", image(**headers))
    assert fetch(web.url("/a.png")).images[web.url("/a.png")]["opt_out"] is None


def test_an_opt_out_on_the_way_counts(web, fetch):
    web.on("/a.png", lambda handler: handler.reply(302, b"", Location="/b.png", X_Robots_Tag="noai"))
    web.on("/b.png", image())
    assert fetch(web.url("/a.png")).reasons == {web.url("/a.png"): "opted_out"}
    assert web.asked("/b.png") == []


def test_the_users_list_is_never_contacted(web, fetch):
    web.on("/a.png", image())
    web.on("/b/a.png", image())
    listed = [web.url("/a.png", "other.test"), web.url("/b/a.png"), f"http://www.third.test:{web.port}/a.png"]
    entries = ("other.test", web.url("/b/"), "third.test")
    result = fetch(web.url("/a.png"), *listed, opt_out_list=entries)
    assert result.reasons == dict.fromkeys(listed, "opted_out")
    assert {request.host for request in web.server.log} == {"site.test"}
    assert web.asked("/b/a.png") == []


def test_keep_records_robots_and_the_users_list(web, fetch):
    web.on("/robots.txt", robots("User-agent: *\nDisallow: /"))
    web.on("/a.png", image(PNG, X_Robots_Tag="noai"))
    row = fetch(web.url("/a.png"), opt_out="keep", opt_out_list=("site.test",)).images[web.url("/a.png")]
    assert row["opt_out"] == "list,noai,robots"
