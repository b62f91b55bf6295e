import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest


@pytest.fixture(scope="session")
def annotated(tmp_path_factory):
    """The crawl of `wired_crawl` in three shards, read and annotated: to be copied."""
    from wired_crawl import annotated_crawl, site

    return annotated_crawl(tmp_path_factory.mktemp("wired"), site(), 3)


@pytest.fixture
def crawl(annotated, tmp_path):
    """A copy of it."""
    from wired_crawl import copied

    return copied(annotated, tmp_path / "out")
