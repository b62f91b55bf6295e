"""Processes that end with the one that started them, however that one ended."""

from __future__ import annotations

import os
import threading
import time

_SECONDS = 0.5


def die_with_parent(parent: int) -> None:
    """End this process at once when `parent`, its parent, is gone: nobody would commit what it does.

    A thread looks at the parent's id, since Linux's own death signal follows the thread that forked, not the process.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="lensmith-parent", daemon=True).start()
