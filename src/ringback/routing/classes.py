"""Which class a number outside belongs to: that of the longest prefix, however the number is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ringback.config.routing import CallClass
from ringback.routing.e164 import understood


def class_of(classes: Mapping[str, CallClass], country: str, *numbers: str) -> str:
    """The class with the longest prefix that one of the numbers (of one call) begins with.

    Each counts as it is, in its E.164 form and, if it is one of the own country, as that writes it: a premium
    number stays one in whatever form it is dialled. The plus alone makes no number of the own country
    international.
    """
    found = (
        (len(prefix), name)
        for number in numbers
        for form, own in _written(number, country)
        for name, each in classes.items()
        for prefix in each.prefixes
        if form.startswith(prefix) and not (own and prefix == "+")
    )
    return max(found)[1]


def _written(number: str, country: str) -> Iterator[tuple[str, bool]]:
    known = understood(number, country)
    own = known is not None and known.national is not None
    yield number, own
    if known is not None:
        yield known.e164, own
        if known.national is not None:
            yield known.national, own
