from dataclasses import dataclass

import numpy as np
import pytest

from mining.scores.alignment import TextedImage, alignments, cosine, share_a_space, shown


@dataclass
class Tower:
    """What `share_a_space` reads of a model."""

    name: str
    revision: str
    dimension: int


def test_only_towers_of_one_checkpoint_share_a_space():
    clip = Tower("clip", "1", 512)
    assert share_a_space(clip, Tower("clip", "1", 512))
    for other in (Tower("clip", "2", 512), Tower("minilm", "1", 512), Tower("clip", "1", 384)):
        assert not share_a_space(clip, other)


def test_what_an_image_shows_is_its_caption_or_a_sure_label():
    assert shown(TextedImage(caption=" a cat ", label="tabby", label_score=0.9), 0.3) == "a cat"
    assert shown(TextedImage(label="tabby, tabby cat", label_score=0.3), 0.3) == "tabby"
    assert shown(TextedImage(label="sea_lion", label_score=0.5), 0.3) == "sea lion"
    assert shown(TextedImage(label="tabby", label_score=0.29), 0.3) is None
    assert shown(TextedImage(label="tabby"), 0.3) is None
    assert shown(TextedImage(caption="  "), 0.3) is None


def test_cosines_are_rounded_and_bounded():
    one = np.array([1.0, 0.0], np.float32)
    assert cosine(one, one * 7) == 1.0
    assert cosine(one, np.array([1.0, 2.0], np.float32)) == 0.4472
    assert cosine(one, np.zeros(2, np.float32)) is None
    assert cosine(one, np.array([np.nan, 1.0], np.float32)) is None
    assert cosine(np.array([1.0], np.float16), np.array([-3.0], np.float16)) == -1.0
    assert cosine(one, None) is None
    with pytest.raises(ValueError, match="no common space"):
        cosine(one, np.ones(3, np.float32))


def test_vectors_of_one_space_are_compared_as_they_are(minilm):
    one = np.array([1.0, 0.0], np.float32)
    images = [TextedImage("a", features=one, embedding=one), TextedImage("a", embedding=one), TextedImage(features=one)]
    assert alignments(images, minilm, joint=True) == [1.0, None, None]


def test_without_a_joint_space_texts_are_compared(minilm):
    text = "a small cat asleep on a sofa"
    vector = minilm.encode([text])[0]
    images = [
        TextedImage(text, "tabby, tabby cat", 0.9),
        TextedImage(text, "tabby, tabby cat", 0.9, embedding=vector),
        TextedImage(text, "steam locomotive", 0.9),
        TextedImage(text, "tabby", 0.1),
        TextedImage(None, "tabby", 0.9),
        TextedImage(text, caption=text),
    ]
    found = alignments(images, minilm, joint=False)
    assert found[3] is None
    assert found[4] is None
    assert found[0] == found[1]
    assert found[0] > found[2] + 0.15
    assert found[5] == 1.0
    assert alignments([], minilm, joint=False) == []


@pytest.fixture(scope="module")
def minilm():
    from mining.models.minilm import MiniLM

    return MiniLM(1)
