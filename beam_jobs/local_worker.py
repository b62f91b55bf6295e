"""A worker process of Beam's local runner: its SDK harness, which ends with the run that started it."""

from __future__ import annotations

import logging
import os
import sys

from beam_jobs.process_life import die_with_parent
from beam_jobs.quiet import told_once

#: Names the process that a worker must not outlive.
PARENT_VARIABLE = "LENSMITH_WORKER_PARENT"


def command() -> str:
    """The shell command of a worker; `exec` leaves no shell between it and its parent."""
    return f"exec {sys.executable} -m beam_jobs.local_worker"


def main() -> None:
    """Serve the run that started this process."""
    die_with_parent(int(os.environ[PARENT_VARIABLE]))
    # Beam's own records go to the runner; with a handler there, none of its is added.
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.addFilter(lambda record: not record.name.startswith("apache_beam"))
    logging.getLogger().addHandler(handler)
    from apache_beam.runners.worker.sdk_worker_main import main as serve

    with told_once():
        serve(sys.argv)


if __name__ == "__main__":
    main()
