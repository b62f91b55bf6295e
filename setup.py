"""What a distribution holds, by name: Beam's `--setup_file` builds a source distribution from it for the workers.

Everything else stands in pyproject.toml.
"""

from setuptools import setup

PACKAGES = [
    "beam_jobs",
    "beam_jobs.corpus",
    "evaluation",
    "evaluation.benchmarks",
    "evaluation.composers",
    "evaluation.probes",
    "evaluation.report",
    "evaluation.rerankers",
    "lensmith",
    "lensmith.presets",
    "mining",
    "mining.archives",
    "mining.decontamination",
    "mining.fetching",
    "mining.miners",
    "mining.models",
    "mining.pages",
    "mining.scores",
    "mining.search",
    "publishing",
    "publishing.exporters",
    "publishing.judging",
    "publishing.report",
    "publishing.selection",
    "schemas",
    "synthesis",
    "synthesis.prompts",
    "synthesis.spans",
    "synthesis.tasks",
    "synthesis.verification",
    "synthesis.writers",
    "training",
    "training.data",
    "training.data.layouts",
    "training.models",
    "training.objectives",
    "training.report",
    "training.study",
    "training.towers",
]

setup(
    packages=PACKAGES,
    package_data={
        "evaluation.report": ["published.json", "templates/*.jinja2"],
        "lensmith": ["no_deps.txt"],
        "lensmith.presets": ["*.yaml"],
        "publishing": [
            "templates/*.jinja2",
            "judging/templates/*.jinja2",
            "report/templates/*.jinja2",
            "selection/templates/*.jinja2",
        ],
        "synthesis": ["people_words.yaml"],
        "synthesis.prompts": ["*.jinja", "*.yaml"],
        "training.report": ["templates/*.jinja2"],
        "training.study": ["templates/*.jinja2"],
    },
)
