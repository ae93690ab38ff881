"""Every message that is defined can travel."""

from __future__ import annotations

from typing import get_args

from ringback.media import protocol


def test_every_message_is_a_command_or_an_event() -> None:
    messages = set(protocol._Message.__subclasses__())
    assert messages == {*get_args(protocol.Command), *get_args(protocol.Event)}
