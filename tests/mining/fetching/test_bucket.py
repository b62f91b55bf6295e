from __future__ import annotations

import hashlib
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from beam_jobs.supervised import SupervisedChild
from mining.fetching import Address, FetchConfig, fetch_bucket
from mining.fetching import bucket as bucket_module
from schemas.outcomes import CollectedOutcomes
from schemas.tables import IMAGES

from .conftest import FAST, JPEG, PNG, image, never_before, redirect, status


def test_keeps_original_bytes_sorted_by_address(web, fetch):
    bodies = {f"/{number}.jpg": JPEG + bytes([number]) for number in range(20)}
    for path, body in bodies.items():
        web.on(path, image(body, "image/jpeg"))
    result = fetch(*[web.url(path) for path in reversed(bodies)])
    rows = result.outcomes.rows("images")
    assert [row["url"] for row in rows] == sorted(web.url(path) for path in bodies)
    for row in rows:
        assert row["bytes"] == bodies[row["url"].removeprefix(web.url(""))]
        assert row["image_id"] == hashlib.sha256(row["bytes"]).hexdigest()
        assert (row["source"], row["mime"], row["opt_out"]) == ("fetched", "image/jpeg", None)
        assert set(row) == set(IMAGES.schema.names)
    assert result.outcomes.counts.made["image"] == 20


def test_asks_each_address_and_robots_once_with_our_name(web, fetch):
    for number in range(30):
        web.on(f"/{number}.png", image())
    urls = [web.url(f"/{number}.png", host) for number in range(30) for host in ("site.test", "other.test")]
    fetch(*urls, *urls)
    asked = [(request.host, request.path) for request in web.server.log]
    assert len(asked) == len(set(asked)) == 62
    assert all(request.agent.startswith("LensmithBot/") for request in web.server.log)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 451])
def test_client_errors_are_rejected(web, fetch, code):
    web.on("/a.png", status(code, X_Robots_Tag="noai"))
    assert fetch(web.url("/a.png"), attempts=3).reasons == {web.url("/a.png"): f"http_{code}"}
    assert len(web.asked()) == 1


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503])
def test_passing_errors_fail_after_all_attempts(web, fetch, code):
    web.on("/a.png", status(code))
    assert fetch(web.url("/a.png"), attempts=3).reasons == {web.url("/a.png"): f"error:http_{code}"}
    assert len(web.asked()) == 3


def test_retry_after_pauses_the_whole_host(web, fetch):
    answers = iter([status(429, Retry_After="1")])

    def throttle_once(handler):
        next(answers, image())(handler)

    web.on("/first.png", throttle_once)
    for number in range(5):
        web.on(f"/{number}.png", image())
    urls = [web.url("/first.png"), *[web.url(f"/{number}.png") for number in range(5)]]
    result = fetch(*urls, attempts=2, host_concurrency=1)
    assert set(result.images) == set(urls)
    throttled = web.asked("/first.png")[0].moment
    after = [request.moment - throttled for request in web.asked() if request.moment > throttled]
    assert after
    assert min(after) >= 0.95


def test_a_host_that_asks_for_a_long_pause_is_left_alone(web, fetch):
    web.on("/robots.txt", status(404))
    for number in range(6):
        web.on(f"/{number}.png", status(503, Retry_After="3600"))
    urls = [web.url(f"/{number}.png") for number in range(6)]
    started = time.monotonic()
    result = fetch(*urls, attempts=3, host_concurrency=1)
    assert time.monotonic() - started < 60
    assert sorted(result.reasons.values()) == ["error:http_503"] + ["host_backing_off"] * 5
    assert len(web.asked()) == 1


def test_interval_and_concurrency_of_a_host_hold(web, fetch):
    def slow(handler):
        time.sleep(0.15)
        handler.reply(200, PNG)

    for number in range(6):
        web.on(f"/{number}.png", slow)
    urls = [web.url(f"/{number}.png", host) for number in range(6) for host in ("site.test", "other.test")]
    started = time.monotonic()
    result = fetch(*urls, host_interval=0.1, host_concurrency=1, threads=16)
    assert len(result.images) == 12
    for host in ("site.test", "other.test"):
        moments = [request.moment for request in web.server.log if request.host == host]
        assert len(moments) == 7
        assert never_before(moments, started, 0.1)
        assert web.server.peak[host] == 1


def test_two_at_once_when_two_are_allowed(web, fetch):
    def slow(handler):
        time.sleep(0.1)
        handler.reply(200, PNG)

    for number in range(10):
        web.on(f"/{number}.png", slow)
    fetch(*[web.url(f"/{number}.png") for number in range(10)], host_concurrency=2)
    assert web.server.peak["site.test"] == 2


def test_a_slow_host_does_not_hold_up_the_others(web, fetch):
    web.on("site.test/robots.txt", image(b"User-agent: *\nCrawl-delay: 1", "text/plain"))
    web.on("/a.png", image())
    slow = [web.url(f"/a.png?{number}") for number in range(4)]
    quick = [web.url(f"/a.png?{number}", "other.test") for number in range(40)]
    for url in slow + quick:
        web.on(url.partition(str(web.port))[2], image())
    started = time.monotonic()
    result = fetch(*slow, *quick, threads=4)
    assert len(result.images) == 44
    moments = [request.moment for request in web.server.log if request.host == "site.test"]
    assert never_before(moments, started, 1.0)
    assert max(request.moment for request in web.asked(host="other.test")) < max(moments)


def test_budget_of_a_host_defers_the_rest_by_hash(web, fetch):
    for number in range(10):
        web.on(f"/{number}.png", image())
    urls = [web.url(f"/{number}.png") for number in range(10)] + [web.url("/0.png", "other.test")]
    first = fetch(*urls, host_budget=4)
    assert len(first.images) == 5
    assert set(first.reasons.values()) == {"host_budget"}
    assert first.outcomes.counts.entry("address").deferred == 6
    assert set(fetch(*reversed(urls), host_budget=4).images) == set(first.images)


def test_a_dead_host_is_given_up(web, fetch, unused_port):
    urls = [f"http://site.test:{unused_port}/{number}.png" for number in range(30)]
    web.server.routes["/robots.txt"] = status(404)
    result = fetch(*urls, host_failures=3)
    assert set(result.reasons.values()) <= {"error:robots_unreachable", "error:host_unreachable"}


def test_a_host_that_stops_answering_is_given_up(web, fetch):
    released = threading.Event()
    for number in range(12):
        web.on(f"/{number}.png", lambda handler: released.wait(10))
    web.on("/robots.txt", status(404))
    urls = [web.url(f"/{number}.png") for number in range(12)]
    result = fetch(*urls, total_seconds=0.3, host_concurrency=1, host_failures=2)
    released.set()
    reasons = sorted(result.reasons.values())
    assert reasons == ["error:host_unreachable"] * 10 + ["error:timeout"] * 2


def test_addresses_that_read_alike_are_asked_once(web, fetch):
    web.on("/a%20b.png", image())
    urls = [web.url("/a b.png"), web.url("/a%20b.png"), web.url("/a b.png#part")]
    assert set(fetch(*urls).images) == set(urls)
    assert len(web.asked()) == 1


def test_odd_addresses_have_a_verdict(web, fetch):
    bad = [
        "",
        "no scheme",
        "http://",
        "http://[::1",
        "http://a:b/",
        "http://exa mple.test/",
        "http://a..b/",
        "http:///x",
    ]
    bad += ["http://\udcff.test/", "http://h\x00st/", "http://" + "a" * 300 + "/", "http://site.test:99999/"]
    bad += ["http://%31%32%37.0.0.1/", "http://[fe80::1%25eth0]/", web.url("/" + "x" * 9000), "//site.test/x"]
    refused = ["file:///etc/passwd", "ftp://site.test/a.png", "data:image/png;base64,AA", "javascript:alert(1)"]
    result = fetch(*bad, *refused)
    assert {url: result.reasons[url] for url in bad} == dict.fromkeys(bad, "bad_address")
    assert {url: result.reasons[url] for url in refused} == dict.fromkeys(refused, "address_refused")
    assert web.server.log == []


def test_international_names_and_paths(web, fetch):
    web.names["xn--bcher-kva.test"] = ["127.0.0.1"]
    web.on("/%C3%BCber.png", image())
    url = f"http://bücher.test:{web.port}/über.png"
    assert set(fetch(url, allow_hosts=("xn--bcher-kva.test",)).images) == {url}


def test_quarantined_addresses_are_not_asked(web, fetch):
    web.on("/a.png", image())
    web.on("/b.png", image())
    result = fetch(web.url("/a.png"), web.url("/b.png"), quarantine={web.url("/a.png"): "crashed_sigsegv"})
    assert result.reasons == {web.url("/a.png"): "error:crashed_sigsegv"}
    assert web.asked("/a.png") == []


def test_marks_the_addresses_in_hand(web, tmp_path):
    web.on("/a.png", image())
    marks = []
    config = FetchConfig(**FAST)
    fetch_bucket(
        [Address(web.url("/a.png"))], config, CollectedOutcomes(), marks.append, {}, str(tmp_path), web.resolve
    )
    assert set(marks) == {web.url("/a.png")}
    assert {path.name for path in tmp_path.iterdir()} == {"img2dataset", "spool"}


def test_a_call_takes_up_what_a_dead_one_had_finished(web, tmp_path):
    web.on("/a.png", image())
    web.on("/b.png", image(JPEG, "image/jpeg"))
    urls = [Address(web.url(path)) for path in ("/a.png", "/b.png", "/gone.png")]

    class DiedError(Exception):
        pass

    class Dying(CollectedOutcomes):
        def kept(self, unit, count=1):
            raise DiedError

    config = FetchConfig(**FAST)
    with pytest.raises(DiedError):
        fetch_bucket(urls, config, Dying(), lambda key: None, {}, str(tmp_path), web.resolve)
    before = len(web.server.log)
    # What a process writes while it dies: half a line, and a body that is longer than the journal says.
    with open(tmp_path / "spool" / "verdicts.jsonl", "a") as journal:
        journal.write('{"url": "http://half')
    with open(tmp_path / "spool" / "bodies", "ab") as bodies:
        bodies.write(b"half")
    outcomes = CollectedOutcomes()
    web.on("/c.png", image(PNG + b"c"))
    fetch_bucket(
        [*urls, Address(web.url("/c.png"))], config, outcomes, lambda key: None, {}, str(tmp_path), web.resolve
    )
    assert [row["bytes"] for row in outcomes.rows("images")] == [PNG, JPEG, PNG + b"c"]
    assert [request.path for request in web.server.log[before:]] == ["/robots.txt", "/c.png"]


def test_the_address_that_a_process_dies_of_is_given_up_and_no_other(web, tmp_path, monkeypatch):
    """Many addresses are in hand at once; after a death they are asked one by one."""
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parent), *sys.path])
    urls = [f"http://127.0.0.1:{web.port}/{number:02d}.png" for number in range(16)]
    for number in range(16):
        web.on(f"/{number:02d}.png", image(PNG + bytes([number])))
    web.on("/07.png", image(b"deadly"))
    supervised = SupervisedChild(seconds_a_record=60)
    kept, dropped = supervised.call("deadly_fetching:fetch", urls, str(tmp_path))
    supervised.close()
    assert dropped == {urls[7]: "error:crashed_sigsegv"}
    assert kept == set(urls) - {urls[7]}


def test_nothing_is_lost_when_img2dataset_loses_it(web, fetch, monkeypatch):
    web.on("/a.png", image())
    web.on("/b.png", image())

    def lossy(urls, number, threads, folder, write):
        return original([url for url in urls if not url.endswith("b.png")], number, threads, folder, write)

    original = bucket_module.download_pass
    monkeypatch.setattr(bucket_module, "download_pass", lossy)
    result = fetch(web.url("/a.png"), web.url("/b.png"))
    assert set(result.images) == {web.url("/a.png")}
    assert result.reasons == {web.url("/b.png"): "error:lost_in_downloader"}


def test_a_fault_of_ours_inside_img2dataset_is_a_counted_failure(web, fetch, monkeypatch):
    def broken(self, target):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("mining.fetching.fetcher.Fetcher.fetch", broken)
    result = fetch(web.url("/a.png"))
    assert result.reasons == {web.url("/a.png"): "error:lost_in_downloader"}
    assert "ours" in result.outcomes.rows("rejected")[0]["detail"]


def test_a_full_disk_ends_the_call(web, fetch, monkeypatch):
    web.on("/a.png", image())

    def full(self, url, verdict, body=b""):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mining.fetching.spool.Spool.settle", full)
    with pytest.raises(OSError, match="No space left"):
        fetch(web.url("/a.png"))


def test_the_process_gets_its_opener_back(web, fetch):
    web.on("/a.png", image())
    fetch(web.url("/a.png"))
    with urllib.request.urlopen(f"http://127.0.0.1:{web.port}/a.png") as answer:
        assert answer.read() == PNG


def test_redirects_are_followed_and_the_row_has_the_pages_address(web, fetch):
    web.on("/a.png", redirect("/b.png", 301))
    web.on("/b.png", redirect(web.url("/c.png", "other.test"), 307))
    web.on("/c.png", image())
    assert set(fetch(web.url("/a.png")).images) == {web.url("/a.png")}
    assert len(web.asked("/robots.txt")) == 2
