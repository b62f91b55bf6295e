import pytest

from synthesis.words import content_words, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Show it with Gaussian-blur!", ["show", "it", "with", "gaussian-blur"]),
        ("the camera's lens, 3.5 mm", ["the", "camera's", "lens", "3.5", "mm"]),
        ("snake_case_name", ["snake", "case", "name"]),
        ("夜の橋", ["夜", "の", "橋"]),
        ("हिन्दी शब्द", ["हिन्दी", "शब्द"]),
        ("Cafe\u0301 im Schnee", ["café", "im", "schnee"]),
        ("… — !", []),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


def test_content_leaves_out_function_words_and_folds_plurals():
    assert content_words("Show the same bridges in the snow") == {"bridge", "snow"}
    assert content_words("a glass, this bus, its axis") == {"glass", "bus", "axis"}
    assert content_words("show it with the other image of it") == set()
