"""Functions that a supervised child runs in the tests."""

from __future__ import annotations

import os
import signal
import time


def add(one, other, *, mark, quarantine):
    return one + other


def fail(*, mark, quarantine):
    raise ValueError("a fault of the function")


def crash_on(names, *, mark, quarantine):
    done = []
    for name in names:
        if name in quarantine:
            done.append((name, quarantine[name]))
            continue
        mark(name)
        if name == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if name == "hang":
            time.sleep(60)
        done.append((name, "ok"))
    return done


def print_and_answer(*, mark, quarantine):
    print("noise on standard output")
    os.write(1, b"more noise\n")
    return "answer"


def die_without_a_mark(*, mark, quarantine):
    os.kill(os.getpid(), signal.SIGKILL)


def die_whatever_is_said(*, mark, quarantine):
    mark("record")
    os.kill(os.getpid(), signal.SIGKILL)
