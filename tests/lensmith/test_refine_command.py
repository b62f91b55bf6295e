"""Refining small benchmarks with an endpoint on loopback that answers by the images it is shown."""

import base64
import importlib.util
import io
import json
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from evaluation.benchmarks import benchmark
from lensmith.refine_command import CHAIN, refine_command, refining_config
from lensmith.refine_run import CHANGES
from lensmith.refine_samples import read_samples
from schemas.errors import ConfigurationError, RunFailedError
from schemas.thumbnails import scaled
from synthesis.config import VerifyConfig

SIDE = 32
#: What is written anew for image N, from coarse to fine: only the last leads there.
ANEW = ("wrong {} still", "wrong {} once more, brightly", "finally go to {} and to no other thing that is here")


@pytest.fixture
def chat_server():
    path = Path(__file__).parents[1] / "synthesis" / "chat_server.py"
    spec = importlib.util.spec_from_file_location("lensmith_chat_server", path)
    module = sys.modules.setdefault("lensmith_chat_server", importlib.util.module_from_spec(spec))
    if not hasattr(module, "ChatServer"):
        spec.loader.exec_module(module)
    opened = []

    def make(plan, **more):
        opened.append(module.ChatServer(plan, **more))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def picture(number):
    sink = io.BytesIO()
    image = Image.new("RGB", (64, 48), (20 * number, 90, 200 - 15 * number))
    image.paste((250, 250, 10 * number), (0, 0, 4 * number + 4, 20))
    image.save(sink, "PNG")
    return sink.getvalue()


SHOWN = {scaled(picture(number), SIDE, 90): number for number in range(10)}


class Eyes:
    """A text names the number of its target, and begins with what the judge makes of it: `show` right, `wrong` another,
    `many` several; `lost` is not right either, and is `wrong` still when it is written anew."""

    def __init__(self):
        self.judged, self.broken = [], False

    def __call__(self, question, times):
        images = [SHOWN[self._bytes(part)] for part in question if part["type"] == "image_url"]
        words = " ".join(part["text"] for part in question if part["type"] == "text")
        failed = re.search(r'Failed instruction: (".*")', words)
        if failed:
            texts = [text.format(images[1]) for text in ANEW]
            if json.loads(failed[1]).startswith("lost"):
                texts = texts[:2]
            return json.dumps(dict(zip(("short", "medium", "fine"), texts, strict=False)))
        text = json.loads(re.search(r'Instruction: (".*")', words)[1])
        query, *candidates = images
        if self.broken:
            return ("status", 500, {})
        target = int(re.search(r"\d+", text)[0])
        self.judged.append((query, target, text, frozenset(candidates) - {target}))
        right = candidates.index(target) + 1
        numbers = {"show": right, "finally": right, "many": -1}
        return json.dumps({"why": "so", "image": numbers.get(text.split()[0], 1 + right % len(candidates))})

    @staticmethod
    def _bytes(part):
        return base64.b64decode(part["image_url"]["url"].removeprefix("data:image/jpeg;base64,"))


TEXTS = ("show 1", "wrong 2", "many 3", "lost 4")


def cirr(root):
    names = [f"dev-{number}" for number in range(8)]
    entries = [
        {
            "pairid": 10 + number,
            "reference": names[0],
            "target_hard": names[number + 1],
            "target_soft": {names[number + 1]: 1.0},
            "caption": text,
            "img_set": {"id": 1, "members": [names[0], *names[2:6], names[1]], "reference_rank": 2, "target_rank": 3},
        }
        for number, text in enumerate(TEXTS)
    ]
    write(root / "captions/cap.rc2.val.json", json.dumps(entries).encode())
    write(root / "image_splits/split.rc2.val.json", json.dumps({one: f"./dev/{one}.png" for one in names}).encode())
    for number, name in enumerate(names):
        write(root / f"images/dev/{name}.png", picture(number))


def fashioniq(root):
    for category in ("dress", "shirt", "toptee"):
        entries = [
            {"target": f"B{number + 1}", "candidate": "B0", "captions": [text, "is brighter"]}
            for number, text in enumerate(TEXTS if category == "shirt" else TEXTS[:1])
        ]
        write(root / f"captions/cap.{category}.val.json", json.dumps(entries, indent=4).encode())
        write(root / f"image_splits/split.{category}.val.json", json.dumps([f"B{one}" for one in range(6)]).encode())
    for number in range(6):
        write(root / f"images/B{number}.png", picture(number))


def circo(root):
    entries = [
        {
            "id": number,
            "reference_img_id": 100,
            "target_img_id": 101 + number,
            "gt_img_ids": [101 + number, *([107] if number == 0 else [])],
            "relative_caption": text,
            "shared_concept": "a thing",
        }
        for number, text in enumerate(TEXTS)
    ]
    write(root / "annotations/val.json", json.dumps(entries).encode())
    for number in range(8):
        write(root / f"images/unlabeled2017/{100 + number:012d}.jpg", picture(number))


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def settings(path, server, **more):
    verify = {
        "backend": "openai",
        "model": "m",
        "base_url": server.url,
        "attempts": 1,
        "timeout": 10,
        "image_side": SIDE,
    }
    file = path / "settings.yaml"
    file.write_text(json.dumps({"verify_triplets": verify | more}))
    return file


def refine(name, root, config, output=None, **more):
    output = output or root / "refined"
    refine_command(name, annotations=root, images=root / "images", output=output, config=config, **more)
    return output, json.loads((output / CHANGES).read_text())


def test_cirr_is_refined_and_nothing_is_asked_twice(chat_server, tmp_path):
    cirr(tmp_path)
    eyes = Eyes()
    server = chat_server(eyes)
    config = settings(tmp_path, server)
    output, changes = refine("cirr", tmp_path, config)
    before = json.loads((tmp_path / "captions/cap.rc2.val.json").read_text())
    after = json.loads((output / "captions/cap.rc2.val.json").read_text())
    # The first passes; two are written anew, of which only the fine text leads there; the last is dropped.
    fine = [ANEW[2].format(number) for number in (2, 3)]
    assert [one["caption"] for one in after] == ["show 1", *fine]
    assert [{**one, "caption": ""} for one in after] == [{**one, "caption": ""} for one in before[:3]]
    assert changes["summary"] == {"samples": 4, "dropped": 1, "passed": 1, "rewritten": 2, "rewritten fine": 2}
    second, third, last = changes["changes"]
    assert (second["id"], second["old"], second["new"], second["length"]) == ("11", "wrong 2", fine[0], "fine")
    assert (second["verdict"], second["dropped"], third["verdict"]) == ("fail", False, "ambiguous")
    assert third["votes"] == [-1, -1, -1]
    assert [one["verdict"] for one in second["tried"]] == ["fail", "fail", "pass"]
    assert (last["id"], last["new"], last["dropped"], len(last["tried"])) == ("13", None, True, 2)
    # Judged among the four others of its set.
    assert {others for _, target, _, others in eyes.judged if target == 1} == {frozenset({2, 3, 4, 5})}
    assert {(query, len(others)) for query, _, _, others in eyes.judged} == {(0, 4)}
    # What was written is a benchmark again.
    task = benchmark("cirr").load(output, "hard", "val", None)
    assert len(task.parts[0].queries) == 3
    asked = sum(server.asked.values())
    assert asked == 4 * 3 + 3 + 2 * 3 * 3 + 2 * 3
    files = {path: path.read_bytes() for path in output.rglob("*.json")}
    _, again = refine("cirr", tmp_path, config)
    assert sum(server.asked.values()) == asked
    assert again == changes
    assert {path: path.read_bytes() for path in output.rglob("*.json")} == files


def test_what_is_ambiguous_may_be_kept_and_samples_be_few(chat_server, tmp_path):
    cirr(tmp_path)
    server = chat_server(Eyes())
    config = settings(tmp_path, server, ambiguous="keep")
    _, changes = refine("cirr", tmp_path, config)
    assert changes["summary"]["ambiguous"] == 1
    kept = next(one for one in changes["changes"] if one["outcome"] == "ambiguous")
    assert (kept["old"], kept["new"], kept["dropped"]) == ("many 3", "many 3", False)
    output, changes = refine("cirr", tmp_path, config, output=tmp_path / "few", limit=1)
    assert changes["summary"] == {"samples": 1, "passed": 1}
    assert len(json.loads((output / "captions/cap.rc2.val.json").read_text())) == 1


def test_fashioniq_is_told_from_what_looks_alike(chat_server, tmp_path):
    fashioniq(tmp_path)
    eyes = Eyes()
    output, changes = refine("fashioniq", tmp_path, settings(tmp_path, chat_server(eyes)))
    shirt = json.loads((output / "captions/cap.shirt.val.json").read_text())
    assert shirt[0]["captions"] == ["show 1", "is brighter"]
    assert [one["captions"] for one in shirt[1:]] == [[ANEW[2].format(number)] * 2 for number in (2, 3)]
    assert (output / "captions/cap.shirt.val.json").read_text().startswith("[\n    {")
    # Two categories name two images each: too few to judge among.
    by_id = {one["id"]: one for one in changes["changes"]}
    assert {name: one["outcome"] for name, one in by_id.items()} == {
        "dress/0": "unchecked",
        "shirt/1": "rewritten",
        "shirt/2": "rewritten",
        "shirt/3": "dropped",
        "toptee/0": "unchecked",
    }
    assert by_id["shirt/1"]["old"] == "wrong 2 and is brighter"
    # The three most similar of those that the category's file names.
    assert {others for _, target, text, others in eyes.judged if target == 1} == {frozenset({2, 3, 4})}
    assert changes["summary"]["unchecked"] == 2
    assert len(benchmark("fashioniq").load(output, "original", "val", None).parts) == 3


def test_circo_never_sets_another_right_image_beside_the_target(chat_server, tmp_path):
    circo(tmp_path)
    eyes = Eyes()
    output, _ = refine("circo", tmp_path, settings(tmp_path, chat_server(eyes)))
    after = json.loads((output / "annotations/val.json").read_text())
    assert [one["relative_caption"] for one in after] == ["show 1", *(ANEW[2].format(number) for number in (2, 3))]
    assert [one["id"] for one in after] == [0, 1, 2]
    assert all(7 not in others for _, target, _, others in eyes.judged if target == 1)
    assert any(7 in others for _, target, _, others in eyes.judged if target != 1)


def test_failed_requests_leave_samples_as_they_are(chat_server, tmp_path):
    cirr(tmp_path)
    eyes = Eyes()
    eyes.broken = True
    server = chat_server(eyes)
    config = settings(tmp_path, server)
    with pytest.raises(RunFailedError, match="4 of 4"):
        refine("cirr", tmp_path, config)
    changes = json.loads((tmp_path / "refined" / CHANGES).read_text())
    assert changes["summary"] == {"samples": 4, "failed": 4}
    assert changes["changes"][0]["error"] == "http_500"
    eyes.broken = False
    assert refine("cirr", tmp_path, config)[1]["summary"]["rewritten"] == 2


def test_mistakes_are_told_before_anything_is_asked(chat_server, tmp_path):
    cirr(tmp_path)
    server = chat_server(Eyes())
    config = settings(tmp_path, server)
    (tmp_path / "images/dev/dev-5.png").unlink()
    with pytest.raises(ConfigurationError, match=r"lacks 1 of 6 images, dev/dev-5.png"):
        refine("cirr", tmp_path, config)
    with pytest.raises(ConfigurationError, match="there is no refining of 'dtin'"):
        refine("dtin", tmp_path, config)
    with pytest.raises(ConfigurationError, match="--split 'test1'"):
        refine("cirr", tmp_path, config, split="test1")
    with pytest.raises(ConfigurationError, match="name another one"):
        refine("cirr", tmp_path, config, output=tmp_path)
    with pytest.raises(ConfigurationError, match="put verify_image"):
        refine("cirr", tmp_path, settings(tmp_path, server, chain=["verify_text"]))
    assert not server.asked


def test_settings_of_verification_as_refining_takes_them():
    assert refining_config(VerifyConfig(backend="openai")).chain == CHAIN
    assert refining_config(VerifyConfig(backend="openai")).ambiguous == "drop"
    asked = VerifyConfig(chain=("verify_image",), ambiguous="keep", backend="transformers")
    assert refining_config(asked) == asked
    with pytest.raises(ConfigurationError, match="verify_image has the backend xllamacpp"):
        refining_config(VerifyConfig())
    blind = VerifyConfig(backend="openai", tasks={"rewrite": {"backend": "xllamacpp"}})
    with pytest.raises(ConfigurationError, match="rewrite has the backend xllamacpp"):
        refining_config(blind)


@pytest.mark.parametrize(("name", "folder"), [("cirr", "cirr"), ("fashioniq", "fashioniq")])
def test_real_annotations_are_read(name, folder, corpora):
    found = read_samples(name, corpora.parent / "annotations" / folder, "val")
    assert len(found.samples) == {"cirr": 4181, "fashioniq": 6016}[name]
    assert all(one.target not in (one.query, *(one.distractors or ())) for one in found.samples)
    if name == "cirr":
        assert {len(one.distractors) for one in found.samples} == {4}
    assert len(found.beside) == (1 if name == "cirr" else 3)
