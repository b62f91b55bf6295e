import hashlib
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from schemas import ids

_PART = st.one_of(st.text(), st.binary())


@given(st.lists(_PART), st.lists(_PART))
def test_no_two_lists_of_parts_meet(one, other):
    def as_bytes(parts):
        return [part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part for part in parts]

    assert (ids.digest(*one) == ids.digest(*other)) == (as_bytes(one) == as_bytes(other))


def test_the_border_between_parts_counts():
    assert ids.digest("ab", "c") != ids.digest("a", "bc")
    assert ids.digest("", "a") != ids.digest("a", "")


def test_digest_by_hand():
    assert ids.digest("a", b"bc") == hashlib.sha256(b"1\x00a2\x00bc").hexdigest()


def test_an_image_is_named_by_the_digest_of_its_file():
    assert ids.image_id(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_ids_of_kinds_do_not_meet_and_have_32_digits():
    made = {ids.page_id("a", "b"), ids.triplet_id("a", "b"), ids.text_id("ab"), ids.pair_id("a", "b", "")}
    assert len(made) == 4
    assert {len(one) for one in made} == {32}


def test_the_order_of_parameters_does_not_change_a_request_but_everything_else_does():
    base = ids.request_id("p", "1", "m", {"a": 1, "b": 2}, [{"role": "user"}], ["i"])
    assert base == ids.request_id("p", "1", "m", {"b": 2, "a": 1}, [{"role": "user"}], ["i"])
    others = {
        ids.request_id("q", "1", "m", {"a": 1, "b": 2}, [{"role": "user"}], ["i"]),
        ids.request_id("p", "2", "m", {"a": 1, "b": 2}, [{"role": "user"}], ["i"]),
        ids.request_id("p", "1", "n", {"a": 1, "b": 2}, [{"role": "user"}], ["i"]),
        ids.request_id("p", "1", "m", {"a": 1}, [{"role": "user"}], ["i"]),
        ids.request_id("p", "1", "m", {"a": 1, "b": 2}, [{"role": "system"}], ["i"]),
        ids.request_id("p", "1", "m", {"a": 1, "b": 2}, [{"role": "user"}], []),
    }
    assert base not in others
    assert len(others) == 6


def test_ids_do_not_depend_on_the_process():
    code = "from schemas import ids; print(ids.page_id('http://a.example/ä', 'f' * 64))"
    made = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert made == {ids.page_id("http://a.example/ä", "f" * 64)}
