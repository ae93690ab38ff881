"""Gives mail to a server (SMTP, RFC 5321): beside everything else, a few times, and never for long."""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import ssl
import threading
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from functools import partial
from typing import Final

import structlog

from ringback.config.voicemail import MailSettings

MOST_WAITING: Final = 1_000
TIMEOUT_S: Final = 20.0
PAUSES_S: Final = (10.0, 60.0, 600.0, 3_600.0)
"""Between the tries; after the last one a mail is given up."""

Write = Callable[[], Awaitable[EmailMessage | None]]

log = structlog.get_logger(__name__)


class Mail:
    """What is to be sent, each by itself; nothing waits for it, and its content is made only to be sent."""

    def __init__(self, settings: MailSettings, pauses_s: tuple[float, ...] = PAUSES_S) -> None:
        self._settings = settings
        self._pauses_s = pauses_s
        self._sending: set[asyncio.Task[None]] = set()
        # A server that answers slowly is not asked by many at once.
        self._turn = asyncio.Semaphore(2)

    @property
    def usable(self) -> bool:
        """Whether there is a server to give mail to."""
        return bool(self._settings.host)

    def send(self, write: Write) -> bool:
        """Send what `write` makes, None for nothing any more; False when too much waits already."""
        if not self.usable or len(self._sending) >= MOST_WAITING:
            if self.usable:
                log.warning("a mail is not sent: too many wait")
            return False
        task = asyncio.ensure_future(self._send(write))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return True

    async def stop(self) -> None:
        """What waits is not sent."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def _send(self, write: Write) -> None:
        for pause_s in (*self._pauses_s, None):
            try:
                async with self._turn:
                    mail = await write()
                    if mail is None:
                        return
                    mail["From"] = self._settings.sender
                    await _beside(partial(deliver, self._settings, mail))
                    return
            except (OSError, smtplib.SMTPException) as error:
                # Not the server's words: an address may be in them.
                log.warning("a mail could not be sent", error=type(error).__name__, again_s=pause_s)
            except Exception:
                log.exception("a mail could not be made")
                return
            if pause_s is not None:
                await asyncio.sleep(pause_s)


async def _beside(work: Callable[[], None]) -> None:
    """Do what may wait for long on a thread of its own, for which nobody waits when the process ends."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def tell(error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        problem: BaseException | None = None
        try:
            work()
        except Exception as error:
            problem = error
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, problem)

    threading.Thread(target=run, name="mail", daemon=True).start()
    await done


def deliver(settings: MailSettings, mail: EmailMessage) -> None:
    """Give a mail to the server; raises OSError, SMTPException."""
    host = settings.host.strip("[]")
    context = ssl.create_default_context()
    connection: smtplib.SMTP
    if settings.tls == "implicit":
        connection = smtplib.SMTP_SSL(host, settings.port, timeout=TIMEOUT_S, context=context)
    else:
        connection = smtplib.SMTP(host, settings.port, timeout=TIMEOUT_S)
    with connection:
        if settings.tls == "starttls":
            connection.starttls(context=context)
        if settings.password_file is not None:
            connection.login(settings.username, settings.password_file.read_text().strip())
        connection.send_message(mail)
