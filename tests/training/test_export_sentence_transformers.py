"""A model as sentence-transformers loads it says what it says here."""

import importlib.util
import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_pictures import COLOURS, SHAPES, drawn
from PIL import Image

from schemas.errors import ConfigurationError
from training.config import train_config
from training.data.image_store import GivenImages
from training.data.sources import Sources
from training.embedding import embed
from training.items import Item
from training.models.make import from_pretrained, make_retriever, read_description, save_pretrained

pytest.importorskip("sentence_transformers")

_PATH = Path(__file__).parent / "models" / "tiny_language_models.py"
_SPEC = importlib.util.spec_from_file_location("tiny_language_models", _PATH)
tiny = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(tiny)

FILES = [drawn(shape, colour) for shape, colour in zip(SHAPES, COLOURS, strict=True)]
ITEMS = [
    Item(0, "the same in red"),
    Item(1),
    Item(2, "a much longer text about blue and green rings"),
    Item(None, "red"),
]


def settings(kind, tiny_clip, folder):
    if kind == "llm":
        lm = {"language_model": str(tiny.llama(folder / "lm")), "lora": {"rank": 4}, "keep_towers": "folders"}
        return {"kind": "llm", "image_tower": str(tiny_clip), "width": 24} | lm
    more = {"layers": 1, "heads": 4} if kind == "fusion" else {}
    return {"kind": kind, "image_tower": str(tiny_clip), "text_tower": None, "width": 24} | more


def given(item, form):
    image = None if item.image is None else FILES[item.image]
    if image is not None:
        image = form(image)
    return {name: one for name, one in (("image", image), ("text", item.text)) if one}


@pytest.mark.parametrize("kind", ["fusion", "sum", "llm"])
def test_encode_gives_the_embeddings_of_the_model(kind, tiny_clip, tmp_path):
    from sentence_transformers import SentenceTransformer

    from training.export_sentence_transformers import export_sentence_transformers

    torch.manual_seed(0)
    model = make_retriever(train_config({"model": settings(kind, tiny_clip, tmp_path)}).model)
    save_pretrained(model, tmp_path / "model", {"dataset": "abc"})
    (tmp_path / "model" / "README.md").write_text("# The card\n")
    export_sentence_transformers(tmp_path / "model", tmp_path / "exported")
    # No code lies in the folder, and it is a model of Lensmith still.
    assert not list((tmp_path / "exported").rglob("*.py"))
    assert read_description(tmp_path / "exported")["dataset"] == "abc"
    assert (tmp_path / "exported" / "README.md").read_text() == "# The card\n"
    expected = embed(model, ITEMS, Sources(GivenImages(FILES, [""] * len(FILES))))
    assert np.allclose(
        embed(from_pretrained(tmp_path / "exported"), ITEMS, Sources(GivenImages(FILES, [""] * len(FILES)))), expected
    )
    loaded = SentenceTransformer(str(tmp_path / "exported"), trust_remote_code=True, device="cpu")
    assert loaded.get_embedding_dimension() == 24

    def file(data):
        path = tmp_path / f"{FILES.index(data)}.png"
        path.write_bytes(data)
        return str(path)

    for form in (lambda data: Image.open(io.BytesIO(data)), file):
        found = loaded.encode([given(item, form) for item in ITEMS], batch_size=3)
        assert found.dtype == np.float32
        assert np.allclose(found, expected, atol=1e-5)
    # A picture alone, and a text alone.
    assert np.allclose(loaded.encode([Image.open(io.BytesIO(FILES[1]))]), expected[1:2], atol=1e-5)
    assert np.allclose(loaded.encode(["red"]), expected[3:], atol=1e-5)
    assert loaded.similarity(found, found).diagonal().allclose(torch.ones(4), atol=1e-5)


def test_transparent_and_grey_pictures_are_seen_over_white(tiny_clip, tmp_path):
    from training.sentence_transformers_module import RetrieverModule

    model = make_retriever(train_config({"model": settings("sum", tiny_clip, tmp_path)}).model).eval()
    module = RetrieverModule(model)
    clear = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    white, grey = Image.new("RGB", (40, 40), (255, 255, 255)), Image.new("L", (40, 40), 90)
    with torch.no_grad():
        found = module(module.preprocess([clear, white, {"image": grey}]))["sentence_embedding"]
    assert torch.allclose(found[0], found[1], atol=1e-6)
    assert not torch.allclose(found[0], found[2], atol=1e-3)
    for wrong in ({}, {"text": ""}, {"image": 7}):
        with pytest.raises(ValueError, match=r"neither image nor text|an image is a picture"):
            module.preprocess([wrong])
    prompted, plain = (module.preprocess([text], prompt=one) for text, one in (("red", "a "), ("a red", None)))
    with torch.no_grad():
        assert torch.equal(module(prompted)["sentence_embedding"], module(plain)["sentence_embedding"])


def test_the_command(tiny_clip, tmp_path):
    from typer.testing import CliRunner

    from lensmith.cli import app

    model = make_retriever(train_config({"model": settings("sum", tiny_clip, tmp_path)}).model)
    save_pretrained(model, tmp_path / "model")
    given = ["export-model", str(tmp_path / "model"), "--output", str(tmp_path / "exported")]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    assert "trust_remote_code=True" in done.output
    again = CliRunner().invoke(app, given)
    assert isinstance(again.exception, ConfigurationError)
    assert "is not empty: give --output a new folder" in str(again.exception)
    missing = CliRunner().invoke(app, ["export-model", str(tmp_path), "--output", str(tmp_path / "other")])
    assert "no model of Lensmith" in str(missing.exception)
    assert sys.modules["training.sentence_transformers_module"].RetrieverModule.__module__.startswith("training.")
