"""The page about composers and rerankers runs as it is written."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "composers_and_rerankers.md"


def test_the_blocks_of_the_page_run_in_order(monkeypatch, capsys):
    for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    said = capsys.readouterr().out
    assert "('a collar', True)" in said
    assert "Counter({'connection': 1})" in said
    assert "warning: Rsubset@1 is explained by the text alone" in said
    assert sorted(names["ranking"].tolist()) == list(range(500))
    assert names["bias"].delta > 0
