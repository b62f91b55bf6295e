"""Pickles from the web: numpy's own of every protocol are read, everything else is refused and never run."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import subprocess

import numpy as np
import pytest

from evaluation.safe_pickle import read_pickle
from schemas.errors import ConfigurationError

TRUTH = {
    "imlist": ["all_souls_000013", "oxford_003410"],
    "qimlist": ["all_souls_000000"],
    "gnd": [
        {
            "bbx": [136.5, 34.1, 648.5, 955.7],
            "easy": np.array([0, 1]),
            "hard": np.zeros(0, np.float64),
            "junk": np.array([[1], [0]], order="F", dtype=">i4"),
            "one": np.int64(1),
            "tuple": (True, None, 1.5),
        }
    ],
}
PLAIN = {
    "imlist": TRUTH["imlist"],
    "qimlist": TRUTH["qimlist"],
    "gnd": [
        {
            "bbx": [136.5, 34.1, 648.5, 955.7],
            "easy": [0, 1],
            "hard": [],
            "junk": [[1], [0]],
            "one": 1,
            "tuple": [True, None, 1.5],
        }
    ],
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_numpy_s_own(tmp_path, protocol):
    path = tmp_path / "gnd.pkl"
    path.write_bytes(pickle.dumps(TRUTH, protocol=protocol))
    assert read_pickle(path) == PLAIN


def test_python_2_s(tmp_path):
    """Protocol 2 as Python 2 wrote it: byte strings where text is meant, and numpy's old module names."""
    data = bytes.fromhex("0100000000000000")

    def short(text: bytes) -> bytes:
        return b"U" + bytes([len(text)]) + text

    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + short(b"b") + b"tR"
        b"(K\x01(K\x01tcnumpy\ndtype\n(" + short(b"i8") + b"K\x00K\x01tR"
        b"(K\x03" + short(b"<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89" + short(data) + b"tb"
    )
    whole = b"\x80\x02}" + short(b"easy") + array + b"s."
    assert [op.name for op, _, _ in pickletools.genops(whole)].count("SHORT_BINSTRING") == 5
    path = tmp_path / "gnd.pkl"
    path.write_bytes(whole)
    assert read_pickle(path) == {"easy": [1]}


class _Reduced:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    "call",
    [
        (os.system, ("touch RAN",)),
        (subprocess.check_output, (["touch", "RAN"],)),
        (eval, ("open('RAN', 'w')",)),
        (getattr, (_Reduced(__import__, ("os",)), "system")),
        (io.open, ("RAN", "w")),
        (np.load, ("RAN",)),
        (np.dtype, ("O",)),
        (np.dtype, ("i4,f8",)),
        (bytearray, (1 << 40,)),
        (bytes, (1 << 40,)),
    ],
)
def test_anything_else_is_refused_and_not_run(tmp_path, monkeypatch, call, protocol):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "gnd.pkl"
    path.write_bytes(pickle.dumps({"imlist": [_Reduced(*call)]}, protocol=protocol))
    with pytest.raises(ConfigurationError, match="no pickle of plain data"):
        read_pickle(path)
    assert [one.name for one in tmp_path.iterdir()] == ["gnd.pkl"]


def test_the_codec_of_bytes_is_only_latin_1(tmp_path):
    path = tmp_path / "gnd.pkl"
    path.write_bytes(b"c_codecs\nencode\n(Vx\nVzip\ntR.")
    with pytest.raises(ConfigurationError, match="codec"):
        read_pickle(path)


def test_arrays_that_lie_about_their_size(tmp_path):
    raw = pickle.dumps(np.arange(3), protocol=2)
    path = tmp_path / "gnd.pkl"
    path.write_bytes(raw.replace(b"K\x03\x85", b"K\x7f\x85"))
    assert path.read_bytes() != raw
    with pytest.raises(ConfigurationError):
        read_pickle(path)


@pytest.mark.parametrize("content", [b"", b"no pickle", b"\x80\x04", b"\x80\x02]r\xff\xff\xff\xff."])
def test_broken_ones(tmp_path, content):
    path = tmp_path / "gnd.pkl"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError):
        read_pickle(path)


def test_every_cut_of_a_good_one_is_refused(tmp_path):
    raw = pickle.dumps(TRUTH, protocol=2)
    path = tmp_path / "gnd.pkl"
    for length in range(0, len(raw) - 1, 7):
        path.write_bytes(raw[:length])
        with pytest.raises(ConfigurationError):
            read_pickle(path)
