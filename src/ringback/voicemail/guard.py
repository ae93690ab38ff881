"""Wrong PINs of mailboxes: limited by source, slowed by mailbox, and from outside refused after too many."""

from __future__ import annotations

from typing import Final

from ringback.governance.throttle import FailureLedger, GuessDelay, SourceGuard, SourceList

FREE_WRONG_PINS: Final = 12
"""People mistype, and a whole office may call from one address."""
FREE_FROM_OUTSIDE: Final = 20
"""Numbers of callers can be made up, so that the mailbox counts as well."""


class MailboxGuard:
    """Who calls from the mailbox's own extension has proved that already, and is not shut out by others."""

    def __init__(self, allow: SourceList | None = None) -> None:
        self._allow = allow or SourceList()
        self._sources = SourceGuard(self._allow, ledger=FailureLedger(free=FREE_WRONG_PINS))
        self._mailboxes: GuessDelay[str] = GuessDelay()
        self._outside: FailureLedger[str] = FailureLedger(free=FREE_FROM_OUTSIDE, forgive_s=300.0)

    def refuses(self, source: str, mailbox: str, now: float, *, own: bool) -> bool:
        """Whether a PIN is not even looked at."""
        if self._sources.banned_for(source, now) > 0:
            return True
        return not own and self._outside.banned_for(mailbox, now) > 0

    def wrong(self, source: str, mailbox: str, now: float, *, own: bool) -> None:
        """Note a wrong PIN."""
        self._sources.failed(source, now)
        if source in self._allow:
            return
        self._mailboxes.wrong(mailbox, now)
        if not own:
            self._outside.failed(mailbox, now)

    def delay_s(self, source: str, mailbox: str, now: float) -> float:
        """Seconds to hold the answer to a PIN back, right or wrong."""
        return 0.0 if source in self._allow else self._mailboxes.delay_s(mailbox, now)
