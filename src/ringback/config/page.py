"""The documentation of every setting as Markdown, made from the settings themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo

from ringback.config.settings import ENV_PREFIX, SECTIONS, Settings

_INTRODUCTION = """\
# Settings

`ringback serve --config ringback.toml` reads a TOML file. Every setting is also an environment variable,
which wins over the file; lists are separated by commas there. Relative paths in the file are relative to
its folder. `ringback config check` finds mistakes and names their line, `ringback config show` prints what
is in force.

This page is printed by `ringback config docs`.

"""


def settings_page() -> str:
    """The page, ending with a newline."""
    parts = [_INTRODUCTION, "| setting | default | meaning |\n|---|---|---|\n"]
    parts.append(_row("data_dir", f"{ENV_PREFIX}DATA_DIR", "see below", Settings.model_fields["data_dir"]))
    for section, model in SECTIONS.items():
        parts.append(f"\n## [{section}]\n\n{(model.__doc__ or '').strip()}\n\n")
        parts.extend(_table(section, model.model_fields))
    return "".join(parts).replace("| see below |", "| |")


def _table(section: str, fields: dict[str, FieldInfo]) -> Iterator[str]:
    yield "| setting | default | meaning |\n|---|---|---|\n"
    for key, field in fields.items():
        variable = f"{ENV_PREFIX}{section}__{key}".upper()
        yield _row(f"{section}.{key}", variable, _default(field.default), field)


def _row(name: str, variable: str, default: str, field: FieldInfo) -> str:
    return f"| `{name}`<br>`{variable}` | {default} | {field.description} |\n"


def _default(value: Any) -> str:
    if isinstance(value, dict):
        shown = {name: f'"{item}"' if isinstance(item, str) else item for name, item in value.items()}
        return "<br>".join(f"`{name} = {item}`" for name, item in shown.items())
    if value in {None, ""}:
        return ""
    if value == ():
        return "`[]`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{item}"' for item in value) + "]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value:g}`"
