import json

import pytest

from mining.decontamination.benchmark_texts import UnreadableTextsError, sentences

ONE, OTHER = "is a lighter shade of blue", "has longer sleeves, and a collar"


def test_json_is_read_to_its_leaves_whatever_the_keys_are():
    data = [{"captions": [ONE, OTHER], "a key of some words": 3, "id": "B001-X", "path": "dev/1.png", "no": None}]
    assert list(sentences("cap.dev.json", json.dumps(data).encode())) == [ONE, OTHER]


def test_lines_cells_and_json_lines_are_read():
    assert list(sentences("a.txt", f"{ONE}\nshort\n  {OTHER} \r\n".encode())) == [ONE, OTHER]
    assert list(sentences("a.csv", f'id,text\n1,"{OTHER}"\n2,{ONE}\n'.encode("utf-8-sig"))) == [OTHER, ONE]
    assert list(sentences("a.tsv", f"1\t{OTHER}\n".encode())) == [OTHER]
    assert list(sentences("A.JSONL", f'"{ONE}"\n\n{{"x": "{OTHER}"}}\n'.encode())) == [ONE, OTHER]


def test_sentences_of_scripts_without_blanks_are_sentences():
    assert list(sentences("a.json", json.dumps({"文": "把狗换成一只猫", "数": "12 34 56"}).encode())) == [
        "把狗换成一只猫"
    ]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.txt", b"\xff\xfe\x00", "not_utf8"),
        ("a.json", b'{"a": ', "not_json"),
        ("a.json", b"[" * 200_000, "not_json"),
        ("a.csv", b'"' + b"a b c " * 30_000 + b'"', "not_csv"),
    ],
)
def test_files_that_cannot_be_read_say_why(name, data, reason):
    with pytest.raises(UnreadableTextsError) as caught:
        list(sentences(name, data))
    assert caught.value.reason == reason


def test_what_stands_before_a_broken_line_is_read():
    texts = sentences("a.jsonl", f'"{ONE}"\n{{'.encode())
    assert next(texts) == ONE
    with pytest.raises(UnreadableTextsError):
        next(texts)
