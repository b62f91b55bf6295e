"""A chat endpoint and a scripted writer for the tests of synthesis."""

import importlib.util
import sys
from pathlib import Path

import pytest


def _module(name):
    """A module beside this file: tests have no package, and workers of Beam must find what they unpickle."""
    known = f"lensmith_{name}"
    if known not in sys.modules:
        spec = importlib.util.spec_from_file_location(known, Path(__file__).with_name(f"{name}.py"))
        sys.modules[known] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[known])
    return sys.modules[known]


@pytest.fixture
def chat_server():
    """`ChatServer`, closed at the end of the test."""
    opened = []

    def make(*arguments, **more):
        opened.append(_module("chat_server").ChatServer(*arguments, **more))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture(scope="session")
def scripted_writer():
    """`ScriptedWriter`."""
    return _module("scripted_writer").ScriptedWriter


@pytest.fixture(scope="session")
def fault_proxy():
    """The module `fault_proxy.py`."""
    return _module("fault_proxy")


@pytest.fixture(scope="session")
def asking_script():
    """The module `asking_script.py`."""
    return _module("asking_script")
