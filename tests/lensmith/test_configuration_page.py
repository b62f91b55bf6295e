"""`docs/configuration.md` holds every setting as the code has it. `LENSMITH_WRITE_DOCS=1` writes its tables anew."""

import os
from pathlib import Path
from types import UnionType
from typing import get_args

from pydantic import BaseModel

from lensmith.settings import Settings, load_settings, presets

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
BEGIN, END = "<!-- settings: made by tests/lensmith/test_configuration_page.py -->\n", "<!-- end of settings -->\n"


def shown(value):
    if value is None:
        return "`null`"
    if isinstance(value, tuple | list | frozenset):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def is_section(kind):
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def tables(model=Settings, prefix=""):
    """A table for each section, nested ones after their parent."""
    lines, nested = [], []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if is_section(kind):
            nested.append((f"{prefix}{name}", kind, field.description))
            continue
        free = isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("operational")
        # What a section that is off by default may hold stands on the page as well.
        optional = get_args(kind) if isinstance(kind, UnionType) else ()
        nested += [(f"{prefix}{name}", one, field.description) for one in optional if is_section(one)]
        default = field.get_default(call_default_factory=True)
        text = field.description.replace("|", "\\|")
        lines.append(f"| `{name}` | {shown(default)} | {'free' if free else ''} | {text} |")
    head = ["| key | default | | meaning |", "|---|---|---|---|"]
    result = [*head, *lines, ""] if lines else []
    for path, kind, description in nested:
        result += [f"### `{path}`: {description}", "", *tables(kind, f"{path}.")]
    return result


def test_the_page_holds_every_setting_as_it_is():
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    expected = before + BEGIN + "\n" + "\n".join(tables()) + "\n" + END + after
    if os.environ.get("LENSMITH_WRITE_DOCS"):
        PAGE.write_text(expected)
        text = expected
    assert text == expected, "write the tables anew: LENSMITH_WRITE_DOCS=1 pytest tests/lensmith"


def test_the_page_names_what_each_preset_changes():
    text = PAGE.read_text()
    plain = load_settings("local").model_dump()
    for name in presets():
        assert f"`{name}`" in text
        for section, values in load_settings(name).model_dump().items():
            if isinstance(values, dict):
                for key, value in values.items():
                    if value != plain[section][key]:
                        assert f"`{section}.{key}`" in text, (name, section, key)
