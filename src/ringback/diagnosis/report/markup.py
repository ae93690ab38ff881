"""HTML and SVG as text, escaped by construction: only what is `Markup` can become an element."""

from __future__ import annotations

from html import escape
from typing import Final

_VOID: Final = frozenset({"br", "hr", "input", "meta"})
_SHAPES: Final = frozenset({"circle", "line", "path", "rect"})


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | int | None
"""Of an element: Markup as it is, all else escaped, None left out."""


def tag(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """An element. In names of attributes `_` is `-`, one at the end is dropped (`class_`, `for_`).

    Attributes that are None or False are left out, True ones have no value.
    """
    head = name + "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{head}>")
    if name in _SHAPES and not children:
        return Markup(f"<{head}/>")
    return Markup(f"<{head}>{joined(*children)}</{name}>")


def joined(*children: Child) -> Markup:
    """Several after each other."""
    return Markup("".join(_text(child) for child in children))


def _text(child: Child) -> str:
    if isinstance(child, Markup):
        return child
    return "" if child is None else escape(str(child), quote=False)


def _attribute(key: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    return f' {name}="{escape(number(value) if isinstance(value, float) else str(value))}"'


def number(value: float) -> str:
    """As short as two decimals allow: coordinates fill most of a report."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value else "0"
