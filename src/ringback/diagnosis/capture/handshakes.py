"""TLS and DTLS as a bystander sees them: how far a handshake came, in which version (RFC 5246, 6347, 8446,
9147)."""

from __future__ import annotations

from typing import Final

_CHANGE_CIPHER, _ALERT, _HANDSHAKE, _APPLICATION = 20, 21, 22, 23
_CLIENT_HELLO, _SERVER_HELLO = 1, 2
_LONGEST_RECORD: Final = 0x4800
_DTLS_HEADER: Final = 13
_TLS_HEADER: Final = 5
_SUPPORTED_VERSIONS: Final = 43
_VERSIONS: Final = {
    0x0300: "SSL 3.0",
    0x0301: "TLS 1.0",
    0x0302: "TLS 1.1",
    0x0303: "TLS 1.2",
    0x0304: "TLS 1.3",
    0xFEFF: "DTLS 1.0",
    0xFEFD: "DTLS 1.2",
    0xFEFC: "DTLS 1.3",
}
_ALERTS: Final = {
    0: "close notify",
    10: "unexpected message",
    20: "bad record MAC",
    40: "handshake failure",
    42: "bad certificate",
    43: "unsupported certificate",
    44: "certificate revoked",
    45: "certificate expired",
    46: "certificate unknown",
    47: "illegal parameter",
    48: "unknown authority",
    49: "access denied",
    50: "decode error",
    51: "decrypt error",
    70: "protocol version",
    71: "insufficient security",
    80: "internal error",
    86: "inappropriate fallback",
    112: "unrecognized name",
    116: "certificate required",
    120: "no application protocol",
}


def is_tls(data: bytes) -> bool:
    """Whether bytes begin with a record of TLS (RFC 8446, 5.1)."""
    return (
        len(data) >= _TLS_HEADER
        and _CHANGE_CIPHER <= data[0] <= _APPLICATION
        and data[1] == 3
        and data[2] <= 4
        and 0 < data[3] << 8 | data[4] <= _LONGEST_RECORD
    )


def is_dtls(data: bytes) -> bool:
    """Whether a datagram begins with a record of DTLS, ciphertexts of version 1.3 apart (RFC 6347, 4.1)."""
    return (
        len(data) >= _DTLS_HEADER
        and _CHANGE_CIPHER <= data[0] <= _APPLICATION + 2
        and data[1] == 0xFE
        and data[2] in (0xFF, 0xFD, 0xFC)
        and data[11] << 8 | data[12] <= _LONGEST_RECORD
    )


class HandshakeFacts:
    """What one side of an association let be seen."""

    def __init__(self) -> None:
        self.hello = 0
        """ClientHellos or ServerHellos, repetitions included."""
        self.is_client = False
        self.finished = False
        self.application = 0
        """Records that carry the user's data, as far as the outside tells."""
        self.version = 0
        self._alerts: list[int] = []
        self._encrypted = False

    def note_datagram(self, data: bytes) -> None:
        """Take the records of a datagram."""
        at = 0
        while at + _DTLS_HEADER <= len(data):
            if data[at] & 0xE0 == 0x20:
                # All of version 1.3 that is encrypted looks the same.
                self.application += 1
                return
            epoch = data[at + 3] << 8 | data[at + 4]
            end = at + _DTLS_HEADER + (data[at + 11] << 8 | data[at + 12])
            # The header of a handshake message is 8 octets longer than in TLS: its place among fragments.
            self._record(data[at], data[at + 1] << 8 | data[at + 2], data[at + 13 : end], epoch > 0, 12)
            at = end

    def note_segment(self, data: bytes) -> None:
        """Take the records that begin in a segment of TCP, if it begins with one."""
        at = 0
        while is_tls(data[at : at + _TLS_HEADER]):
            end = at + _TLS_HEADER + (data[at + 3] << 8 | data[at + 4])
            version = data[at + 1] << 8 | data[at + 2]
            self._record(data[at], version, data[at + 5 : end], self._encrypted, 4)
            at = end

    def text(self, other_side: HandshakeFacts | None) -> str:
        """In words: `DTLS 1.2, handshake seen, finished, 12 records of application data`."""
        parts = [_VERSIONS[self.version]] if self.version in _VERSIONS else []
        if other_side is not None and not other_side.is_client and other_side.hello:
            # What is used is what the server said.
            parts = [_VERSIONS.get(other_side.version, "unknown version")]
        if not self.hello:
            parts.append("handshake not seen")
        elif self.is_client and (other_side is None or not (other_side.hello or other_side._alerts)):
            parts.append(f"handshake without an answer, asked {self.hello} times")
        else:
            parts.append("handshake seen")
        if self.finished:
            parts.append("finished")
        if self.application:
            parts.append(f"{self.application} records of application data")
        parts += [f"alert {code} ({_ALERTS.get(code, 'unknown')})" for code in self._alerts]
        return ", ".join(parts)

    def _record(self, kind: int, version: int, body: bytes, encrypted: bool, header: int) -> None:
        if kind == _APPLICATION:
            self.application += 1
        elif kind == _CHANGE_CIPHER:
            self._encrypted = True
        elif kind == _ALERT:
            if not encrypted and len(body) == 2 and len(self._alerts) < 4:
                self._alerts.append(body[1])
        elif kind == _HANDSHAKE and encrypted:
            self.finished = True
        elif kind == _HANDSHAKE and body and body[0] in (_CLIENT_HELLO, _SERVER_HELLO):
            self.hello += 1
            self.is_client = body[0] == _CLIENT_HELLO
            self.version = version if self.is_client else _chosen_version(body[header:]) or version


def _chosen_version(hello: bytes) -> int:
    """The version that a ServerHello decides on (RFC 8446, 4.1.3, 4.2.1); 0 when it is cut."""
    if len(hello) < 38:
        return 0
    version = hello[0] << 8 | hello[1]
    at = 35 + hello[34] + 3
    if len(hello) < at + 2:
        return version
    end = at + 2 + (hello[at] << 8 | hello[at + 1])
    at += 2
    while at + 4 <= min(end, len(hello)):
        length = hello[at + 2] << 8 | hello[at + 3]
        if hello[at] << 8 | hello[at + 1] == _SUPPORTED_VERSIONS and length == 2 and at + 6 <= len(hello):
            return hello[at + 4] << 8 | hello[at + 5]
        at += 4 + length
    return version
