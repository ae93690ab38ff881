"""ICE-lite, the side that only answers checks: validated sources, nomination, restart, consent (RFC 8445, RFC
7675).

A full agent, the browser, checks and decides; a source counts once it has sent a check signed with our
password. Media goes to the source nominated last, but only after that answered a check of ours: who knows the
password might forge the address of somebody else, who never asked for the stream (RFC 8445 19.5.1).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import NamedTuple

from ringback.webrtc import stun
from ringback.webrtc.stun import StunMessage

CONSENT_S = 30.0
"""A source that has not been checked for so long is no more (RFC 7675 5.1)."""
MAX_SOURCES = 8
"""Validated sources a leg has at most: a host has a handful of interfaces."""
MIN_UFRAG = 4
MIN_PASSWORD = 22
MAX_CREDENTIAL = 256

PRIORITY = 1_862_270_975
"""Of a peer-reflexive candidate (RFC 8445 5.1.2.1), as a check says."""

Source = tuple[int, int]
"""Address and port of the peer; the address is a number that stands for it, in whatever way."""


class IceCredentialsError(ValueError):
    """User fragments or passwords that ICE does not allow (RFC 8839 5.4)."""


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """One generation of both sides' credentials, as a check to us uses them."""

    local_ufrag: str
    local_pwd: bytes = field(repr=False)
    remote_ufrag: str
    remote_pwd: bytes = field(repr=False)

    @classmethod
    def of(cls, local_ufrag: str, local_pwd: str, remote_ufrag: str, remote_pwd: str) -> IceCredentials:
        """Checked for length; raises IceCredentialsError."""
        for ufrag in (local_ufrag, remote_ufrag):
            if not MIN_UFRAG <= len(ufrag) <= MAX_CREDENTIAL:
                raise IceCredentialsError("an ICE user fragment has 4 to 256 characters")
        for password in (local_pwd, remote_pwd):
            if not MIN_PASSWORD <= len(password) <= MAX_CREDENTIAL:
                raise IceCredentialsError("an ICE password has 22 to 256 characters")
        return cls(local_ufrag, local_pwd.encode(), remote_ufrag, remote_pwd.encode())

    @property
    def username(self) -> bytes:
        """USERNAME of a check to us (RFC 8445 7.2.2)."""
        return f"{self.local_ufrag}:{self.remote_ufrag}".encode()


class Check(NamedTuple):
    """What became of a request: what to send to its source, and whether it was a good one."""

    answers: tuple[bytes, ...]
    valid: bool


UNAUTHORIZED = Check((), False)


@dataclass(slots=True)
class _Validated:
    generation: int
    checked: float
    probe: bytes
    """Our own check: it is sent again as long as it is unanswered."""
    transaction_id: bytes
    password: bytes
    proven: bool = False
    nominated: int = 0
    """Counts up with every nomination; 0 is never nominated."""


def local_ufrag(request: StunMessage) -> str | None:
    """Whom a check is for: our user fragment in its USERNAME."""
    name, colon, _ = request.attributes.get(stun.USERNAME, b"").partition(b":")
    return name.decode("ascii", "replace") if colon else None


class IceLite:
    """The ICE state of one leg."""

    def __init__(self, credentials: IceCredentials) -> None:
        self._generation = 1
        self._credentials = [(1, credentials)]
        self._nominations = 0
        self._sources: dict[Source, _Validated] = {}
        self.selected: Source | None = None
        """Where media goes: of the sources that answered the one nominated last, without any the first."""

    @property
    def credentials(self) -> IceCredentials:
        """The newest generation."""
        return self._credentials[0][1]

    @property
    def ufrags(self) -> list[str]:
        """Our user fragments that checks may name now: two of them during a restart."""
        return [credentials.local_ufrag for _, credentials in self._credentials]

    @property
    def sources(self) -> list[Source]:
        """Validated sources: what else comes from them may count."""
        return list(self._sources)

    def restart(self, credentials: IceCredentials) -> None:
        """New credentials; what was validated stays until a source is nominated with them (RFC 8445 9)."""
        self._generation += 1
        # The oldest are those of the pair in use.
        self._credentials = [(self._generation, credentials), self._credentials[-1]]

    def resume(self, source: Source, now: float) -> None:
        """Media went to this source, with consent that another agent with the same credentials has had."""
        validated = _validated(self._generation, self.credentials, now)
        validated.proven = True
        self._sources[source] = validated
        self._select()

    def receive(self, request: StunMessage, source: Source, seen: bytes, now: float) -> Check:
        """Take a Binding request from `source`, whose address in network order is `seen`; one that is not
        signed with our password changes nothing."""
        for generation, credentials in self._credentials:
            if request.attributes.get(stun.USERNAME) != credentials.username:
                continue
            if request.is_authentic(credentials.local_pwd):
                return self._authentic(request, source, seen, now, generation, credentials)
        return UNAUTHORIZED

    def _authentic(
        self,
        request: StunMessage,
        source: Source,
        seen: bytes,
        now: float,
        generation: int,
        credentials: IceCredentials,
    ) -> Check:
        password = credentials.local_pwd
        if request.unknown:
            return Check((stun.error(request, 420, "Unknown Attribute", password),), False)
        if stun.ICE_CONTROLLED in request.attributes:
            # A lite agent never controls a full one (RFC 8445 6.1.1): whatever the tie-breakers say.
            return Check((stun.error(request, 487, "Role Conflict", password),), False)
        validated = self._sources.get(source)
        if validated is None:
            self._make_room()
            validated = self._sources[source] = _validated(generation, credentials, now)
        validated.checked = now
        validated.generation = max(validated.generation, generation)
        if stun.USE_CANDIDATE in request.attributes and generation == self._generation:
            self._nominations += 1
            validated.nominated = self._nominations
        self._select()
        answer = stun.success(request, seen, source[1], password)
        return Check((answer,) if validated.proven else (answer, validated.probe), True)

    def prove(self, response: StunMessage, source: Source) -> None:
        """Take the answer to a check of ours: who gives it really is there, and takes what we send."""
        validated = self._sources.get(source)
        if (
            validated is not None
            and response.transaction_id == validated.transaction_id
            and response.is_authentic(validated.password)
        ):
            validated.proven = True
            self._select()

    def unanswered(self) -> list[tuple[Source, bytes]]:
        """Checks of ours to send again."""
        return [(source, v.probe) for source, v in self._sources.items() if not v.proven]

    def _select(self) -> None:
        proven = {source: v for source, v in self._sources.items() if v.proven}
        best = max(
            proven, key=lambda source: (proven[source].nominated, source == self.selected), default=None
        )
        self.selected = best
        if best is None or len(self._credentials) == 1:
            return
        if proven[best].nominated and proven[best].generation == self._generation:
            # The restart is done.
            del self._credentials[1:]
            self._sources = {s: v for s, v in self._sources.items() if v.generation == self._generation}

    def _make_room(self) -> None:
        if len(self._sources) >= MAX_SOURCES:
            others = [source for source in self._sources if source != self.selected]
            del self._sources[min(others, key=lambda source: self._sources[source].checked)]

    def deadline(self) -> float | None:
        """When the first source will have gone without a check for too long."""
        if not self._sources:
            return None
        return min(validated.checked for validated in self._sources.values()) + CONSENT_S

    def expire(self, now: float) -> None:
        """Forget sources whose consent has run out; another takes the selected one's place, if any is
        left."""
        self._sources = {s: v for s, v in self._sources.items() if now < v.checked + CONSENT_S}
        self._select()

    def forget(self) -> None:
        """Forget every source: consent begins anew with the next credentials."""
        self._sources.clear()
        self.selected = None


def _validated(generation: int, credentials: IceCredentials, now: float) -> _Validated:
    transaction_id = secrets.token_bytes(12)
    attributes = [
        (stun.USERNAME, f"{credentials.remote_ufrag}:{credentials.local_ufrag}".encode()),
        (stun.PRIORITY, PRIORITY.to_bytes(4, "big")),
        (stun.ICE_CONTROLLED, secrets.token_bytes(8)),
    ]
    probe = stun.encode(stun.BINDING_REQUEST, transaction_id, attributes, credentials.remote_pwd)
    return _Validated(generation, now, probe, transaction_id, credentials.remote_pwd)
