"""What Beam's `--setup_file` sends to workers: the packages with their data, and nothing else."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Files and folders of the repository from which a distribution is built.
_SOURCES = (
    "setup.py",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "beam_jobs",
    "evaluation",
    "lensmith",
    "mining",
    "publishing",
    "schemas",
    "synthesis",
    "training",
    "tests",
    "benchmarks",
    "docs",
    "examples",
)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The source distribution that `python setup.py sdist` makes, as Beam's stager calls it, of a copy of the tree."""
    tree = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in _SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=ignored)
        elif source.exists():
            shutil.copy(source, tree / name)
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "setup.py", "-q", "sdist", "--dist-dir", str(out)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(out.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def members(sdist):
    with tarfile.open(sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def test_prompts_presets_templates_and_requirements_are_packed(members):
    for folder, ending in (
        ("synthesis/prompts", ".yaml"),
        ("synthesis/prompts", ".jinja"),
        ("lensmith/presets", ".yaml"),
        ("publishing/templates", ".jinja2"),
        ("publishing/report/templates", ".jinja2"),
    ):
        wanted = {f"{folder}/{path.name}" for path in (ROOT / folder).iterdir() if path.suffix == ending}
        assert wanted
        assert wanted <= members
    assert "lensmith/no_deps.txt" in members


def test_every_module_and_every_data_file_of_our_packages_is_packed(members):
    packages = {name.partition("/")[0] for name in members if name.endswith("/__init__.py")}
    assert {
        "beam_jobs",
        "lensmith",
        "mining",
        "schemas",
        "synthesis",
        "publishing",
        "training",
        "evaluation",
    } <= packages
    for package in packages:
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert str(path.relative_to(ROOT)) in members


def test_tests_benchmarks_examples_and_docs_are_not(members):
    folders = {name.partition("/")[0] for name in members}
    assert not folders & {"tests", "benchmarks", "examples", "docs"}


def test_it_installs_into_a_fresh_environment_and_finds_its_data_there(sdist, tmp_path):
    fresh = tmp_path / "fresh"
    subprocess.run([sys.executable, "-m", "venv", str(fresh)], check=True)
    # Its dependencies, and what builds it, are lent by the environment of the tests: nothing is fetched.
    packages = next((fresh / "lib").glob("python*/site-packages"))
    (packages / "lent.pth").write_text(sysconfig.get_paths()["purelib"])
    for old in packages.glob("setuptools*"):
        shutil.rmtree(old)
    lent = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    lent["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    command = [fresh / "bin" / "python", "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", sdist]
    built = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=tmp_path, env=lent)
    assert built.returncode == 0, built.stderr
    installed = {path.name for path in packages.iterdir()}
    assert installed & {"tests", "benchmarks", "examples", "docs"} == set()
    shown = subprocess.run(
        [str(fresh / "bin" / "lensmith"), "config", "--preset", "server"], capture_output=True, text=True, env=lent
    )
    assert "backend: openai" in shown.stdout, shown.stderr
    code = (
        "import lensmith, synthesis.prompt_files as r, lensmith.requirements as q;"
        "r.load_prompt('instruction_magiclens'); print(lensmith.__file__, len(q.no_deps_lines()))"
    )
    done = subprocess.run(
        [str(fresh / "bin" / "python"), "-c", code], capture_output=True, text=True, cwd=tmp_path, env=lent
    )
    assert done.returncode == 0, done.stderr
    place, count = done.stdout.split()
    assert Path(place).is_relative_to(fresh)
    assert int(count) > 0
