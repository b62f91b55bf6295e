"""The dataset card: `README.md` with the YAML that the hub and `datasets` read, and the text that people read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import jinja2
import pyarrow as pa
import yaml

from publishing.description import Description
from publishing.selection.about import selection_sentence
from publishing.statistics import DatasetStatistics
from publishing.tombstones import Tombstones
from schemas.published import IMAGE, Configuration

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_MORE_SIZES = ((10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B"))
#: Rows of a table in the card.
_TOP = 12
#: The miner whose pairs stand on one page.
_PAGE_MINER = "co_occurrence"
_BINNED = ("visual_similarity", "text_similarity")


def render_card(description: Description, tombstones: Tombstones | None = None) -> str:
    """The whole card. Nothing in it depends on clock, host or output path."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("publishing"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # The card is Markdown; `cell` and `fence` guard what comes from the web.
        autoescape=False,
    )
    environment.filters |= {
        "cell": _cell,
        "fence": _fence,
        "number": "{:,}".format,
        "megabytes": _megabytes,
        "money": money,
    }
    statistics = description.statistics
    return environment.get_template("card.md.jinja2").render(
        yaml=yaml.safe_dump(card_metadata(description), sort_keys=False, allow_unicode=True, width=120),
        about=description,
        config=description.config,
        facts=description.facts,
        selection=selection_sentence(description.facts),
        funnel=_funnel_rows(description),
        costs=description.funnel.get("costs"),
        splits=[_split_row(description, split) for split in description.splits("ids") if description.triplets],
        columns=[(one, _columns(one)) for one in description.configurations],
        tables=_tables(statistics),
        statistics=statistics,
        # Of a dataset without rows nobody can say more.
        one_page=set(statistics.counts.get("mining", ())) <= {_PAGE_MINER},
        sites=_distinct(statistics, "hosts"),
        pages=_distinct(statistics, "pages"),
        tombstones=tombstones or Tombstones(),
        configuration_yaml=yaml.safe_dump(description.facts.configuration, sort_keys=True, allow_unicode=True),
    )


def card_metadata(description: Description) -> dict[str, Any]:
    """The card's YAML: licence, sizes, configurations with their files, and the features of each."""
    config, languages = description.config, _languages(description.statistics)
    data: dict[str, Any] = {"pretty_name": config.title, "license": config.license}
    if config.license == "other":
        data["license_name"] = config.license_name
        if config.license_link:
            data["license_link"] = config.license_link
    return data | {
        "language": languages,
        "size_categories": [size_category(description.triplets)],
        "task_categories": ["image-feature-extraction", "image-to-image"],
        "tags": ["composed-image-retrieval", "triplets", "web-crawl", "synthetic", "lensmith"],
        "configs": [_config(description, one) for one in description.configurations],
        "dataset_info": [_dataset_info(description, one) for one in description.configurations],
    }


def size_category(rows: int) -> str:
    """The hub's size category of a number of rows."""
    for limit, name in _SIZES + _MORE_SIZES:
        if rows < limit:
            return name
    return "n>1B" if rows < 10**12 else "n>1T"


def _config(description: Description, configuration: Configuration) -> dict[str, Any]:
    files = [
        {"split": split, "path": f"{configuration.folder}/{split}-*.parquet"}
        for split in description.splits(configuration.name)
    ]
    entry: dict[str, Any] = {"config_name": configuration.name, "data_files": files}
    if configuration is description.configurations[0]:
        entry["default"] = True
    return entry


def _dataset_info(description: Description, configuration: Configuration) -> dict[str, Any]:
    files = description.of(configuration.name)
    return {
        "config_name": configuration.name,
        "features": [_feature(field.name, field.type) for field in configuration.schema],
        "splits": [
            {
                "name": split,
                "num_bytes": sum(one.bytes for one in files if one.split == split),
                "num_examples": sum(one.rows for one in files if one.split == split),
            }
            for split in description.splits(configuration.name)
        ],
        "download_size": sum(one.bytes for one in files),
        "dataset_size": sum(one.bytes for one in files),
    }


def _feature(name: str, kind: pa.DataType) -> dict[str, Any]:
    """One feature in the form of the card's `dataset_info`, as `datasets` writes it."""
    if kind == IMAGE:
        return {"name": name, "dtype": "image"}
    if pa.types.is_list(kind):
        inner = _feature("", kind.value_type)
        return {"name": name, "list": inner["dtype"] if "dtype" in inner else inner["struct"]}
    if pa.types.is_struct(kind):
        children = [kind.field(i) for i in range(kind.num_fields)]
        return {"name": name, "struct": [_feature(child.name, child.type) for child in children]}
    names = {"float": "float32", "timestamp[us, tz=UTC]": "timestamp[us, tz=UTC]"}
    return {"name": name, "dtype": names.get(str(kind), str(kind))}


def _languages(statistics: DatasetStatistics) -> list[str]:
    """ISO codes of the pages' languages, most frequent first."""
    counter = statistics.counts.get("language", Counter())
    codes = sorted(counter, key=lambda code: (-counter[code], code))
    return [code for code in codes if re.fullmatch(r"[a-z]{2,3}", code)][:20]


def _columns(configuration: Configuration) -> list[tuple[str, str, str]]:
    kinds = {IMAGE: "image"}
    return [
        (field.name, kinds.get(field.type) or _kind(field.type), configuration.docs[field.name])
        for field in configuration.schema
    ]


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        if pa.types.is_struct(kind.value_type):
            names = [kind.value_type.field(i).name for i in range(kind.value_type.num_fields)]
            return f"list of {{{', '.join(names)}}}"
        return f"list of {kind.value_type}"
    return "float32" if str(kind) == "float" else str(kind)


def _split_row(description: Description, split: str) -> dict[str, Any]:
    return {
        "name": split,
        "triplets": sum(one.rows for one in description.of("ids", split)),
        "images": sum(one.rows for one in description.of("images", split)),
        "chains": sum(one.rows for one in description.of("chains", split)),
        "bytes": sum(one.bytes for one in description.files if one.split == split),
    }


def _funnel_rows(description: Description) -> list[dict[str, Any]]:
    rows = []
    for entry in description.funnel.get("stages", ()):
        dropped = {**entry.get("rejected", {}), **{f"error: {k}": n for k, n in entry.get("failed", {}).items()}}
        reasons = sorted(dropped, key=lambda reason: (-dropped[reason], reason))[:4]
        rows.append(entry | {"reasons": ", ".join(f"{reason} {dropped[reason]:,}" for reason in reasons)})
    return rows


def _tables(statistics: DatasetStatistics) -> list[tuple[str, list[tuple[str, int, float]]]]:
    """Title and (value, count, share) rows of the statistics that the card shows."""
    titles = {
        "language": "Language of the page",
        "license": "Licence that the page states",
        "opt_out": "Opt-out signals",
        "mining": "Miner",
        "verdict": "Verdict",
        "text_category": "Category of the texts",
        "text_method": "How the texts were written",
        "text_model": "Model that wrote them",
        "texts_per_triplet": "Texts for each triplet",
        "hard_negatives": "Hard negatives for each triplet",
        "instruction_words": "Words of the instruction",
        "visual_similarity": "Visual similarity",
        "text_similarity": "Similarity of the two texts",
        "chain_turns": "Turns of a chain",
    }
    tables = []
    for topic, title in titles.items():
        if counter := statistics.counts.get(topic):
            tables.append((title, _rows(topic, counter)))
    return tables


def _rows(topic: str, counter: Counter[str]) -> list[tuple[str, int, float]]:
    total = counter.total()
    if topic in _BINNED:
        values: Sequence[str] = sorted(counter)
    elif all(value.isdigit() for value in counter):
        values = sorted(counter, key=int)
    else:
        values = sorted(counter, key=lambda value: (-counter[value], value))
    rows = [(value, counter[value], counter[value] / total) for value in values]
    if topic in _BINNED or topic == "instruction_words" or len(rows) <= _TOP:
        return rows
    rest = sum(count for _, count, _ in rows[_TOP:])
    return [*rows[:_TOP], ("other", rest, rest / total)]


def _distinct(statistics: DatasetStatistics, topic: str) -> str:
    sketch = statistics.sketches.get(topic)
    if sketch is None:
        return "0"
    return f"{sketch.count:,}" if sketch.exact else f"about {sketch.count:,}"


def _cell(value: object) -> str:
    """Text for a cell of a Markdown table: one line, nothing that ends the cell or starts markup."""
    text = re.sub(r"\s+", " ", str(value)).strip()
    return re.sub(r"([\\|`*_<>\[\]])", r"\\\1", text)


def _fence(text: str) -> str:
    """A fenced block whose fence is longer than any in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}"


def money(cost: float | None) -> str:
    """A cost in whatever currency the prices were given: two digits behind the point, of small ones three that count;
    nothing where there is no price."""
    if cost is None:
        return ""
    return f"{cost:,.2f}" if cost >= 1 or not cost else f"{cost:.3g}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
