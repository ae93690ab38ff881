"""Key presses that we send: telephone-events in place of audio, a queue a leg (RFC 4733)."""

from __future__ import annotations

from ringback.media.dtmf import TelephoneEventSender
from ringback.media.legs import DEFAULT_EVENT_CLOCK, FRAME_TIMESTAMPS, Legs
from ringback.media.sending import Sending

MAX_DIGITS = 64


class DigitSending:
    """Puts the events of every leg that has digits to send into the packets of a tick."""

    def __init__(self, legs: Legs, sending: Sending) -> None:
        self._legs = legs
        self._sending = sending
        self._senders: dict[int, TelephoneEventSender] = {}

    @property
    def active(self) -> bool:
        """Whether any leg has digits to send."""
        return bool(self._senders)

    def forget(self, slot: int) -> None:
        """A leg was closed."""
        self._senders.pop(slot, None)

    def enqueue(self, slot: int, digits: str) -> None:
        """Send these after those that wait; raises ValueError, with what is the matter."""
        if len(digits) > MAX_DIGITS:
            raise ValueError("too many digits")
        sender = self._senders.get(slot)
        if sender is None:
            number = int(self._legs.event_payload_type[slot])
            clock = self._legs.event_clocks.get(slot, {}).get(number, DEFAULT_EVENT_CLOCK)
            sender = TelephoneEventSender(clock=clock)
        sender.enqueue(digits)
        self._senders[slot] = sender

    def put(self) -> frozenset[int]:
        """Put events where audio would go, and say for which legs; the headers have been written, and the
        clocks are a frame on."""
        legs = self._legs
        put = set()
        for leg, sender in list(self._senders.items()):
            position = self._sending.position.get(leg)
            if not sender.active:
                del self._senders[leg]
            if position is None or not sender.active:
                continue
            timestamp = int(legs.out_timestamp[leg]) - int(FRAME_TIMESTAMPS[legs.send_codec[leg]])
            packet = sender.next_packet(timestamp & 0xFFFFFFFF)
            if packet is not None:
                put.add(leg)
                self._sending.put_event(
                    position,
                    int(legs.event_payload_type[leg]),
                    packet.marker,
                    packet.timestamp,
                    packet.payload,
                )
        return frozenset(put)
