"""An extension changes hands: how it answered, and who was told of messages, was the former holder's."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from ringback.store.directory import Person
from ringback.store.errors import NotFoundError
from ringback.store.plan.answering import Answering
from ringback.store.plan.document import document
from ringback.store.plan.references import OUTSIDE
from ringback.store.plan.value import Value
from ringback.store.plan.voice import MailboxPlan
from ringback.store.reassignments import Reassignment
from ringback.store.store import Store

_BY: Final = "a change of hands"
_TARGETS: Final = ("always", "busy", "no_answer", "unreachable")


async def hand_over(store: Store, told: Reassignment) -> None:
    """Take the former holder's out of the plan; what was changed since is not theirs. May be told again.

    The next holder begins anew. While nobody holds it, calls go on to where the house has sent them, and to
    no number outside. Everything is in the plan's history.
    """
    if told.from_person is None:
        return
    holder = store.directory.people.get(told.to_person or "")
    for kind in ("answering", "mailbox"):
        try:
            entry = store.objects.get(kind, told.number)
        except NotFoundError:
            continue
        if entry.changed_at > told.at:
            continue
        after = _after(entry.value, holder)
        if after is None:
            await store.objects.remove(kind, told.number, _BY)
        elif after != entry.value:
            await store.objects.put(kind, told.number, document(after), _BY)


def _after(value: Value, holder: Person | None) -> Value | None:
    match value:
        case Answering() if holder is not None:
            return None
        case Answering():
            outside = {field: "" for field in _TARGETS if _is_outside(getattr(value, field))}
            return replace(value, do_not_disturb=False, **outside)
        case MailboxPlan(e_mail=address) if address:
            return replace(value, e_mail=holder.e_mail if holder is not None else "")
    return value


def _is_outside(target: str) -> bool:
    return target.partition(":")[0] == OUTSIDE
