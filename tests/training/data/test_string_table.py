"""Strings and ids in mapped files: hashes that meet, strings of every kind, and what is left on the disk."""

from __future__ import annotations

import pytest

from schemas.errors import ConfigurationError
from training.data import hash_index, string_table
from training.data.hash_index import HashIndex
from training.data.string_table import StringTable, hash_of, write_strings


def test_texts_with_line_ends_quotes_and_nothing_come_back(tmp_path):
    hard = ["", "a\nb", "a\r\nb", '"', "\\n", "\u2028", "\x00", "日本", "👍🏽", " a ", "a"]
    write_strings(tmp_path, hard)
    found = StringTable(tmp_path)
    assert sorted(found) == sorted(hard)
    assert [found[int(one)] for one in found.numbers(hard)] == hard
    with pytest.raises(IndexError):
        found[len(hard)]
    assert {one.name for one in tmp_path.iterdir()} == {"hashes.bin", "ends.bin", "strings.bin"}


def test_two_strings_of_one_hash_end_with_a_sentence(tmp_path, monkeypatch):
    """Hashes of 6 bits in place of 64: of 200 strings two have one."""
    monkeypatch.setattr(string_table, "hash_of", lambda name: (hash_of(name) >> 58) << 58)
    with pytest.raises(ConfigurationError, match="have one hash"):
        write_strings(tmp_path, [f"text {number}" for number in range(200)])


@pytest.mark.parametrize("held", [7, 1000])
def test_an_index_that_is_sorted_in_parts_finds_an_id_that_stands_twice(tmp_path, monkeypatch, held):
    monkeypatch.setattr(hash_index, "_HELD", held)
    names = [f"image-{number}" for number in range(40)]
    with pytest.raises(ConfigurationError, match="two images of the dataset have one id"):
        HashIndex.write(tmp_path, iter([*names, "image-3"]))
    (other := tmp_path / "other").mkdir()
    HashIndex.write(other, iter(names))
    assert {one.name for one in other.iterdir()} == {"hashes.bin", "numbers.bin"}
