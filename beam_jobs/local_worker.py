"""A worker process of Beam's local runner: its SDK harness, which ends with the run that started it."""

from __future__ import annotations

import os
import sys

from beam_jobs.process_life import die_with_parent

#: Names the process that a worker must not outlive.
PARENT_VARIABLE = "LENSMITH_WORKER_PARENT"


def command() -> str:
    """The shell command of a worker; `exec` leaves no shell between it and its parent."""
    return f"exec {sys.executable} -m beam_jobs.local_worker"


def main() -> None:
    """Serve the run that started this process."""
    die_with_parent(int(os.environ[PARENT_VARIABLE]))
    from apache_beam.runners.worker.sdk_worker_main import main as serve

    serve(sys.argv)


if __name__ == "__main__":
    main()
