"""Options that are settings."""

import os

import pytest

from lensmith.options import SETTINGS, dropped_options, settings_of
from lensmith.settings import STAGES, load_settings


def test_options_of_answers_become_settings_of_writing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = settings_of(generations=["store", "s3://bucket/store"], max_requests=0, max_cost=2.5)
    written = load_settings("local", options=given).write_instructions
    # Workers may stand in another folder.
    assert written.generations == (os.path.join(os.getcwd(), "store"), "s3://bucket/store")
    assert (written.max_requests, written.max_cost) == (0, 2.5)
    assert settings_of() == {}


def test_options_override_the_file(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("write_instructions: {max_requests: 7, max_cost: 1.0, generations: [/one, /two]}")
    written = load_settings("local", file, settings_of(max_requests=3, generations=["/three"])).write_instructions
    assert (written.max_requests, written.max_cost, written.generations) == (3, 1.0, ("/three",))


@pytest.mark.parametrize("stage", STAGES)
def test_stages_have_the_options_that_mean_something_to_them(stage):
    dropped = set(dropped_options(stage, STAGES[0]))
    asks = stage in ("write_instructions", "verify_triplets")
    assert ({"generations", "max_requests", "max_cost"} & dropped == set()) == asks
    assert ("input" in dropped) == (stage != "extract_pages")
    assert not {"opt_out", "max_failed"} & dropped
    assert set(SETTINGS) >= {"generations", "max_requests", "max_cost"}
