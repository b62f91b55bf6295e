"""Run as a program: does `lensmith` commands, each in a process of its own that can be killed, with everything imported
once. A line of standard input is {"arguments": […], "said": FILE, "memory": MORE_BYTES or null, "without": […]};
answers are the process's id, then its end."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Commands:
    """The program's other side."""

    def __init__(self, folder: Path) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": str(ROOT)}
        environment |= {"HF_HUB_OFFLINE": "1"}
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            cwd=ROOT,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._said = folder / "said.txt"

    def run(
        self,
        *arguments: object,
        until: Callable[[float], bool] | None = None,
        memory: int | None = None,
        without: tuple[str, ...] = (),
    ) -> tuple[int, str]:
        """Exit status (-9 killed) and what was said. The process is killed once `until`, asked with the seconds since
        its start, is true; it gets no more than `memory` bytes beyond what imports took, and has no packages
        `without`."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._said.write_bytes(b"")
        asked = {"arguments": [*map(str, arguments)], "said": str(self._said), "memory": memory, "without": without}
        self._server.stdin.write(json.dumps(asked) + "\n")
        self._server.stdin.flush()
        pid, began = int(self._server.stdout.readline()), time.monotonic()
        os.set_blocking(self._server.stdout.fileno(), False)
        status = ""
        # A pipe that is read without waiting may give a line in two pieces.
        while not status.endswith("\n"):
            if until is not None and until(time.monotonic() - began):
                os.kill(pid, signal.SIGKILL)
                until = None
            time.sleep(0.001)
            status += self._server.stdout.readline()
        os.set_blocking(self._server.stdout.fileno(), True)
        return int(status), self._said.read_text()

    def close(self) -> None:
        """End the program."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()


def serve() -> None:
    """Fork for every command."""
    from lensmith.cli import main
    from lensmith.training_models import surroundings  # noqa: F401 - imported before the forks
    from training.run import train  # noqa: F401

    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            sink = os.open(asked["said"], os.O_WRONLY | os.O_APPEND)
            os.dup2(sink, 1)
            os.dup2(sink, 2)
            os.close(0)
            if asked["memory"] is not None:
                pages = int(Path("/proc/self/statm").read_text().split()[0])
                most = pages * os.sysconf("SC_PAGE_SIZE") + asked["memory"]
                resource.setrlimit(resource.RLIMIT_AS, (most, most))
            sys.modules |= dict.fromkeys(asked["without"])
            sys.argv = ["lensmith", *asked["arguments"]]
            main()
            sys.exit(0)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
