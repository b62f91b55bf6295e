import numpy as np
from angle_pages import at, images, triplet

from schemas.outcomes import CollectedOutcomes
from synthesis.verification.captions import write_captions

EDGES = (0.15, 0.5, 0.9)


class Named:
    """A text model that knows some texts by heart."""

    name, revision, dimension = "named", "1", 2

    def encode(self, texts):
        angles = {"at 0": 0, "at 10": 10, "a bridge": 50, "a photo of bridge": 0}
        return np.stack([at(angles[text]) for text in texts])


def written(*captions):
    return [{"text": text, "method": "caption", "model": "m", "prompt": "caption@1"} for text in captions]


def captions(project=None, **columns):
    outcomes = CollectedOutcomes()
    page = images(looks={"q": 50, "t": 0, "a": 0, "b": 0, "c": 0})
    rows = [
        triplet("x") | columns,
        triplet("y", query="t", target="q") | {"query_text": "at 10", "target_text": "at 0"},
    ]
    write_captions(rows, {"q": written("a bridge")}, page, Named(), project, EDGES, outcomes)
    return outcomes.rows("captions")


def test_page_texts_and_written_captions_once_each():
    rows = captions(query_label="bridge")
    assert [(row["image_id"], row["kind"], row["text"], row["method"]) for row in rows if row["kind"] == "written"] == [
        ("q", "written", "a bridge", "caption")
    ]
    assert [(row["image_id"], row["text"]) for row in rows if row["kind"] == "page"] == [("q", "at 0"), ("t", "at 10")]
    # By the label: cos 0° and cos 50°; nothing is known of the target.
    assert [(row["alignment"], row["alignment_level"]) for row in rows] == [(1.0, 3), (0.6428, 2), (None, None)]


def test_in_one_space_texts_are_held_against_sketches():
    rows = captions(lambda vectors: np.round(100 * vectors).astype(np.int8))
    found = {(row["image_id"], row["text"]): row["alignment"] for row in rows}
    # q looks like 50°, t like 0°.
    assert abs(found["q", "at 0"] - np.cos(np.radians(50))) < 0.01
    assert found["q", "a bridge"] == 1.0
    assert abs(found["t", "at 10"] - np.cos(np.radians(10))) < 0.01


def test_images_of_which_nothing_is_written_have_no_rows():
    outcomes = CollectedOutcomes()
    bare = triplet("x") | {"query_text": None, "target_text": None}
    for project in (None, lambda vectors: vectors):
        write_captions([bare], {}, images(), Named(), project, EDGES, outcomes)
    assert outcomes.rows("captions") == []
