"""Who and what can be called in the house, by name or number: for who has a phone and no view of the plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ringback.store.directory import Directory


@dataclass(frozen=True, slots=True)
class Place:
    """Somebody or something with a number; `target` is how the plan writes it."""

    kind: str
    target: str
    title: str
    number: str


def found_places(directory: Directory, search: str, target: str, limit: int) -> list[Place]:
    """Those with `search` in title or number, the best first; or the one that is `target`."""
    if target:
        return [place for place in _places(directory) if place.target == target]
    wanted = search.strip().casefold()
    fitting = [
        place
        for place in _places(directory)
        if wanted in place.title.casefold() or (wanted and place.number.startswith(wanted))
    ]
    return sorted(fitting, key=lambda place: _order(place, wanted))[:limit]


def _order(place: Place, wanted: str) -> tuple[bool, bool, str, str]:
    title = place.title.casefold()
    begins = any(word.startswith(wanted) for word in title.split())
    return place.number != wanted, not begins, title, place.number


def _places(directory: Directory) -> Iterator[Place]:
    for number, to in directory.plan.numbers.items():
        value = directory.plan.values[to.kind][to.name]
        title = getattr(value, "title", "") or to.name
        yield Place(to.kind, str(to), title, number)
    for extension in directory.extensions.values():
        if not extension.enabled:
            continue
        holder = directory.people.get(extension.person_id) if extension.person_id is not None else None
        title = holder.name if holder is not None else extension.display_name
        yield Place("extension", f"extension:{extension.number}", title or extension.number, extension.number)
