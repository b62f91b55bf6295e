"""The job on a web of one host: what is asked for, how each address ends, and that nothing is asked for twice."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from lensmith.run import RunOptions, run
from lensmith.settings import load_settings

from .replay_server import Stored, serving

REPOSITORY = Path(__file__).resolve().parents[2]
QUICK = {
    "host_interval": 0,
    "host_concurrency": 4,
    "attempts": 1,
    "host_failures": 50,
    "allow_hosts": ["127.0.0.1"],
}


class Job:
    """A crawl in an archive, its web, and runs of the first two stages over it."""

    def __init__(self, folder: Path, server) -> None:
        self.folder, self.server = folder, server

    def run(self, retry: str | None = None, extend: bool = False, opt_out: str = "drop", **settings) -> None:
        """In this process, so that its children are there for the next run; what was asked before is forgotten."""
        self.server.log.clear()
        inputs = (str(self.folder / "in"),)
        options = RunOptions(str(self.folder / "out"), inputs, until="fetch_images", retry=retry, extend=extend)
        chosen = {"opt_out": opt_out, "run": {"max_failed": 1}, "fetch_images": QUICK | settings}
        run(options, load_settings("local", None, chosen), Console(quiet=True))
        dropped = sum([*self.entry["rejected"].values(), *self.entry["failed"].values()])
        assert self.entry["in"] == self.entry["kept"] + self.entry["deferred"] + dropped
        assert dropped == len(self.reasons)

    def rows(self, table: str) -> list[dict]:
        files = (self.folder / "out" / table).glob("*.parquet")
        return [row for path in files for row in pq.read_table(path).to_pylist()]

    @property
    def entry(self) -> dict:
        stages = json.loads((self.folder / "out" / "funnel.json").read_text())["stages"]
        return next(entry for entry in stages if entry["stage"] == "fetch_images")

    @property
    def fetched(self) -> dict[str, dict]:
        return {row["url"]: row for row in self.rows("images") if row["source"] == "fetched"}

    @property
    def reasons(self) -> dict[str, str]:
        return {row["url"]: row["reason"] for row in self.rows("rejected/fetch_images")}


@pytest.fixture
def crawl(tmp_path, make_warc, answer, make_picture):
    """`crawl(answers, pages, …)`: a job over pages (path → HTML with `{root}` for the server) of a served web."""
    servers = []

    def make(answers, pages, archived=()):
        context = serving(answers)
        server = context.__enter__()
        servers.append(context)
        records = [
            answer(server.root + path, markup.replace("{root}", server.root).encode()) for path, markup in pages.items()
        ]
        make_warc(
            tmp_path / "in" / "a.warc.gz", [*records, *(answer(server.root + path, *more) for path, *more in archived)]
        )
        return Job(tmp_path, server)

    yield make
    for context in servers:
        context.__exit__(None, None, None)


def imgs(*sources: str) -> str:
    return "".join(f"<p><img src='{source}'></p>" for source in sources)


def test_every_kind_of_address_ends_as_it_should_and_is_asked_for_once(crawl, make_picture):
    pictures = {
        name: make_picture(number) for number, name in enumerate(["a", "b", "c", "thumb", "small", "large", "png"])
    }
    answers = {f"/{name}.png": Stored(body) for name, body in pictures.items()}
    answers |= {
        "/sp%20ace.png": Stored(pictures["a"]),
        "/noai.png": Stored(pictures["b"], headers={"X-Robots-Tag": "noai"}),
        "/gone.png": Stored(b"", status=410),
        "/forbidden.png": Stored(b"", status=403),
        "/text.png": Stored(b"<p>no picture"),
        "/drawing.svg": Stored(b"<svg xmlns='http://www.w3.org/2000/svg'></svg>", "image/svg+xml"),
        "/moved.png": Stored(b"", status=302, headers={"Location": "/b.png"}),
        "/inside.png": Stored(b"", status=302, headers={"Location": "http://169.254.169.254/latest/"}),
        "/busy.png": Stored(pictures["c"], first=[500] * 9),
        "/reset.png": Stored(pictures["c"], first=[0] * 9),
        "/robots.txt": Stored(b"User-agent: *\nDisallow: /closed/", "text/plain"),
    }
    plain = ["a.png", "sp ace.png", "noai.png", "gone.png", "forbidden.png", "missing.png", "text.png", "moved.png"]
    plain += ["inside.png", "busy.png", "reset.png", "closed/a.png", "once/a.png", "held.png"]
    elsewhere = ["http://host.invalid/x.png", "http://localhost:22/x.png", "http://169.254.169.254/x.png"]
    first = imgs(*plain, *elsewhere)
    first += "<a href='full.png'><img src='thumb.png'></a>"
    first += "<img src='small.png' srcset='large.png 900w, unasked.png 300w'>"
    first += "<picture><source srcset='drawing.svg'><img src='png.png'></picture>"
    second = imgs("a.png#part", "{root}/b.png", "b.png?x=1")
    out = "<meta name='robots' content='noai'>" + imgs("unasked2.png")
    job = crawl(
        answers,
        {"/first.html": first, "/second.html": second, "/out.html": out, "/once/page.html": imgs("/unasked3.png")},
        [
            ("/held.png", pictures["a"], "image/png"),
            ("/robots.txt", b"User-agent: *\nDisallow: /once/", "text/plain"),
        ],
    )
    job.run()
    root = job.server.root
    kept = {"a.png", "b.png", "sp ace.png", "moved.png", "thumb.png", "large.png", "drawing.svg", "png.png"}
    assert set(job.fetched) == {f"{root}/{name}" for name in kept}
    assert job.fetched[f"{root}/moved.png"]["bytes"] == pictures["b"]
    assert job.reasons == {
        **{f"{root}/{name}": "http_404" for name in ("missing.png", "full.png", "b.png?x=1")},
        f"{root}/gone.png": "http_410",
        f"{root}/forbidden.png": "http_403",
        f"{root}/text.png": "not_an_image",
        f"{root}/noai.png": "opted_out",
        f"{root}/closed/a.png": "robots_disallowed",
        f"{root}/once/a.png": "robots_disallowed",
        f"{root}/inside.png": "address_refused",
        f"{root}/busy.png": "error:http_500",
        f"{root}/reset.png": "error:connection_reset",
        elsewhere[0]: "unknown_host",
        elsewhere[1]: "address_refused",
        elsewhere[2]: "address_refused",
    }
    asked = job.server.asked()
    # /b.png is also where a redirect ends; a request on a kept connection that turns out to be closed is sent again.
    assert {path for path, count in asked.items() if count > 1} <= {"/b.png", "/reset.png"}
    assert asked["/b.png"] == 2
    assert not {path for path in asked if "unasked" in path or "once" in path or "closed" in path or "held" in path}

    answers["/busy.png"].first = []
    answers["/reset.png"].first = []
    job.run(retry="failed")
    assert job.server.asked() == {"/busy.png": 1, "/reset.png": 1}
    assert set(job.fetched) == {f"{root}/{name}" for name in kept | {"busy.png", "reset.png"}}
    assert job.entry["failed"] == {}

    job.run(retry="failed")
    assert job.server.log == []

    job.run(opt_out="keep")
    signals = {url.removeprefix(root): row["opt_out"] for url, row in job.fetched.items() if row["opt_out"]}
    assert signals == {"/noai.png": "noai"}
    assert job.reasons[f"{root}/closed/a.png"] == job.reasons[f"{root}/once/a.png"] == "http_404"
    assert job.reasons[f"{root}/unasked2.png"] == job.reasons[f"{root}/unasked3.png"] == "http_404"

    # Back again: what only the other policy asked for is not asked for now.
    job.run()
    assert not {path for path in job.server.asked() if "unasked" in path or "once" in path or "closed" in path}


def test_a_raised_budget_takes_up_what_was_put_off(crawl, make_picture):
    answers = {f"/{number}.png": Stored(make_picture(number)) for number in range(6)}
    job = crawl(answers, {"/page.html": imgs(*(f"{number}.png" for number in range(6)))})
    job.run(host_budget=0)
    assert job.server.log == []
    assert (job.entry["kept"], job.entry["deferred"]) == (0, 6)
    job.run(host_budget=2)
    first = set(job.server.asked())
    assert len(first) == 2
    job.run(host_budget=2)
    assert job.server.log == []
    job.run()
    assert job.server.asked() == dict.fromkeys(set(answers) - first, 1)
    assert (job.entry["kept"], job.entry["deferred"]) == (6, 0)
    assert {row["url"] for row in job.rows("images")} == {job.server.root + path for path in answers}


def test_new_archives_ask_for_new_addresses_only(crawl, make_picture, make_warc, answer):
    answers = {f"/{number}.png": Stored(make_picture(number)) for number in range(4)}
    job = crawl(answers, {"/page.html": imgs("0.png", "1.png")})
    job.run()
    make_warc(job.folder / "in" / "b.warc.gz", [answer(job.server.root + "/b.html", imgs("1.png", "2.png").encode())])
    job.run(extend=True)
    assert job.server.asked() == {"/2.png": 1}
    assert {path.removeprefix(job.server.root) for path in job.fetched} == {"/0.png", "/1.png", "/2.png"}


def descendants(pid):
    """Processes below a process, as the kernel lists them."""
    found = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found |= {int(one) for one in (task / "children").read_text().split()}
    return sorted(found.union(*(descendants(one) for one in found)))


def test_a_killed_run_leaves_no_fetcher_behind_and_the_next_one_asks_for_the_rest(crawl, make_picture):
    answers = {f"/{number}.png": Stored(make_picture(number)) for number in range(24)}
    job = crawl(answers, {"/page.html": imgs(*(f"{number}.png" for number in range(24)))})
    job.server.hold_after = 10
    (job.folder / "own.yaml").write_text(json.dumps({"fetch_images": QUICK}))
    command = [sys.executable, "-c", "from lensmith.cli import main; main()", "run", "--until", "fetch-images"]
    command += ["--input", str(job.folder / "in"), "--output", str(job.folder / "out")]
    command += ["--config", str(job.folder / "own.yaml")]
    with (job.folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, stdout=log, stderr=log)
    while len(job.server.asked()) <= 10 and process.poll() is None:
        time.sleep(0.01)
    assert process.poll() is None, (job.folder / "log.txt").read_text()
    # Time for the answers to reach the disk; those behind the tenth are held back.
    time.sleep(1)
    children = descendants(process.pid)
    assert children
    process.kill()
    process.wait()
    # On a busy machine a fetcher takes a while to see that its parent is gone.
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{one}").exists() for one in children):
        assert time.monotonic() < deadline, "a fetcher was left behind"
        time.sleep(0.1)
    before = job.server.asked()
    job.server.released.set()
    time.sleep(2)
    assert job.server.asked() == before
    job.run()
    assert len(set(job.server.asked()) & set(before)) <= QUICK["host_concurrency"]
    # What the server held back when the run was killed may have timed out by then, which is stored as a failure.
    lost = {f"{job.server.root}/{number}.png" for number in range(24)} - job.fetched.keys()
    assert lost <= {job.server.root + path for path in before}
    assert len(lost) <= QUICK["host_concurrency"]
    assert all(job.reasons[one].startswith("error:") for one in lost)
