"""Emergency calls: colleagues are told at once who calls for help from where, beside the call itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Final

import msgspec

from ringback.call.alert import Alert
from ringback.call.application import Application
from ringback.call.bridge import Bridge
from ringback.call.onward import Onward
from ringback.call.party import Party
from ringback.call.prompts import say_digits
from ringback.call.switchboard import Switchboard
from ringback.governance.private import Private
from ringback.routing.steps import GoOut, Refuse, Ring
from ringback.server.destinations import Builder, Call, Refusal
from ringback.server.phones import Phones
from ringback.sip.flow import Flow
from ringback.sip.uri import NameAddr, SipUri, escape_user
from ringback.store.directory import Directory
from ringback.store.plan.plan import Plan
from ringback.store.plan.safety import Location

_TIMES: Final = 3
"""How often an announcement is said: who answers half asleep misses the first."""


class EmergencyNotice(msgspec.Struct, frozen=True):
    """Who called which emergency number from where; `test`: nobody needs help."""

    number: str
    extension: Private[str]
    name: Private[str]
    location: Location | None
    test: bool


class Emergencies:
    """Carries out `GoOut`, `Ring` and `Refuse`, and tells of those that are for help; sans-IO."""

    def __init__(
        self,
        switchboard: Switchboard,
        phones: Phones,
        contact_for: Callable[[Flow], SipUri],
        directory: Callable[[], Directory],
        notify: Callable[[EmergencyNotice], None],
    ) -> None:
        self._switchboard = switchboard
        self._phones = phones
        self._contact_for = contact_for
        self._directory = directory
        self._notify = notify

    def telling(self, builder: Builder[GoOut]) -> Builder[GoOut]:
        """The builder of calls out, which tells of emergencies and their tests first."""

        def build(step: GoOut, call: Call, onward: Onward, now: float) -> Application | Refusal:
            made = builder(step, call, onward, now)
            if step.emergency or step.test:
                self._tell(step.location, call, now, test=step.test)
            return _opened(made, test=step.test)

        return build

    def ring(self, step: Ring, call: Call, onward: Onward, now: float) -> Application | Refusal:
        """Ring phones; a test of emergency calls may be answered by a colleague."""
        made = self._phones.ring(step, call, onward, now)
        if step.test:
            location = self._directory().plan.get(Location, call.asked.emergency_location)
            self._tell(location, call, now, test=True)
        return _opened(made, test=step.test)

    def refuse(self, step: Refuse, call: Call, onward: Onward, now: float) -> Refusal:
        """Nobody takes the call; colleagues are told of who calls for help all the more."""
        del onward
        if step.emergency:
            self._tell(step.location, call, now, test=False)
        return Refusal(step.status)

    def _tell(self, location: Location | None, call: Call, now: float, *, test: bool) -> None:
        number = call.asked.account or ""
        directory = self._directory()
        caller = directory.extension(number)
        name = caller.display_name if caller is not None else ""
        self._switchboard.tell(
            "emergency.called",
            extension=caller.id if caller is not None else None,
            location=location.name if location is not None else None,
            test=test,
        )
        self._notify(
            EmergencyNotice(call.asked.dialled.reveal(), Private(number), Private(name), location, test)
        )
        if location is None:
            return
        host = self._contact_for(call.flow).host
        from_ = NameAddr(
            SipUri("sip", escape_user(number) or "emergency", host=host),
            f"{'TEST ' if test else ''}EMERGENCY {name} {location.title}".strip(),
        )
        sounds = ["silence:1000", *_announcement(number, location, test=test)] * _TIMES
        for told in location.tell:
            extension = directory.extension(told)
            if extension is not None and extension.enabled and told != number:
                alert = Alert(self._switchboard, sounds)
                called = Party(Private(told), Private(extension.display_name), told)
                to = NameAddr(SipUri("sip", told, host=host))
                alert.ring(self._phones.devices(told, now), to, from_, called, now)


def location_words(location: Location) -> str:
    """A place as it is said."""
    return ". ".join(part for part in (location.title, location.details, location.address) if part)


def words_of(plan: Plan) -> Iterator[str]:
    """All places as they are said: they are spoken before anybody needs help."""
    return (location_words(location) for location in plan.all(Location).values())


def mail_of(notice: EmergencyNotice) -> EmailMessage:
    """What those hear by mail who are to be told."""
    mail = EmailMessage()
    location = notice.location
    where = location_words(location) if location is not None else "an unknown place"
    what = "Test of emergency calls" if notice.test else "Emergency call"
    mail["Subject"] = f"{what} from extension {notice.extension.reveal()}"
    mail["To"] = ", ".join(location.e_mail) if location is not None else ""
    lines = [
        f"Extension {notice.extension.reveal()} ({notice.name.reveal()}) has called {notice.number}.",
        f"Place: {where}",
    ]
    if notice.test:
        lines.insert(0, "This is a test: nobody needs help.")
    mail.set_content("\n".join(lines) + "\n")
    return mail


def _announcement(number: str, location: Location, *, test: bool) -> list[str]:
    opening = ["prompt:emergency-is-test"] if test else []
    return [*opening, "prompt:emergency-call-of", *say_digits(number), f"words:{location_words(location)}"]


def _opened(made: Application | Refusal, *, test: bool) -> Application | Refusal:
    """Who is connected in a test hears that it is one."""
    if test and isinstance(made, Bridge):
        made.opening = ["prompt:emergency-is-test"]
    return made
