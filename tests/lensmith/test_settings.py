import pytest

from lensmith.settings import Settings, load_settings, presets
from schemas.errors import ConfigurationError
from schemas.settings import deciding_fields, settings_digest


def test_presets_load_and_every_field_is_explained():
    assert {"local", "hub", "server"} <= set(presets())
    for name in presets():
        load_settings(name)

    def fields(model):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name} has no description"
            if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields"):
                fields(field.annotation)

    fields(Settings)


def test_files_override_presets_key_by_key(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("mine_pairs:\n  co_occurrence: {pairs_per_page: 3}\n")
    settings = load_settings("local", file)
    assert settings.mine_pairs.co_occurrence.pairs_per_page == 3
    assert settings.mine_pairs.co_occurrence.pairs_per_query == 2


def test_one_opt_out_policy_reaches_every_stage():
    settings = load_settings("local", options={"opt_out": "keep"})
    assert {settings.extract_pages.opt_out, settings.fetch_images.opt_out, settings.mine_pairs.opt_out} == {"keep"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mine_pairs: {min_sides: 3}", ["min_sides", "min_side"]),
        ("mining: {}", ["'mining'", "mine_pairs"]),
        ("mine_pairs: {min_side: -3}", ["mine_pairs.min_side", "-3"]),
        ("mine_pairs: [", ["no YAML"]),
        ("- a\n- b", ["mapping"]),
    ],
)
def test_mistakes_are_named_with_their_mend(tmp_path, text, words):
    file = tmp_path / "own.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings("local", file)
    assert all(word in str(caught.value) for word in words)


def test_a_missing_file_and_an_unknown_preset(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot read"):
        load_settings("local", tmp_path / "none.yaml")
    with pytest.raises(ConfigurationError, match="choose one of"):
        load_settings("cloud")


def test_operational_fields_change_no_digest():
    plain = load_settings("local")
    threads = load_settings("local", options={"annotate_images": {"threads": 4}, "fetch_images": {"threads": 3}})
    batch = load_settings("local", options={"mine_pairs": {"min_side": 50}})
    assert settings_digest(plain) == settings_digest(threads)
    assert settings_digest(plain) != settings_digest(batch)
    assert "threads" not in deciding_fields(plain)["annotate_images"]
