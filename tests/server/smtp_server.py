"""A mail server of a few lines, for tests: takes what it is given, or refuses the first of it."""

from __future__ import annotations

import asyncio
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast


class SmtpServer:
    """Speaks as much of RFC 5321 as a client needs; `refuses` connections are turned away before."""

    def __init__(self, refuses: int = 0) -> None:
        self.mails: list[EmailMessage] = []
        self.came = 0
        self.port = 0
        self._refuses = refuses
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> SmtpServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 22)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        if self.came <= self._refuses:
            writer.write(b"421 not now, 5550142\r\n")
            writer.close()
            return
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            word = line[:4].upper()
            if word == b"DATA":
                writer.write(b"354 go on\r\n")
                data = await reader.readuntil(b"\r\n.\r\n")
                self.mails.append(cast("EmailMessage", message_from_bytes(data[:-5], policy=policy.default)))
            writer.write(b"250 ok\r\n" if word != b"QUIT" else b"221 bye\r\n")
        writer.close()
