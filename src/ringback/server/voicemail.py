"""Voicemail joined to the rest: steps of calls, the message lamp, mail, holders that change, retention."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any, Final

import structlog

from ringback.call.effects import Notice
from ringback.call.onward import Onward
from ringback.call.switchboard import Switchboard
from ringback.config import Settings
from ringback.governance.throttle import SourceList
from ringback.media.protocol import Event, PlayEnded, Talking
from ringback.media.stream_messages import StreamWanted
from ringback.routing.steps import CheckMessages as CheckStep
from ringback.routing.steps import LeaveMessage as LeaveStep
from ringback.server.destinations import Call, Destinations
from ringback.server.exchange import Exchange
from ringback.server.mail import Mail
from ringback.server.voicemail_desk import VoicemailDesk, same_holder
from ringback.server.voicemail_pages import VoicemailPages
from ringback.server.voicemail_takes import PART
from ringback.server.watching import Watching
from ringback.server.wav_stream import read_wav
from ringback.sip.message_summary import Mailbox
from ringback.store.directory import Directory
from ringback.store.errors import NotFoundError
from ringback.store.mailbox_upkeep import MailboxUpkeep
from ringback.store.mailboxes import StoredMailbox
from ringback.store.store import Store
from ringback.voicemail.check import CheckMessages
from ringback.voicemail.counts import Counts
from ringback.voicemail.guard import MailboxGuard
from ringback.voicemail.leave import LeaveMessage
from ringback.voicemail.office import Office, Patience
from ringback.web.operations import Metric

SWEEP_EVERY_S: Final = 300.0

log = structlog.get_logger(__name__)


class Voicemail:
    """All mailboxes of a running server."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        switchboard: Switchboard,
        exchange: Exchange,
        watching: Watching,
        publish: Callable[[Notice], None],
    ) -> None:
        self._settings = settings.voicemail
        self._store = store
        self._exchange = exchange
        self._watching = watching
        self._publish = publish
        self._upkeep = MailboxUpkeep(store.database, store.mailboxes, store.voices)
        self._sweeping: asyncio.Task[None] | None = None
        self._following = asyncio.Lock()
        self._follows: set[asyncio.Task[None]] = set()
        self._counts = Counts()
        self.mail = Mail(settings.mail)
        self.desk = VoicemailDesk(
            store,
            switchboard,
            exchange,
            settings.voicemail.least_pin_digits,
            changed=self.changed,
            received=self._received,
            counts=self._counts,
        )
        self.pages = VoicemailPages(
            store, self.desk, settings.voicemail.least_pin_digits, changed=self.changed
        )
        self._office = Office(
            desk=self.desk,
            alarm=switchboard,
            guard=MailboxGuard(SourceList(settings.security.allow_sources)),
            patience=Patience(
                first_digit_s=settings.conference.first_digit_s,
                between_digits_s=settings.conference.between_digits_s,
                pin_tries=settings.conference.pin_tries,
            ),
            counts=self._counts,
        )
        watching.mailboxes.find = self._lamp

    def register(self, destinations: Destinations) -> None:
        """Say which steps are carried out here."""
        destinations.register(LeaveStep, self._leave)
        destinations.register(CheckStep, self._check)

    async def start(self) -> None:
        """Put in order what a crash left, before any call comes; tell of messages that it interrupted."""
        recovered = await self._upkeep.recover()
        await self._follow()
        for message in recovered:
            log.info("a message is kept that the end of the server cut", message=message.id)
            self._received(message.extension, message.id)
        self._sweeping = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """Let what is under way be kept."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeping
        await self.desk.close()
        await self.mail.stop()

    def metrics(self) -> Iterable[Metric]:
        """What became of messages and of calls that came to hear them."""
        counted: tuple[tuple[str, str, str, Mapping[Any, int]], ...] = (
            ("messages", "outcome", "Messages that callers began to leave, by what became of them.",
             self._counts.left),
            ("heard", "by", "Times that a message was played or sent by mail.", self._counts.heard),
            ("logins", "outcome", "Times that somebody asked to hear messages.", self._counts.logins),
        )  # fmt: skip
        for name, label, description, counts in counted:
            samples = tuple(({label: word}, float(count)) for word, count in sorted(counts.items()))
            yield Metric(f"ringback_voicemail_{name}", "counter", description, samples)

    # Calls

    def _leave(self, step: LeaveStep, call: Call, onward: Onward, now: float) -> LeaveMessage:
        del call, now
        return LeaveMessage(self._office, step.extension, step.why, onward)

    def _check(self, step: CheckStep, call: Call, onward: Onward, now: float) -> CheckMessages:
        del onward, now
        own = step.extension is not None and call.asked.account == step.extension
        return CheckMessages(self._office, step.extension, own=own)

    def on_media(self, event: Event, now: float) -> bool:
        """What the engine says; True where it concerns nobody else."""
        match event:
            case Talking():
                return self.desk.talking(event, now)
            case StreamWanted():
                self.desk.streams.wanted(event)
                return True
            case PlayEnded():
                self.desk.streams.ended(event)
        return False

    # The lamp

    def _lamp(self, account: str) -> Mailbox | None:
        if self.desk.plan(account) is None:
            return None
        stored = self.desk.stored(account)
        if stored is None:
            return Mailbox()
        counts = stored.counts
        return Mailbox(counts.new, counts.old, counts.new_urgent, counts.old_urgent)

    def changed(self, extension: str) -> None:
        """Tell who watches the mailbox, and who watches the system."""
        self._exchange.perform(lambda now: self._watching.mailbox_changed(extension, now))
        self._publish(Notice("mailbox.changed", {"extension": extension}))

    # Mail

    def _received(self, extension: str, message: str) -> None:
        plan = self.desk.plan(extension)
        self._publish(Notice("voicemail.received", {"extension": extension}))
        if plan is not None and plan.e_mail and self.mail.usable:
            self.mail.send(lambda: self._notice(extension, message))

    async def _notice(self, extension: str, message: str) -> EmailMessage | None:
        """What is written when it is sent: nothing for a message that was heard or deleted meanwhile."""
        plan = self.desk.plan(extension)
        if plan is None or not plan.e_mail:
            return None
        try:
            found = await self._store.mailboxes.message(extension, message)
        except NotFoundError:
            return None
        if found.state != "new":
            return None
        mail = EmailMessage()
        mail["To"] = plan.e_mail
        mail["Subject"] = "A new voice message" if not found.urgent else "A new urgent voice message"
        mail.set_content("There is a new message in your mailbox. Call it to listen.\n")
        if plan.tell == "audio":
            await self._store.voices.note(message, "voicemail", "exported", "by e-mail, as the plan says")
            sound = await read_wav(self._store, message, found.rate, found.length_ms, PART)
            self._counts.heard["mail"] += 1
            mail.add_attachment(sound, maintype="audio", subtype="wav", filename="message.wav")
        return mail

    # Time, and holders

    def follow(self, directory: Directory) -> None:
        """The directory has changed: mailboxes of who does not hold the extension any more are shut."""
        if any(_other_holder(directory, one) for one in self._store.mailboxes.all()):
            task = asyncio.ensure_future(self._follow())
            self._follows.add(task)
            task.add_done_callback(self._follows.discard)

    async def _follow(self) -> None:
        async with self._following:
            for mailbox in self._store.mailboxes.all():
                # As it is by now: a deletion may have been taken back.
                holder = self._store.directory.extension(mailbox.extension)
                if holder is not None and same_holder(mailbox, holder.id, holder.person_id):
                    if mailbox.person_id is None and holder.person_id is not None:
                        await self._store.mailboxes.adopt(mailbox.extension, holder.person_id)
                    continue
                try:
                    await self._store.mailboxes.archive(mailbox.extension)
                    if self._settings.after_reassignment == "delete":
                        reason = "the extension was reassigned"
                        await self._store.mailboxes.delete_archive(mailbox.id, "voicemail", reason)
                except Exception:
                    # Nobody gets in meanwhile: whose it is is looked at with every call.
                    log.exception("a mailbox of a former holder could not be archived")
                self.changed(mailbox.extension)

    async def _sweep(self) -> None:
        while True:
            try:
                changed = await self._upkeep.sweep(datetime.now(UTC), self._settings.archive_days)
                for extension in changed:
                    self.changed(extension)
            except Exception:
                log.exception("old messages could not be deleted; it is tried again")
            await asyncio.sleep(SWEEP_EVERY_S)


def _other_holder(directory: Directory, mailbox: StoredMailbox) -> bool:
    holder = directory.extension(mailbox.extension)
    if holder is None:
        return True
    return mailbox.person_id != holder.person_id or mailbox.extension_id != holder.id
