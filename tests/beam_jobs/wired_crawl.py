"""A crawl in which every part of mining over a corpus has something to find, and runs of it in a plain loop.

It is read and annotated once, by the real models; each test mines a copy of the output folder under its own settings.
"""

from __future__ import annotations

import importlib.util
import io
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import yaml
from made_jobs import PlainEngine
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo
from typer.testing import CliRunner

from beam_jobs.session import Session
from beam_jobs.tables import rows
from beam_jobs.workspace import Workspace
from lensmith.cli import app
from lensmith.funnel import funnel
from lensmith.output_folder import open_output, plan_inputs
from lensmith.settings import STAGES, Settings, load_settings, overlay
from lensmith.stages import Results, run_stage
from mining.archives.inputs import list_inputs
from schemas.errors import LensmithError


def _loaded(path: str) -> ModuleType:
    """A module of the tests' tree, by its path there."""
    file = Path(__file__).resolve().parents[1] / path
    spec = importlib.util.spec_from_file_location(f"wired_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_SITE = _loaded("conftest.py")
Answer, picture, write_warc = _SITE.Answer, _SITE.picture, _SITE.write_warc
scene = _loaded("mining/made_scenes.py").scene

HOST, OTHER = "http://gallery.example", "http://travel.example"
#: No model writes and nothing is fetched: what is left are the real parts that these tests are about.
BASE: dict[str, Any] = {
    "run": {"host_buckets": 2},
    "fetch_images": {"host_budget": 0},
    "mine_pairs": {"search": {"measured": 20}, "hard_negatives": {"site_pool": 0}},
    "write_instructions": {"chain": ["templates"]},
    "publish_dataset": {"split_unit": "page", "shares": {"train": 1.0, "validation": 0.0, "test": 0.0}},
}
#: What the generated picture says made it.
GENERATOR = "Stable Diffusion"


def file_of(image: Image.Image, kind: str = "PNG", **more: Any) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **more)
    return sink.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def resized(data: bytes, size: tuple[int, int], kind: str = "PNG", **more: Any) -> bytes:
    return file_of(opened(data).resize(size, Image.Resampling.BICUBIC), kind, **more)


def mirrored(data: bytes) -> bytes:
    return file_of(ImageOps.mirror(opened(data)))


@dataclass
class Pages:
    """Archived answers, as pages are added."""

    answers: list[Any] = field(default_factory=list)

    def page(
        self,
        url: str,
        shown: Sequence[tuple[str, str, bytes]],
        title: str = "Views",
        head: str = "",
        language: str = "en",
        more: str = "",
        image_headers: Mapping[str, Sequence[tuple[str, str]]] | None = None,
    ) -> None:
        """A page and its pictures: (address, alternative text, file)."""
        host = url[: url.index("/", 8)]
        body = [f"<html lang={language}><head><title>{title}</title>{head}</head><body>"]
        for name, text, data in shown:
            body.append(f'<p>One. <img src="{name}" alt="{text}"> Two.</p>')
            headers = (image_headers or {}).get(name, ())
            self.answers.append(Answer(host + name, data, "image/png", headers=headers))
        self.answers.append(Answer(url, ("".join(body) + more + "</body></html>").encode()))

    def image(self, url: str, data: bytes) -> None:
        """A file that no page shows."""
        self.answers.append(Answer(url, data, "image/png"))


def generated_file(seed: int) -> bytes:
    notes = PngInfo()
    notes.add_text("Software", GENERATOR)
    return file_of(opened(picture(seed)), "PNG", pnginfo=notes)


def face() -> bytes:
    """A photograph that matplotlib's package holds (Grace Hopper, in the public domain)."""
    import matplotlib

    with Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg") as image:
        return file_of(image.convert("RGB").resize((256, 300)))


def twins(made: Pages) -> None:
    """Pictures that stand in the crawl twice, in sizes of which the larger one may not be usable."""

    def pair(seed: int) -> tuple[bytes, bytes]:
        return resized(picture(seed), (540, 420)), picture(seed)

    large, small = pair(200)
    made.page(f"{HOST}/album.html", [("/d/large.png", "A ferry", large), ("/d/a.png", "A gate", picture(205))])
    made.page(f"{OTHER}/copy.html", [("/d/small.png", "The ferry", small), ("/d/b.png", "A yard", picture(207))])
    large, small = pair(210)
    made.image(f"{HOST}/d/unshown.png", large)
    made.page(f"{HOST}/thumbs.html", [("/d/thumb.png", "A barn", small), ("/d/c.png", "A well", picture(217))])
    large, small = pair(220)
    noai = "<meta name=robots content=noai>"
    made.page(f"{OTHER}/closed.html", [("/d/closed.png", "A quay", large)], head=noai)
    large, again = pair(230)
    header = {"/d/header.png": [("X-Robots-Tag", "noai")]}
    made.page(f"{OTHER}/header.html", [("/d/header.png", "A dam", large)], image_headers=header)
    made.page(f"{HOST}/open.html", [("/d/open.png", "The quay", small), ("/d/free.png", "The dam", again)])
    large, small = pair(240)
    made.page(f"{OTHER}/francais.html", [("/d/francais.png", "Une cour", large)], language="fr")
    made.page(f"{HOST}/english.html", [("/d/english.png", "A court", small), ("/d/e.png", "A hall", picture(247))])
    large, small = pair(250)
    made.image(f"{HOST}/d/set-small.png", small)
    made.image(f"{HOST}/d/set-large.png", large)
    sizes = '<img src="/d/set-small.png" srcset="/d/set-small.png 180w, /d/set-large.png 540w" alt="A mill race">'
    made.page(f"{HOST}/sizes.html", [("/d/f.png", "A lock", picture(257))], more=sizes)
    # Its hash is that of the picture, it has more pixels, and it is too flat to be used.
    made.page(f"{HOST}/strip.html", [("/d/strip.png", "A strip", resized(picture(260), (290, 99)))])
    made.page(f"{HOST}/whole.html", [("/d/whole.png", "A field", picture(260)), ("/d/g.png", "A fen", picture(267))])
    # Two pages that show the same pictures.
    shared = [(f"/q/{number}.png", f"Step {number} of the dance", picture(270 + 10 * number)) for number in range(3)]
    made.page(f"{HOST}/q.html", shared)
    made.page(f"{HOST}/quadrille.html", shared)


def site() -> list[Any]:
    """The crawl."""
    made = Pages()
    twins(made)
    made.page(
        f"{HOST}/windmills.html",
        [
            ("/w/spring.png", "Kinderdijk Windmill in spring light", picture(100)),
            ("/w/snow.png", "Kinderdijk Windmill under snow", picture(101)),
            ("/w/boat.png", "A paper boat on a pond", picture(110)),
        ],
        title="Mills",
    )
    made.page(
        f"{OTHER}/holland.html",
        [
            ("/t/night.png", "Kinderdijk Windmill at night", picture(102)),
            ("/t/arch.png", "A stone arch by the sea", picture(120)),
        ],
        title="Holland",
    )
    made.page(
        f"{HOST}/restoration.html",
        [
            ("/r/bridge-before.png", "The old bridge with rust", picture(130)),
            ("/r/bridge-after.png", "The old bridge with new paint", picture(131)),
            ("/r/tower.png", "A clock tower", picture(140)),
        ],
        title="Restoration",
    )
    links = "".join(
        f'<link rel=alternate hreflang={language} href="{HOST}/{name}.html">'
        for language, name in (("en", "guide"), ("de", "anleitung"))
    )
    made.page(
        f"{HOST}/guide.html",
        [("/g/one.png", "The main window", picture(150)), ("/g/two.png", "A list of files", picture(160))],
        head=links,
    )
    made.page(
        f"{HOST}/anleitung.html",
        [("/g/eins.png", "Das Hauptfenster", picture(151)), ("/g/zwei.png", "Eine Liste von Dateien", picture(161))],
        head=links,
        language="de",
    )
    made.page(
        f"{HOST}/things.html",
        [
            ("/s/wall.png", "A vase before a wall", file_of(scene(1, 1, side=200))),
            ("/s/lamp.png", "A lamp on its own", file_of(scene(7, 7, side=200))),
        ],
    )
    made.page(
        f"{OTHER}/rooms.html",
        [
            ("/s/garden.png", "The same vase in a garden", file_of(scene(1, 2, (0.6, 0.45), side=140, turn=20))),
            ("/s/stair.png", "A stair", file_of(scene(8, 8, side=190))),
        ],
    )
    made.page(
        f"{HOST}/generated.html",
        [
            ("/m/dragon.png", "A dragon over a town", generated_file(170)),
            ("/m/castle.png", "A castle on a hill", picture(171)),
        ],
    )
    made.page(
        f"{HOST}/people.html",
        [
            ("/p/woman.png", "A young woman with blond hair", face()),
            ("/p/medal.png", "A medal in a box", picture(180)),
            ("/p/ribbon.png", "A ribbon of blue silk", picture(181)),
        ],
    )
    return made.answers


@dataclass
class Crawl:
    """A copy of the annotated crawl, and runs over it."""

    path: Path
    archives: Path
    settings: dict[str, Any] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    worked: dict[str, int] = field(default_factory=dict)

    @property
    def workspace(self) -> Workspace:
        return Workspace(str(self.path))

    def load(self, **sections: Any) -> Settings:
        return load_settings("local", None, overlay(overlay(BASE, self.settings), sections))

    def run(self, until: str = "publish_dataset", backwards: bool = False, **sections: Any) -> Results:
        """All stages up to one of them; `sections`: settings, as a configuration file has them."""
        settings, workspace = self.load(**sections), self.workspace
        output = open_output(workspace, settings.run.shard_bytes, settings.run.host_buckets)
        plan = plan_inputs(workspace, output, list_inputs([str(self.archives)]), True)
        session = Session(workspace, PlainEngine(backwards))
        session.progress.say = self.said.append
        results = Results(plan, output.buckets)
        for stage in STAGES[: STAGES.index(until) + 1]:
            run_stage(stage, session, settings, results, "local")
        self.worked = session.worked
        return results

    def mine(self, backwards: bool = False, **mine: Any) -> list[dict[str, Any]]:
        """The pairs under settings of `mine_pairs`."""
        results = self.run("mine_pairs", backwards, mine_pairs=mine)
        return [row for one in results.mined for row in rows(self.workspace, one, "pairs")]

    def publish(self, **sections: Any) -> Results:
        """The whole run."""
        return self.run(**sections)

    def published(self, configuration: str = "ids") -> list[dict[str, Any]]:
        folder = {"ids": "ids", "images": "images", "triplets": "data"}[configuration]
        found = sorted((self.path / "dataset" / folder).glob("*.parquet"))
        return [row for path in found for row in pq.read_table(path).to_pylist()]

    def data(self) -> dict[str, bytes]:
        """The dataset's parquet files."""
        root = self.path / "dataset"
        return {str(one.relative_to(root)): one.read_bytes() for one in sorted(root.rglob("*.parquet"))}

    def card(self) -> str:
        return (self.path / "dataset" / "README.md").read_text()

    def rejected(self, stage: str = "mine_pairs") -> list[dict[str, Any]]:
        """Rows of what a stage dropped, of the results in force."""
        workspace = self.workspace
        return [
            row
            for job in workspace.jobs_in_force(stage)
            for one in workspace.manifests(job, workspace.in_force(job))
            for row in rows(workspace, one, "rejected")
        ]

    def entries(self, stage: str = "mine_pairs") -> dict[str, dict[str, Any]]:
        """The funnel's entries of a stage by unit; their sums hold."""
        found = {one["unit"]: one for one in funnel(self.workspace)["stages"] if one["stage"] == stage}
        for one in found.values():
            left = sum(one["rejected"].values()) + sum(one["failed"].values()) + one["deferred"]
            assert one["in"] == one["kept"] + left, one
        return found


def annotated_crawl(root: Path, answers: Sequence[Any], parts: int = 1, **sections: Any) -> Crawl:
    """The crawl in `parts` archives of one shard each, read and annotated; `sections`: as `Crawl.run` takes them."""
    size = -(-len(answers) // parts)
    for part in range(parts):
        write_warc(root / "archives" / f"{part}.warc.gz", answers[part * size : (part + 1) * size])
    crawl = Crawl(root / "out", root / "archives", {"run": {"shard_bytes": 1 << 10}})
    crawl.run("annotate_images", **sections)
    return crawl


def copied(crawl: Crawl, path: Path) -> Crawl:
    shutil.copytree(crawl.path, path)
    return Crawl(path, crawl.archives, crawl.settings)


def names(rows_: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Query and target of pairs or triplets, by the last part of their addresses."""
    for row in rows_:
        yield row["query_image_url"].rpartition("/")[2], row["target_image_url"].rpartition("/")[2]


def command(crawl: Crawl, name: str, **sections: Any) -> tuple[int, str]:
    """A command of a stage over the crawl: exit status, and what was said, the error's sentence last."""
    config = crawl.path.parent / "own.yaml"
    config.write_text(yaml.safe_dump(overlay(overlay(BASE, crawl.settings), sections)))
    arguments = [name, "--output", str(crawl.path), "--config", str(config)]
    done = CliRunner().invoke(app, arguments)
    if isinstance(done.exception, LensmithError):
        return done.exception.exit_code, f"{done.output} {done.exception}"
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def tables(crawl: Crawl, table: str = "pairs") -> list[dict[str, Any]]:
    """The rows of a table's files, as a finished run leaves them."""
    found = sorted((crawl.path / table).glob("*.parquet"))
    return [row for path in found for row in pq.read_table(path).to_pylist()]
