"""Values that must not reach a log, a metric, a URL or an error text: private by type."""

from __future__ import annotations

import hmac
import re
from typing import Final, Generic, TypeVar

T = TypeVar("T")

REDACTED = "[private]"
_NUMBER_IN_NAME: Final = re.compile(r"\+?[0-9](?:[-. ()/]{0,2}[0-9]){3,}")


class Private(Generic[T]):
    """Wraps a value so that printing, formatting or serialising it by accident shows nothing.

    `reveal()` is the only way to the value: grep for it to see every place that uses private data.
    Equality and hashing work on the wrapped value, so a private value can key a dictionary.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """Return the wrapped value; the caller takes over the duty of keeping it private."""
        return self._value

    def __repr__(self) -> str:
        return REDACTED

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return format(REDACTED, format_spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Private) and self._value == other._value

    def __hash__(self) -> int:
        return hash(("Private", self._value))

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a private value is not pickled; reveal() it on purpose")


def same_secret(given: Private[str], expected: Private[str]) -> bool:
    """Compare two secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.reveal().encode(), expected.reveal().encode())


def mask_name(name: str) -> str:
    """What somebody is called, as it is shown to those who may not see numbers: a number in it is masked.

    Many phones and carriers say the number where the name belongs.
    """
    return _NUMBER_IN_NAME.sub(lambda match: mask_number(match[0]), name)


def mask_number(number: str) -> str:
    """A phone number as it is shown to those who may not see it: all but the last two digits hidden."""
    return "•" * max(0, len(number) - 2) + number[-2:] if len(number) > 3 else number
