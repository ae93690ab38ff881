"""What strangers say about themselves, made fit to be shown on a page, in a terminal and in JSON."""

from __future__ import annotations

import unicodedata
from typing import Final

LONGEST_SHOWN: Final = 80

# Control, format (overrides of direction among them), private use, unassigned; ends of lines and paragraphs.
_DROPPED: Final = frozenset({"Cc", "Cf", "Co", "Cn", "Zl", "Zp"})


def fit_to_show(text: str, longest: int = LONGEST_SHOWN) -> str:
    """The printable characters of `text`, at most `longest`.

    Bytes that are no UTF-8 come out of the parser as surrogates, which nothing can encode: U+FFFD stands in.
    What drives terminals is left out.
    """
    if len(text) <= longest and text.isascii() and text.isprintable():
        return text.strip()
    kept = []
    for character in text[: 4 * longest]:
        category = unicodedata.category(character)
        if category == "Cs":
            kept.append("\N{REPLACEMENT CHARACTER}")
        elif category not in _DROPPED:
            kept.append(character)
    return "".join(kept)[:longest].strip()
