"""Settings of voicemail, and of the mail by which people are told of messages."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ringback.config.section import Section
from ringback.config.values import OptionalPath


class VoicemailSettings(Section):
    """What holds for all mailboxes; which extensions have one is part of the plan."""

    least_pin_digits: int = Field(
        default=6, ge=4, le=12, description="Digits that a new PIN has at least; at most 12."
    )
    after_reassignment: Literal["archive", "delete"] = Field(
        default="archive",
        description="What becomes of messages when an extension goes to somebody else: nobody hears them any "
        "more, and they are deleted after `voicemail.archive_days`, or at once.",
    )
    archive_days: int = Field(
        default=30,
        ge=0,
        le=3_650,
        description="Days after which the messages of a former holder are deleted for good.",
    )


class MailSettings(Section):
    """The server that mail is given to (SMTP); without `host` nobody is written to."""

    host: str = Field(default="", pattern=r"^[A-Za-z0-9.:\[\]-]*$", description="Name or IP address.")
    port: int = Field(default=587, ge=1, le=65535, description="TCP port.")
    tls: Literal["starttls", "implicit", "none"] = Field(
        default="starttls",
        description="How the connection is encrypted: after a greeting, from its first byte, or not at all.",
    )
    sender: str = Field(
        default="", pattern=r"^([^@\s<>]+@[^@\s<>]+)?$", description="Address that mail comes from."
    )
    username: str = Field(default="", description="Account there; empty: none is needed.")
    password_file: OptionalPath = Field(
        default=None, description="File with the password of `mail.username`."
    )

    @model_validator(mode="after")
    def _complete(self) -> MailSettings:
        if self.host and not self.sender:
            raise ValueError("mail.host needs mail.sender")
        if bool(self.username) != (self.password_file is not None):
            raise ValueError("mail.username and mail.password_file must be given together")
        if self.username and self.tls == "none":
            raise ValueError("mail.username would be sent in clear: set mail.tls")
        return self
