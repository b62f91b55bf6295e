"""A chat endpoint for the tests of synthesis."""

import importlib.util
import sys
from pathlib import Path

import pytest


def _module():
    if "lensmith_chat_server" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "lensmith_chat_server", Path(__file__).with_name("chat_server.py")
        )
        sys.modules["lensmith_chat_server"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["lensmith_chat_server"])
    return sys.modules["lensmith_chat_server"]


@pytest.fixture
def chat_server():
    """`ChatServer`, closed at the end of the test."""
    opened = []

    def make(*arguments, **more):
        opened.append(_module().ChatServer(*arguments, **more))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
