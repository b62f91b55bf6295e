"""What a hostile web must not achieve: reaching what is not public, taking all memory, taking forever."""

from __future__ import annotations

import gzip
import os
import socket
import struct
import threading
import time
import zlib

import brotli
import pytest

from .conftest import JPEG, PNG, image, redirect, status


@pytest.fixture
def forbidden():
    """A listening socket on loopback that must never be connected to."""
    listener = socket.create_server(("127.0.0.1", 0))
    contacts = []

    def accept():
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            contacts.append(peer)
            connection.close()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1], contacts
    listener.close()


LOOPBACK = "127.0.0.1 localhost 127.1 0x7f.1 2130706433 [::1] [::ffff:127.0.0.1] 0.0.0.0 LOCALHOST. １２７.0.0.1"
LOOPBACK += " [::ffff:7f00:1] [::127.0.0.1] [64:ff9b::7f00:1] user:password@127.0.0.1"


@pytest.mark.parametrize("host", LOOPBACK.split())
def test_loopback_is_refused_however_it_is_written(fetch, forbidden, host):
    port, contacts = forbidden
    url = f"http://{host}:{port}/a.png"
    assert fetch(url).reasons[url] in ("address_refused", "unknown_host")
    assert contacts == []


INSIDE = "169.254.169.254 10.0.0.1 192.168.1.1 172.16.0.1 100.64.0.1 100.100.100.200 224.0.0.1 0.0.0.0 255.255.255.255"
INSIDE += " 168.63.129.16 fd00:ec2::254 fe80::1 ff02::1 :: ::ffff:10.0.0.1 fec0::1 64:ff9b::a9fe:a9fe 2002:7f00:1::"
INSIDE += " 192.0.2.1 198.18.0.1 8.8.8.8,127.0.0.1 127.0.0.1"


@pytest.mark.parametrize("address", INSIDE.split())
def test_names_that_resolve_inside_are_refused(web, fetch, address):
    web.names["inside.example"] = [address.replace(",", " ")]
    url = f"http://inside.example:{web.port}/a.png"
    assert fetch(url).reasons == {url: "address_refused"}
    assert web.server.log == []


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0", "168.63.129.16"])
def test_allowing_a_host_never_allows_metadata_or_link_local(web, fetch, address):
    web.names["site.test"] = [address]
    assert fetch(web.url("/a.png")).reasons == {web.url("/a.png"): "address_refused"}


@pytest.mark.parametrize("address", ["fd00:ec2::254", "fd20:ce::254", "192.0.0.192", "100.100.100.200"])
def test_allowing_a_host_never_allows_metadata_in_private_ranges(web, fetch, address):
    web.names["site.test"] = [address]
    assert fetch(web.url("/a.png")).reasons == {web.url("/a.png"): "address_refused"}


def test_names_that_cannot_exist_are_not_looked_up(web, fetch):
    urls = ["http://host.invalid/a.png", "http://abcdefghijklmnop.onion/a.png"]
    assert fetch(*urls).reasons == dict.fromkeys(urls, "unknown_host")
    assert web.lookups == []


def test_other_services_ports_are_refused_on_allowed_hosts_too(fetch):
    urls = [f"http://site.test:{port}/a.png" for port in (22, 25, 6379)]
    assert set(fetch(*urls).reasons.values()) == {"address_refused"}


def test_a_host_is_allowed_with_its_port_only(web, fetch, forbidden):
    port, contacts = forbidden
    web.on("/a.png", image())
    other = f"http://site.test:{port}/a.png"
    result = fetch(web.url("/a.png"), other, allow_hosts=(f"site.test:{web.port}",))
    assert set(result.images) == {web.url("/a.png")}
    assert result.reasons == {other: "address_refused"}
    assert contacts == []


@pytest.mark.parametrize(
    "target",
    ["file:///etc/passwd", "http://169.254.169.254/latest", "http://localhost:22/", "gopher://site.test/", "//[::1]/"],
)
def test_redirects_are_checked_at_every_hop(web, fetch, target):
    web.on("/a.png", redirect("/b.png"))
    web.on("/b.png", redirect(target))
    assert fetch(web.url("/a.png")).reasons == {web.url("/a.png"): "address_refused"}


def test_redirects_to_loopback_contact_nobody(web, fetch, forbidden):
    port, contacts = forbidden
    web.on("/a.png", redirect(f"http://127.0.0.1:{port}/"))
    web.on("/robots.txt", redirect(f"http://127.0.0.1:{port}/robots.txt"))
    web.on("other.test/robots.txt", status(404))
    urls = [web.url("/a.png"), web.url("/a.png", "other.test")]
    assert fetch(*urls).reasons == {urls[0]: "error:robots_unreachable", urls[1]: "address_refused"}
    assert contacts == []


def test_redirect_loops_end(web, fetch):
    web.on("/a.png", redirect("/b.png"))
    web.on("/b.png", redirect("/a.png"))
    assert fetch(web.url("/a.png")).reasons == {web.url("/a.png"): "too_many_redirects"}
    assert len(web.asked()) == 6


def test_a_name_that_resolves_differently_the_second_time_gains_nothing(web, fetch, forbidden):
    port, contacts = forbidden
    # The first answer is a public address that nothing answers on here; loopback comes with every later one.
    web.names["rebinding.example"] = ["203.0.113.7", "127.0.0.1"]
    web.names["late.example"] = ["127.0.0.1", "127.0.0.1"]
    urls = [f"http://rebinding.example:{port}/{number}.png" for number in range(4)]
    result = fetch(*urls, f"http://late.example:{port}/a.png", connect_seconds=0.5, attempts=2)
    assert len(result.reasons) == 5
    assert contacts == []


def test_only_the_checked_address_is_connected_to(web, fetch, monkeypatch):
    """No second look-up happens between the check and the connection."""
    connected = []
    original = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", lambda self, to: (connected.append(to), original(self, to))[1])
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("looked up again"))
    web.on("/a.png", image())
    assert len(fetch(web.url("/a.png")).images) == 1
    assert set(connected) == {("127.0.0.1", web.port)}
    assert web.lookups == ["site.test"]


def test_unknown_hosts_are_rejected_and_looked_up_once(web, fetch):
    web.names["gone.test"] = []
    urls = [web.url(f"/{number}.png", "gone.test") for number in range(5)]
    assert set(fetch(*urls, host_concurrency=1).reasons.values()) == {"unknown_host"}


def test_slow_bodies_and_slow_headers_end_at_the_time_limit(web, fetch):
    def drip_body(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        while True:
            handler.wfile.write(b"\xff")
            time.sleep(0.05)

    def drip_headers(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while True:
            handler.wfile.write(b"x")
            time.sleep(0.05)

    def continue_forever(handler):
        while True:
            handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            time.sleep(0.01)

    routes = {"/body.png": drip_body, "/headers.png": drip_headers, "/continue.png": continue_forever}
    for path, route in routes.items():
        web.on(path, route)
    started = time.monotonic()
    result = fetch(*[web.url(path) for path in routes], total_seconds=0.7)
    assert time.monotonic() - started < 30
    assert result.reasons == {web.url(path): "error:timeout" for path in routes}


def test_endless_and_announced_bodies_end_at_the_byte_limit(web, fetch):
    sent = []

    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(PNG + bytes(65536))
            sent.append(65536)

    def endless_chunks(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        while True:
            handler.wfile.write(b"10000\r\n" + bytes(65536) + b"\r\n")

    def announced(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(1 << 40))
        handler.end_headers()

    routes = {"/endless.png": endless, "/chunks.png": endless_chunks, "/announced.png": announced}
    for path, route in routes.items():
        web.on(path, route)
    result = fetch(*[web.url(path) for path in routes], max_bytes=1_000_000)
    assert result.reasons == {web.url(path): "too_large" for path in routes}
    assert sum(sent) < 20_000_000


def test_bodies_that_end_with_the_connection_are_read(web, fetch):
    def until_close(handler):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\n\r\n" + JPEG)
        handler.wfile.flush()
        time.sleep(0.1)
        handler.wfile.write(JPEG)
        handler.close_connection = True

    web.on("/old.jpg", until_close)
    web.on("/close.png", image(Connection="close"))
    result = fetch(web.url("/old.jpg"), web.url("/close.png"))
    assert {url: row["bytes"] for url, row in result.images.items()} == {
        web.url("/old.jpg"): JPEG + JPEG,
        web.url("/close.png"): PNG,
    }


def test_sockets_are_closed(web, fetch):
    before = len(os.listdir("/proc/self/fd"))
    routes = {"/a.png": image(), "/close.png": image(Connection="close"), "/gone.png": status(404)}
    routes["/big.png"] = image(PNG + bytes(2000))
    for path, route in routes.items():
        web.on(path, route)
    fetch(*[web.url(f"{path}") for path in routes], max_bytes=1000)
    deadline = time.monotonic() + 2
    while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_cut_connections_fail(web, fetch):
    def short(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(PNG) + 100))
        handler.end_headers()
        handler.wfile.write(PNG)
        handler.close_connection = True

    def short_chunk(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"1000\r\n" + PNG)
        handler.close_connection = True

    def reset(handler):
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The reader holds the socket too: without this the close waits for the garbage collector.
        handler.rfile.close()
        handler.connection.close()
        handler.close_connection = True

    def hang_up(handler):
        handler.close_connection = True

    def nonsense(handler):
        handler.wfile.write(b"SSH-2.0-OpenSSH\r\n")
        handler.close_connection = True

    def bad_chunk(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        handler.close_connection = True

    routes = {
        "/short.png": (short, "connection_cut"),
        "/chunk.png": (short_chunk, "connection_cut"),
        "/reset.png": (reset, "connection_reset"),
        "/hang.png": (hang_up, "connection_reset"),
        "/nonsense.png": (nonsense, "bad_response"),
    }
    for path, (route, _) in routes.items():
        web.on(path, route)
    web.on("/bad_chunk.png", bad_chunk)
    result = fetch(*[web.url(path) for path in routes], web.url("/bad_chunk.png"))
    assert result.reasons.pop(web.url("/bad_chunk.png")) in ("error:bad_response", "error:connection_cut")
    expected = {web.url(path): f"error:{reason}" for path, (_, reason) in routes.items()}
    assert {url: result.reasons[url] for url in expected} == expected


def test_content_codings_are_undone_and_bombs_are_not(web, fetch):
    bomb = gzip.compress(PNG + bytes(50_000_000))
    routes = {
        "/gzip.png": image(gzip.compress(PNG), Content_Encoding="gzip"),
        "/members.png": image(gzip.compress(PNG[:20]) + gzip.compress(PNG[20:]), Content_Encoding="x-gzip"),
        "/zlib.png": image(zlib.compress(PNG), Content_Encoding="deflate"),
        "/raw.png": image(zlib.compress(PNG, wbits=-15), Content_Encoding="deflate"),
        "/br.png": image(brotli.compress(PNG), Content_Encoding="br"),
        "/twice.png": image(gzip.compress(gzip.compress(PNG)), Content_Encoding="gzip, gzip"),
    }
    bad = {
        "/bomb.png": (image(bomb, Content_Encoding="gzip"), "too_large"),
        "/bomb2.png": (image(gzip.compress(bomb), Content_Encoding="gzip, gzip"), "too_large"),
        "/bombbr.png": (image(brotli.compress(PNG + bytes(5_000_000), quality=3), Content_Encoding="br"), "too_large"),
        "/cut.png": (image(gzip.compress(JPEG)[:-12], Content_Encoding="gzip"), "bad_encoding"),
        "/lie.png": (image(PNG, Content_Encoding="gzip"), "bad_encoding"),
        "/odd.png": (image(PNG, Content_Encoding="rot13"), "bad_encoding"),
        "/many.png": (image(PNG, Content_Encoding="gzip, gzip, gzip"), "bad_encoding"),
    }
    for path, route in routes.items():
        web.on(path, route)
    for path, (route, _) in bad.items():
        web.on(path, route)
    result = fetch(*[web.url(path) for path in (*routes, *bad)], max_bytes=1_000_000)
    assert {row["bytes"] for row in result.images.values()} == {PNG}
    assert set(result.images) == {web.url(path) for path in routes}
    assert result.reasons == {web.url(path): reason for path, (_, reason) in bad.items()}


def test_the_bytes_say_what_is_an_image(web, fetch):
    web.on("/text.png", image(b"<html><img>", "image/png"))
    web.on("/empty.png", image(b"", "image/png"))
    web.on("/jpeg.png", image(JPEG, "image/png"))
    web.on("/page", image(PNG, "text/html"))
    result = fetch(*[web.url(path) for path in ("/text.png", "/empty.png", "/jpeg.png", "/page")])
    assert {url: row["mime"] for url, row in result.images.items()} == {
        web.url("/jpeg.png"): "image/jpeg",
        web.url("/page"): "image/png",
    }
    assert set(result.reasons.values()) == {"not_an_image"}
