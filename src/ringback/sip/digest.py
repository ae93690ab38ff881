"""Digest authentication, both sides: who a request comes from (RFC 7616, RFC 8760, RFC 3261 §22)."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from ringback.governance.private import Private
from ringback.sip.errors import SipSyntaxError
from ringback.sip.grammar import quote, unquote
from ringback.sip.uri import SipUri, TelUri, Uri, parse_uri

Algorithm = Literal["MD5", "SHA-256"]
Reason = Literal["malformed", "realm", "unsupported", "uri", "credentials", "stale", "replay"]

NONCE_LIFETIME_S: Final = 300.0
MAX_VALUE_CHARACTERS: Final = 4_096
MAX_USED_NONCES: Final = 100_000

_ALGORITHMS: Final[dict[str, Algorithm]] = {"md5": "MD5", "sha-256": "SHA-256"}
_SCHEME = re.compile(r"[ \t]*digest[ \t]+", re.IGNORECASE)
_PARAM = re.compile(
    r"[ \t]*([A-Za-z0-9!#$%&'*+.^_`|~-]+)[ \t]*=[ \t]*(\"(?:[^\"\\]|\\.)*\"|[^\s,\"]+)[ \t]*(,|$)", re.DOTALL
)
_NONCE_COUNT = re.compile(r"[0-9A-Fa-f]{8}")
_NONCE = re.compile(r"([0-9a-f]{12})([0-9a-f]{16})([0-9a-f]{32})")
# How far behind the highest one a nonce count may come: requests overtake each other on UDP.
_WINDOW: Final = 64


@dataclass(frozen=True, slots=True)
class Credential:
    """What is stored of a password: H(username:realm:password) by algorithm, in hex; None: does not do."""

    username: str
    ha1_md5: Private[str] | None
    ha1_sha256: Private[str] | None = None

    def ha1(self, algorithm: Algorithm) -> Private[str] | None:
        """The hash for an algorithm, if there is one."""
        return self.ha1_md5 if algorithm == "MD5" else self.ha1_sha256


@dataclass(frozen=True, slots=True)
class Accepted:
    """The request comes from this user."""

    username: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why credentials are not taken.

    `stale`: the nonce is not one to use now: challenge again with stale=true, this is no failed attempt.
    The reason is for counters and logs, never for the peer.
    """

    reason: Reason
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Challenge:
    """A WWW-Authenticate or Proxy-Authenticate value we can answer; `qop` is False for RFC 2069 servers."""

    realm: str
    nonce: str
    algorithm: Algorithm
    qop: bool
    opaque: str | None = None
    stale: bool = False


def make_ha1(username: str, realm: str, password: str, algorithm: Algorithm = "MD5") -> Private[str]:
    """H(username:realm:password) in hex, what a registrar keeps instead of a password (RFC 7616 §3.4.2)."""
    return Private(_hash(algorithm, f"{username}:{realm}:{password}"))


def digest_response(
    ha1: Private[str],
    method: str,
    uri: str,
    nonce: str,
    *,
    algorithm: Algorithm = "MD5",
    nonce_count: str | None = None,
    cnonce: str | None = None,
) -> str:
    """The response in hex: with qop=auth when there are `nonce_count` and `cnonce`, else as in RFC 2069."""
    ha2 = _hash(algorithm, f"{method}:{uri}")
    counted = f"{nonce_count}:{cnonce}:auth:" if nonce_count is not None else ""
    return _hash(algorithm, f"{ha1.reveal()}:{nonce}:{counted}{ha2}")


def parse_digest(value: str) -> dict[str, str] | None:
    """The parameters of a Digest challenge or of credentials, names in lower case, values unquoted.

    None when it is no Digest, is malformed, too long, or names a parameter twice.
    """
    scheme = _SCHEME.match(value) if len(value) <= MAX_VALUE_CHARACTERS else None
    if scheme is None:
        return None
    parameters: dict[str, str] = {}
    position = scheme.end()
    while position < len(value):
        match = _PARAM.match(value, position)
        if match is None or match[1].lower() in parameters:
            return None
        parameters[match[1].lower()] = unquote(match[2])
        position = match.end()
    return parameters


@dataclass(slots=True)
class _Counts:
    """The nonce counts seen with one nonce: the highest, and a bit for each of the 64 below it."""

    highest: int = 0
    seen: int = 0

    def take(self, count: int) -> bool:
        """Note a count; False when it was there before or is too old to know."""
        if count > self.highest:
            self.seen = ((self.seen << (count - self.highest)) | 1) if count - self.highest < _WINDOW else 1
            self.seen &= (1 << _WINDOW) - 1
            self.highest = count
            return True
        behind = self.highest - count
        # Looked at before the shift: a count that jumps by 2**32 would make it half a gigabyte long.
        if behind >= _WINDOW or self.seen >> behind & 1:
            return False
        self.seen |= 1 << behind
        return True


@dataclass(slots=True)
class DigestAuthenticator:
    """The server side: makes challenges and checks what comes back.

    A nonce is its time, some randomness and an HMAC of both and of the source it was given to, so that
    nothing is kept for a challenge nobody answers, and nobody fails in the name of an address that is not
    theirs. Memory (some 350 octets each) is only spent on nonces that were used with the right password, at
    most `MAX_USED_NONCES`: enough for all phones of a big site, so that refreshes are not challenged anew.
    `secret` is 16 bytes or more; two servers that share it take each other's nonces if their clocks agree.
    """

    realm: str
    secret: Private[bytes] = field(default_factory=lambda: Private(secrets.token_bytes(32)))
    algorithms: Collection[Algorithm] = ("MD5", "SHA-256")
    lifetime_s: float = NONCE_LIFETIME_S
    max_used_nonces: int = MAX_USED_NONCES
    random_bytes: Callable[[int], bytes] = field(default=secrets.token_bytes, repr=False)
    _used: OrderedDict[str, _Counts] = field(default_factory=OrderedDict, init=False, repr=False)
    # Used nonces that had to be forgotten were issued no later than this: others as old are not taken.
    _forgotten_ms: int = field(default=-1, init=False, repr=False)

    def challenge(
        self, now: float, *, stale: bool = False, algorithm: Algorithm = "MD5", source: str = ""
    ) -> str:
        """A WWW-Authenticate value for a source. One MD5 challenge is what every phone understands."""
        suffix = ", stale=true" if stale else ""
        nonce = self._new_nonce(now, source)
        return f'Digest realm={quote(self.realm)}, nonce="{nonce}", algorithm={algorithm}, qop="auth"{suffix}'

    def find(self, values: Iterable[str]) -> str | None:
        """Of several Authorization values the one for our realm."""
        for value in values:
            parameters = parse_digest(value)
            if parameters is not None and parameters.get("realm") == self.realm:
                return value
        return None

    def proves_source(self, value: str, now: float, source: str) -> bool | Rejected:
        """True for an Authorization value with a nonce that was given to this source lately.

        Such a request shows, whatever the password, that its sender gets what is sent to its source.
        """
        given = _read_credentials(value, self.realm)
        if isinstance(given, Rejected):
            return given
        return self._is_fresh(given.nonce, now, source) or Rejected("stale", stale=True)

    def check(
        self,
        value: str,
        method: str,
        uri: Uri,
        lookup: Callable[[str], Credential | None],
        now: float,
        *,
        source: str = "",
    ) -> Accepted | Rejected:
        """Check an Authorization value of a request with this method and Request-URI from a source.

        The nonce comes first: one that was not given to this source lately says nothing about the password,
        right or wrong. A user that does not exist costs the same work as one that does.
        """
        given = _read_credentials(value, self.realm)
        if isinstance(given, Rejected):
            return given
        if given.algorithm not in self.algorithms:
            return Rejected("unsupported")
        if not same_target(given.uri, uri):
            return Rejected("uri")
        if not self._is_fresh(given.nonce, now, source):
            return Rejected("stale", stale=True)
        if not self._knows_password(given, method, lookup):
            return Rejected("credentials")
        return self._check_count(given) or Accepted(given.username)

    def _knows_password(self, given: _Given, method: str, lookup: Callable[[str], Credential | None]) -> bool:
        credential = lookup(given.username)
        ha1 = credential.ha1(given.algorithm) if credential is not None else None
        expected = digest_response(
            ha1 or _NOBODY[given.algorithm],
            method,
            given.uri,
            given.nonce,
            algorithm=given.algorithm,
            nonce_count=given.nonce_count,
            cnonce=given.cnonce,
        )
        same = hmac.compare_digest(_bytes(expected), _bytes(given.response.lower()))
        return same and ha1 is not None

    def _is_fresh(self, nonce: str, now: float, source: str) -> bool:
        match = _NONCE.fullmatch(nonce)
        if match is None or not hmac.compare_digest(self._sign(match[1] + match[2], source), match[3]):
            # Of an earlier run of ours, perhaps.
            return False
        return 0 <= now * 1_000 - int(match[1], 16) <= self.lifetime_s * 1_000

    def _check_count(self, given: _Given) -> Rejected | None:
        issued_ms = int(given.nonce[:12], 16)
        counts = self._used.get(given.nonce)
        if counts is None:
            if issued_ms <= self._forgotten_ms:
                return Rejected("stale", stale=True)
            counts = self._used[given.nonce] = _Counts()
            self._forget_oldest()
        # Without qop there is no count: such a nonce is good once.
        count = int(given.nonce_count, 16) if given.nonce_count is not None else 2**32
        return None if counts.take(count) else Rejected("replay", stale=True)

    def _forget_oldest(self) -> None:
        while len(self._used) > self.max_used_nonces:
            nonce, _ = self._used.popitem(last=False)
            self._forgotten_ms = max(self._forgotten_ms, int(nonce[:12], 16))

    def _new_nonce(self, now: float, source: str) -> str:
        stamped = f"{int(now * 1_000) & 0xFFFF_FFFF_FFFF:012x}{self.random_bytes(8).hex()}"
        return stamped + self._sign(stamped, source)

    def _sign(self, stamped: str, source: str) -> str:
        return hmac.new(self.secret.reveal(), f"{stamped} {source}".encode(), hashlib.sha256).hexdigest()[:32]


def parse_challenge(value: str) -> Challenge | None:
    """Read a challenge we could answer; None for other schemes and algorithms, or auth-int alone."""
    parameters = parse_digest(value)
    if parameters is None or not parameters.get("nonce") or "realm" not in parameters:
        return None
    algorithm = _ALGORITHMS.get(parameters.get("algorithm", "MD5").lower())
    qops = [qop.strip().lower() for qop in parameters.get("qop", "").split(",") if qop.strip()]
    if algorithm is None or (qops and "auth" not in qops):
        return None
    return Challenge(
        realm=parameters["realm"],
        nonce=parameters["nonce"],
        algorithm=algorithm,
        qop=bool(qops),
        opaque=parameters.get("opaque"),
        stale=parameters.get("stale", "").lower() == "true",
    )


def authorize(
    challenge: Challenge,
    method: str,
    uri: Uri | str,
    username: str,
    password: Private[str],
    *,
    realm: str | None = None,
    cnonce: str | None = None,
    nonce_count: int = 1,
) -> str | None:
    """The Authorization value that answers a challenge.

    `realm` is the one the password belongs to: a challenge of another realm is not answered (None), so that
    nobody collects digests of passwords that are not theirs to ask for.
    """
    if realm is not None and realm != challenge.realm:
        return None
    counted = f"{nonce_count:08x}" if challenge.qop else None
    cnonce = cnonce or secrets.token_hex(8)
    response = digest_response(
        make_ha1(username, challenge.realm, password.reveal(), challenge.algorithm),
        method,
        str(uri),
        challenge.nonce,
        algorithm=challenge.algorithm,
        nonce_count=counted,
        cnonce=cnonce,
    )
    parts = [
        f"username={quote(username)}",
        f"realm={quote(challenge.realm)}",
        f"nonce={quote(challenge.nonce)}",
        f"uri={quote(str(uri))}",
        f'response="{response}"',
        f"algorithm={challenge.algorithm}",
    ]
    if counted is not None:
        parts += [f"cnonce={quote(cnonce)}", "qop=auth", f"nc={counted}"]
    if challenge.opaque is not None:
        parts.append(f"opaque={quote(challenge.opaque)}")
    return "Digest " + ", ".join(parts)


def same_target(text: str, uri: Uri) -> bool:
    """Whether a digest uri names what the request goes to (RFC 3261 §22.4).

    The host makes no difference, nor do port, parameters and sips for sip: proxies put our address in place
    of a name, and all that reaches us is for us. The user does, or credentials for one number would open
    another.
    """
    if text == str(uri):
        return True
    try:
        given = parse_uri(text)
    except SipSyntaxError:
        return False
    if isinstance(given, SipUri) and isinstance(uri, SipUri):
        return given.username == uri.username
    return isinstance(given, TelUri) and isinstance(uri, TelUri) and given.digits == uri.digits


@dataclass(frozen=True, slots=True)
class _Given:
    """Credentials as a peer sent them; without qop the last two are None."""

    username: str
    nonce: str
    uri: str
    response: str
    algorithm: Algorithm
    nonce_count: str | None
    cnonce: str | None


def _read_credentials(value: str, realm: str) -> _Given | Rejected:
    parameters = parse_digest(value)
    if parameters is None or any(
        not parameters.get(name) for name in ("username", "nonce", "uri", "response")
    ):
        return Rejected("malformed")
    if parameters.get("realm") != realm:
        return Rejected("realm")
    algorithm = _ALGORITHMS.get(parameters.get("algorithm", "MD5").lower())
    qop = parameters.get("qop")
    if algorithm is None or (qop is not None and qop.lower() != "auth"):
        return Rejected("unsupported")
    nonce_count, cnonce = parameters.get("nc"), parameters.get("cnonce")
    if qop is not None and (
        nonce_count is None
        or cnonce is None
        or not _NONCE_COUNT.fullmatch(nonce_count)
        or not int(nonce_count, 16)
    ):
        return Rejected("malformed")
    return _Given(
        username=parameters["username"],
        nonce=parameters["nonce"],
        uri=parameters["uri"],
        response=parameters["response"],
        algorithm=algorithm,
        nonce_count=nonce_count if qop is not None else None,
        cnonce=cnonce if qop is not None else None,
    )


def _hash(algorithm: Algorithm, text: str) -> str:
    if algorithm == "MD5":
        return hashlib.md5(_bytes(text), usedforsecurity=False).hexdigest()
    return hashlib.sha256(_bytes(text)).hexdigest()


def _bytes(text: str) -> bytes:
    # Header text keeps bytes that are no UTF-8 as surrogates; the digest is over the bytes.
    return text.encode("utf-8", "surrogateescape")


_NOBODY: Final[dict[Algorithm, Private[str]]] = {"MD5": Private("0" * 32), "SHA-256": Private("0" * 64)}
