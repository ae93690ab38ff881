"""Mail: given to a server beside everything else, tried again, and in the end let go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from email.message import EmailMessage

import pytest
from structlog.testing import capture_logs

from ringback.config.voicemail import MailSettings
from ringback.server.mail import MOST_WAITING, Mail
from tests.server.smtp_server import SmtpServer


async def note() -> EmailMessage:
    mail = EmailMessage()
    mail["To"] = "ada@example.com"
    mail["Subject"] = "A new voice message"
    mail.set_content("There is one.\n")
    return mail


async def nothing() -> None:
    return None


def settings(port: int) -> MailSettings:
    return MailSettings(host="127.0.0.1", port=port, tls="none", sender="pbx@example.com")


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_a_server_refuses_at_first_it_gets_again() -> None:
    async with SmtpServer(refuses=2) as server:
        mail = Mail(settings(server.port), pauses_s=(0.01, 0.01))
        with capture_logs() as logs:
            assert mail.send(note)
            await until(lambda: server.mails)
        assert server.came == 3
        assert server.mails[0]["To"] == "ada@example.com"
        assert server.mails[0]["From"] == "pbx@example.com"
        assert "5550142" not in repr(logs)
        assert "ada" not in repr(logs)
        await mail.stop()


async def test_a_server_that_is_never_there_costs_a_few_tries_and_no_time() -> None:
    mail = Mail(settings(9), pauses_s=(0.01,))
    began = asyncio.get_running_loop().time()
    assert all(mail.send(note) for _ in range(MOST_WAITING))
    assert not mail.send(note)
    assert asyncio.get_running_loop().time() - began < 1
    await mail.stop()


async def test_without_a_server_nobody_is_written_to_and_what_is_not_wanted_any_more_is_not_sent() -> None:
    assert not Mail(MailSettings()).send(note)
    async with SmtpServer() as server:
        mail = Mail(settings(server.port))
        assert mail.send(nothing)
        assert mail.send(note)
        await until(lambda: server.mails)
        assert server.came == 1
        await mail.stop()


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "mail.example.com"},
        {"host": "mail.example.com", "sender": "pbx@example.com", "username": "pbx"},
        {"host": "mail.example.com", "sender": "nobody"},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        MailSettings(**wrong)  # type: ignore[arg-type]
