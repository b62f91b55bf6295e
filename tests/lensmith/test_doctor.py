import shutil
import sys
from collections import namedtuple

import pytest

from lensmith import cli
from lensmith.doctor import check
from lensmith.settings import load_settings


def mends(preset="local", **options):
    return {one.name.split()[0]: one.mend for one in check(load_settings(preset, options=options)) if not one.ok}


def test_a_whole_installation_misses_nothing(capsys, monkeypatch):
    assert mends() == {}
    monkeypatch.setattr(sys, "argv", ["lensmith", "doctor"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 0
    shown = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok ") for line in shown)
    assert any("img2dataset" in line for line in shown)


def test_what_is_missing_is_named_with_its_line_and_the_status_is_1(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "img2dataset", None)
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    assert mends() == {
        "img2dataset": "uv pip install 'lensmith[fetch]'",
        "efficientnet-lite-pytorch": "uv pip install --no-deps 'efficientnet-lite-pytorch==0.1.0'",
    }
    monkeypatch.setattr(sys, "argv", ["lensmith", "doctor"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 1
    said = capsys.readouterr()
    assert "MISSING  img2dataset: uv pip install 'lensmith[fetch]'" in said.out
    assert "Traceback" not in said.err


def test_a_preset_is_looked_at_with_its_own_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    assert set(mends()) == {"xllamacpp"}
    assert set(mends("server")) == set()
    assert set(mends("server", write_instructions={"base_url": None})) == {"address"}


def test_a_full_disk_is_noticed(monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 9, 1))
    found = [one for one in check(load_settings("local")) if not one.ok]
    assert len(found) == 2
    assert all("free at least a gigabyte below /" in one.mend for one in found)
