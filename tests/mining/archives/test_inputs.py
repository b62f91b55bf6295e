import gzip
import http.server
import threading
import zipfile

import pytest

from mining.archives.http_stream import HttpStream
from mining.archives.inputs import UNKNOWN_SIZE, ArchiveFile, list_inputs
from mining.archives.read import read_record_at, read_records
from mining.archives.records import Damage, Limits, Record, SourceLostError
from schemas.errors import ConfigurationError


def records_of(archive):
    return list(read_records(archive, Limits(), lambda key: None, {}))


def test_globs_folders_and_files_give_each_archive_once(tmp_path, make_warc, make_site):
    for name in ("b.warc.gz", "a.warc", "sub/c.warc.gz", "notes.txt"):
        make_warc(tmp_path / name, make_site(pages=1, images=1), gzip=name.endswith("gz"))
    found = list_inputs([str(tmp_path / "*.warc*"), str(tmp_path), str(tmp_path / "b.warc.gz")])
    assert [one.name for one in found] == ["a.warc", "b.warc.gz", "c.warc.gz"]
    assert all(one.size > 0 and one.fingerprint for one in found)


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        ("nowhere.warc.gz", "does not exist"),
        ("none-*.warc.gz", "names no archive"),
        ("gopher://x/y.warc", "cannot open"),
    ],
)
def test_what_names_nothing_is_said_in_a_sentence(tmp_path, pattern, word):
    given = pattern if "://" in pattern else str(tmp_path / pattern)
    with pytest.raises(ConfigurationError, match=word):
        list_inputs([given])


def test_a_path_list_needs_a_base_and_takes_a_sample(tmp_path):
    lines = [f"crawl-data/CC-MAIN-2026-10/segments/1/warc/CC-{number:05d}.warc.gz" for number in range(50)]
    path = tmp_path / "warc.paths.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    with pytest.raises(ConfigurationError, match="--base"):
        list_inputs([str(path)])
    found = list_inputs([str(path)], base="https://data.example/", sample=5, seed=1)
    assert len(found) == 5
    assert found == list_inputs([str(path)], base="https://data.example", sample=5, seed=1)
    assert found != list_inputs([str(path)], base="https://data.example", sample=5, seed=2)
    assert found[0].path.startswith("https://data.example/crawl-data/")
    assert found[0].size == UNKNOWN_SIZE


def test_a_folder_of_html_stands_for_hosts_and_paths(tmp_path, make_picture):
    page = tmp_path / "mirror" / "www.a.example" / "docs" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_bytes(b"<img src=one.png alt='a thing'>")
    (page.parent / "one.png").write_bytes(make_picture(1))
    found = list_inputs([str(tmp_path / "mirror")])
    assert [(one.kind, one.url) for one in found] == [
        ("html", "http://www.a.example/docs/index.html"),
        ("html", "http://www.a.example/docs/one.png"),
    ]
    assert records_of(found[0])[0].body == page.read_bytes()


def test_a_folder_of_one_site_is_a_host_of_its_own(tmp_path, make_picture):
    """What its pages name lies where they say."""
    folder = tmp_path / "My site"
    (folder / "img").mkdir(parents=True)
    (folder / "index.html").write_bytes(b"<title>x</title><img src=img/a.png>")
    (folder / "img" / "a.png").write_bytes(make_picture(1))
    (folder / "img" / "big.html").write_bytes(b"x" * 5000)
    found = list_inputs([str(folder)])
    assert [one.url for one in found] == [
        "http://my-site/img/a.png",
        "http://my-site/img/big.html",
        "http://my-site/index.html",
    ]
    assert [one.url for one in list_inputs([f"{folder}/*.html"])] == ["http://my-site/index.html"]
    assert [one.url for one in list_inputs([f"{folder}/index.html"])] == ["http://my-site/index.html"]
    record = records_of(found[2])[0]
    assert (record.status, record.mime) == (200, "text/html")
    [large] = read_records(found[1], Limits(record_bytes=1000), lambda key: None, {})
    assert (large.too_large, large.body) == (True, b"")


def test_lists_of_paths_in_every_form(tmp_path, make_warc, make_site):
    make_warc(tmp_path / "crawl" / "a.warc.gz", make_site(pages=1, images=1))
    whole = gzip.compress(b"crawl/a.warc.gz\r\n\nhttp://b.example/b.warc.gz\ncrawl/a.warc.wet.gz\n")
    (tmp_path / "warc.paths.gz").write_bytes(whole)
    found = list_inputs([str(tmp_path / "warc.paths.gz")], base=str(tmp_path))
    assert [one.path for one in found] == [f"{tmp_path}/crawl/a.warc.gz", "http://b.example/b.warc.gz"]
    assert len(records_of(found[0])) == 3
    assert found == list_inputs([str(tmp_path / "*.paths.gz")], base=str(tmp_path))
    (tmp_path / "own.paths").write_text(f"{tmp_path}/crawl/a.warc.gz\n")
    assert [one.path for one in list_inputs([str(tmp_path / "own.paths")])] == [f"{tmp_path}/crawl/a.warc.gz"]


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("absent.paths.gz", None, "cannot read the list"),
        ("broken.paths.gz", b"\x1f\x8b\x08\x00" + b"\xff" * 50, "cannot read the list"),
        ("empty.paths", b"", "names no archive"),
        ("text.txt", b"x", "names no archive"),
    ],
)
def test_lists_that_cannot_be_used_are_said_in_a_sentence(tmp_path, name, content, word):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=word):
        list_inputs([str(tmp_path / name)], base="https://data.example")


def test_a_folder_with_a_link_to_itself_ends(tmp_path):
    (tmp_path / "a.html").write_bytes(b"<p>")
    (tmp_path / "up").symlink_to(tmp_path)
    assert [one.name for one in list_inputs([str(tmp_path)])] == ["a.html"]


def test_wacz_members_are_read_and_tricks_are_refused(tmp_path, site_warc):
    path = tmp_path / "crawl.wacz"
    with zipfile.ZipFile(path, "w") as container:
        container.write(site_warc, "archive/data.warc.gz")
        container.writestr("../../etc/evil.warc.gz", site_warc.read_bytes())
        container.writestr("pages/pages.jsonl", "{}")
    found = records_of(list_inputs([str(path)])[0])
    records = [one for one in found if isinstance(one, Record)]
    assert {one.place.member for one in records} == {"archive/data.warc.gz"}
    assert [one.error for one in found if isinstance(one, Damage)] == ["unsafe_member_name"]
    again = read_record_at(records[3].place, records[3].url, Limits())
    assert again.body == records[3].body


def test_a_wacz_that_is_no_zip_is_damage(tmp_path):
    path = tmp_path / "crawl.wacz"
    path.write_bytes(b"no zip at all")
    assert [one.error for one in records_of(list_inputs([str(path)])[0])] == ["unreadable_archive"]


class FlakyServer(http.server.BaseHTTPRequestHandler):
    """Answers 503, cuts connections in the middle of bodies, and speaks ranges."""

    data = b""
    count = 0
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        type(self).count += 1
        if self.count % 3 == 1:
            self.send_response(503)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path == "/warc.paths.gz":
            body = gzip.compress(b"a.warc.gz\n")
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        if self.path != "/a.warc.gz":
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        body = self.data[start:]
        self.send_response(206 if start else 200)
        self.send_header("ETag", '"one"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: max(1, len(self.data) // 4)])
        self.wfile.flush()
        if len(body) > len(self.data) // 4:
            self.close_connection = True

    def log_message(self, *arguments):
        pass


@pytest.fixture
def flaky(site_warc):
    FlakyServer.data, FlakyServer.count = site_warc.read_bytes(), 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FlakyServer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_server_that_cuts_and_refuses_is_read_to_the_end(flaky, site_warc):
    stream = HttpStream(f"{flaky}/a.warc.gz", first_wait=0.01)
    parts = []
    while piece := stream.read(5000):
        parts.append(piece)
    assert b"".join(parts) == site_warc.read_bytes()
    stream.seek(100)
    assert stream.read(10) == site_warc.read_bytes()[100:110]
    stream.close()


def test_archives_over_http_give_the_same_records(flaky, site_warc, monkeypatch):
    monkeypatch.setattr("mining.archives.http_stream.time.sleep", lambda seconds: None)
    local = records_of(list_inputs([str(site_warc)])[0])
    remote = records_of(list_inputs([f"{flaky}/a.warc.gz"])[0])
    assert [one.body for one in remote] == [one.body for one in local]


def test_a_list_and_its_archives_come_from_a_server_that_fails(flaky, site_warc, monkeypatch):
    monkeypatch.setattr("mining.archives.http_stream.time.sleep", lambda seconds: None)
    [archive] = list_inputs([f"{flaky}/warc.paths.gz"], base=flaky)
    assert archive.path == f"{flaky}/a.warc.gz"
    local = records_of(list_inputs([str(site_warc)])[0])
    found = records_of(archive)
    assert [one.body for one in found] == [one.body for one in local]
    for one in found:
        assert read_record_at(one.place, one.url, Limits()).body == one.body


def test_waiting_for_a_server_shows_that_it_is_no_hanging_record(flaky, monkeypatch):
    """The supervisor ends a child that sits on one record: marks are given again while a server is waited for."""
    waits = []
    monkeypatch.setattr("mining.archives.http_stream.time.sleep", waits.append)
    stream = HttpStream(f"{flaky}/a.warc.gz", first_wait=12.0, beat=lambda: waits.append("beat"))
    while stream.read(5000):
        pass
    stream.close()
    assert waits[:6] == ["beat", 5.0, "beat", 5.0, "beat", 2.0]


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ([{"ETag": '"a"', "Content-Length": "10"}, {"ETag": '"b"', "Content-Length": "10"}], "changed"),
        (
            [
                {"Last-Modified": "Mon, 04 May 2026 03:02:01 GMT", "Content-Length": "10"},
                {"Last-Modified": "Tue, 05 May 2026 03:02:01 GMT", "Content-Length": "10"},
            ],
            "changed",
        ),
        ([{"Content-Length": "10"}, {"Content-Range": "bytes 7-9/10", "Content-Length": "3"}], "another range"),
    ],
)
def test_a_file_that_is_another_one_after_a_break_is_not_mixed(headers, message):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            given = headers.pop(0)
            self.send_response(206 if "Content-Range" in given else 200)
            for name, value in given.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"12345")

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stream = HttpStream(f"http://127.0.0.1:{server.server_port}/a", first_wait=0.01)
        assert stream.read(5) == b"12345"
        with pytest.raises(SourceLostError, match=message):
            stream.read(5)
        stream.close()
        server.shutdown()


@pytest.mark.parametrize("address", ["http://[bad/a.warc.gz", "http://127.0.0.1:1/a.warc.gz"])
def test_an_address_that_cannot_be_asked_is_damage(address, monkeypatch):
    monkeypatch.setattr("mining.archives.http_stream.time.sleep", lambda seconds: None)
    assert [one.error for one in records_of(ArchiveFile(address, "warc", 0, ""))] == ["unreadable_archive"]


def test_a_base_on_s3(site_warc, tmp_path, monkeypatch, s3_environment):
    import boto3

    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    store = boto3.client("s3", endpoint_url=s3_environment["AWS_ENDPOINT_URL"])
    store.create_bucket(Bucket="crawl")
    store.put_object(Bucket="crawl", Key="2026/a.warc.gz", Body=site_warc.read_bytes())
    (tmp_path / "warc.paths").write_text("2026/a.warc.gz\n")
    local = records_of(list_inputs([str(site_warc)])[0])
    for found in (
        list_inputs([str(tmp_path / "warc.paths")], base="s3://crawl/"),
        list_inputs(["s3://crawl/2026/*.warc.gz"]),
    ):
        assert [one.path for one in found] == ["s3://crawl/2026/a.warc.gz"]
        assert [one.body for one in records_of(found[0])] == [one.body for one in local]


def test_a_file_that_is_not_there_is_damage(flaky, monkeypatch):
    monkeypatch.setattr("mining.archives.http_stream.time.sleep", lambda seconds: None)
    assert [one.error for one in records_of(list_inputs([f"{flaky}/b.warc.gz"])[0])] == ["unreadable_archive"]
