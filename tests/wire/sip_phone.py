"""A small SIP phone for what others cannot do: exact key timing, wrong bodies, measured delay (RFC 3261).

UDP, PCMU, MD5 digest. One thread reads signalling; each call's media has its own (`rtp_stream`).
"""

from __future__ import annotations

import hashlib
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from urllib.parse import quote

from tests.wire.ports import bracketed
from tests.wire.rtp_stream import RtpStream

T1_S = 0.5


class CallFailed(AssertionError):
    """A call was not answered with 2xx; `status` is the final answer, 0 when none came."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status


@dataclass
class SipMessage:
    """A message taken apart only as far as the phone needs."""

    first: str
    headers: list[tuple[str, str]]
    body: str
    at: float = field(default_factory=time.monotonic)

    @classmethod
    def parse(cls, data: bytes) -> SipMessage:
        """Take a datagram apart."""
        head, _, body = data.decode(errors="replace").partition("\r\n\r\n")
        lines = re.sub(r"\r\n[ \t]+", " ", head).split("\r\n")
        pairs = [line.partition(":") for line in lines[1:]]
        return cls(lines[0], [(name.strip(), value.strip()) for name, _, value in pairs], body)

    @property
    def status(self) -> int:
        """The status code; 0 for a request."""
        return int(self.first.split()[1]) if self.first.startswith("SIP/2.0") else 0

    @property
    def method(self) -> str:
        """A request's method, or the one a response answers."""
        return self.get("CSeq").split()[1] if self.status else self.first.split()[0]

    def get(self, name: str) -> str:
        """The first header of a name; empty when there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def get_all(self, name: str) -> list[str]:
        """All headers of a name."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def routes(self) -> list[str]:
        """The values of Record-Route, each <uri>."""
        return [value for field in self.get_all("Record-Route") for value in re.findall(r"<[^>]*>", field)]


def digest(challenge: str, method: str, uri: str, user: str, password: str) -> str:
    """An Authorization value for an MD5 challenge with qop=auth (RFC 2617)."""
    fields = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))

    def h(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    cnonce, count = secrets.token_hex(8), "00000001"
    ha1, ha2 = h(f"{user}:{fields['realm']}:{password}"), h(f"{method}:{uri}")
    response = h(f"{ha1}:{fields['nonce']}:{count}:{cnonce}:auth:{ha2}")
    return (
        f'Digest username="{user}", realm="{fields["realm"]}", nonce="{fields["nonce"]}", uri="{uri}", '
        f'response="{response}", algorithm=MD5, qop=auth, nc={count}, cnonce="{cnonce}"'
        + (f', opaque="{fields["opaque"]}"' if "opaque" in fields else "")
    )


class Call:
    """One call of the phone."""

    def __init__(self, phone: SipPhone, target: str, call_id: str, *, outgoing: bool) -> None:
        self.phone, self.target, self.call_id, self.outgoing = phone, target, call_id, outgoing
        self.media = phone.make_stream()
        self.local_tag = secrets.token_hex(4)
        self.local = f"<sip:{phone.user}@{phone.host}>;tag={self.local_tag}"
        self.remote = f"<{target}>"
        self.cseq = 0
        self.remote_cseq = 0
        self.routes: list[str] = []
        """The proxies on the path (RFC 3261 12.1), ours first."""
        self.invite: SipMessage | None = None
        self.ended = threading.Event()
        self.ended_at = 0.0
        self.end_reason = ""
        self.requests: list[SipMessage] = []

    def sdp(self, direction: str = "sendrecv") -> str:
        """The offer or answer: PCMU and telephone events."""
        family = "IP6" if ":" in self.phone.media_local else "IP4"
        return (
            f"v=0\r\no=- 1 {self.cseq + 1} IN {family} {self.phone.media_local}\r\ns=-\r\n"
            f"c=IN {family} {self.phone.media_local}\r\nt=0 0\r\n"
            f"m=audio {self.media.port} RTP/AVP 0 101\r\n"
            f"a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
            f"a=fmtp:101 0-15\r\na=ptime:20\r\na={direction}\r\n"
        )

    def start_media(self, sdp: str) -> None:
        """Send where the far end's description says, with its payload type for keys."""
        port = re.search(r"^m=audio (\d+)", sdp, re.M)
        address = re.search(r"^c=IN IP[46] (\S+)", sdp, re.M)
        assert port, f"no audio in {sdp!r}"
        assert address, f"no address in {sdp!r}"
        event = re.search(r"^a=rtpmap:(\d+) telephone-event/8000", sdp, re.M)
        if event:
            self.media.telephone_event = int(event[1])
        self.media.start((address[1], int(port[1])))

    def hang_up(self) -> None:
        """Send BYE and wait for its answer."""
        if self.ended.is_set():
            return
        answer = self.phone.request(self, "BYE")
        assert answer.status in {200, 481}, answer.first
        self.finish("we hung up")

    def reinvite(self, direction: str) -> SipMessage:
        """Change the call's direction (hold: sendonly) by a re-INVITE; the final answer, acknowledged."""
        answer = self.phone.request(self, "INVITE", self.sdp(direction))
        self.phone.acknowledge(self, answer)
        return answer

    def refer(self, target: str, consulted: Call | None = None) -> SipMessage:
        """Transfer the peer to a number, or to the peer of another call (REFER); the final answer."""
        host, port = self.phone.server
        replaces = "" if consulted is None else "?Replaces=" + quote(consulted.replaces, safe="")
        refer_to = f"Refer-To: <sip:{target}@{host}:{port}{replaces}>"
        return self.phone.request(self, "REFER", headers=(refer_to,))

    @property
    def replaces(self) -> str:
        """This call as its peer knows it, for a Replaces header."""
        tag = re.search(r";tag=([^;\s]+)", self.remote)
        assert tag, f"no tag of the peer: {self.remote}"
        return f"{self.call_id};to-tag={tag[1]};from-tag={self.local_tag}"

    @property
    def progress(self) -> list[int]:
        """What was told of a transfer that was asked for: the status in each NOTIFY, copies left out."""
        told = {request.get("CSeq"): request for request in self.requests if request.method == "NOTIFY"}
        return [int(request.body.split()[1]) for request in told.values()]

    def wait_ended(self, timeout: float) -> None:
        """Wait until the far end hangs up."""
        assert self.ended.wait(timeout), f"the call still stands after {timeout} s"

    def finish(self, reason: str) -> None:
        """The call is over."""
        if not self.ended.is_set():
            self.end_reason = reason
            self.ended_at = time.monotonic()
            self.ended.set()

    def press(self, keys: str, **timing: int) -> None:
        """Press keys and wait until they are out."""
        self.media.press(keys, **timing)
        while self.media.pressing:
            time.sleep(0.01)


class SipPhone:
    """A phone at a server; with `password` it answers challenges.

    `local` is its own address, and `port` the one it signals from, if it matters; its clock is fast by
    `clock_ppm` (negative: slow). Its media is at `media_local`, or where it signals.
    """

    def __init__(
        self,
        server: tuple[str, int],
        user: str = "guest",
        password: str | None = None,
        *,
        host: str = "127.0.0.1",
        local: str = "127.0.0.1",
        media_local: str = "",
        port: int = 0,
        clock_ppm: float = 0.0,
        proxy: tuple[str, int] | None = None,
        inside: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """`inside` is entered to make sockets, such as a host's `entered`; all goes to `proxy`, if given."""
        self.server, self.user, self.password, self.host = server, user, password, host
        self._next_hop = proxy or server
        self.clock_ppm, self._inside = clock_ppm, inside
        self.calls: dict[str, Call] = {}
        self.incoming: list[Call] = []
        self._arrived = threading.Condition()
        self._responses: dict[str, list[SipMessage]] = {}
        self._acks: dict[str, str] = {}
        self._closing = False
        self._open(local, port)
        self.media_local = media_local or local

    def _open(self, local: str, port: int = 0) -> None:
        self.local = bracketed(local)
        self.media_local = local
        with self._inside():
            family = socket.AF_INET6 if ":" in local else socket.AF_INET
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind((local, port))
        self.port: int = self._socket.getsockname()[1]
        self.contact = f"<sip:{self.user}@{self.local}:{self.port}>"
        threading.Thread(target=self._read, args=(self._socket,), daemon=True).start()

    def move(self, local: str) -> None:
        """Go on at another address, calls and their media too; the server is told by what is sent next."""
        self._open(local)
        for call in self.calls.values():
            with self._inside():
                call.media.move(self.media_local)

    def close(self) -> None:
        """End all calls and the phone."""
        for call in self.calls.values():
            if not call.ended.is_set():
                with suppress(OSError):
                    self._send_request(call, "BYE", self._branch())
            call.media.stop()
        self._closing = True
        with suppress(OSError):
            self._socket.sendto(b"", self._socket.getsockname())

    def make_stream(self) -> RtpStream:
        """Ports for the media of a call."""
        with self._inside():
            return RtpStream(self.media_local, clock_ppm=self.clock_ppm)

    # Requests

    @staticmethod
    def _branch() -> str:
        return "z9hG4bK" + secrets.token_hex(8)

    def send(self, text: str | bytes) -> None:
        """Send anything to the server, or to the proxy before it."""
        self._socket.sendto(text.encode() if isinstance(text, str) else text, self._next_hop)

    def _build(
        self,
        call: Call,
        method: str,
        branch: str,
        body: str = "",
        headers: tuple[str, ...] = (),
        cseq: int = 0,
    ) -> str:
        uri, routes = call.target, call.routes
        if routes and ";lr" not in routes[0]:
            # A strict router wants to see itself in the request line (12.2.1.1).
            uri, routes = routes[0].strip("<>"), [*routes[1:], f"<{call.target}>"]
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.local}:{self.port};branch={branch};rport",
            *(f"Route: {route}" for route in routes),
            "Max-Forwards: 70",
            f"From: {call.local}",
            f"To: {call.remote}",
            f"Call-ID: {call.call_id}",
            f"CSeq: {cseq or call.cseq} {method}",
            f"Contact: {self.contact}",
            *headers,
            f"Content-Length: {len(body.encode())}",
        ]
        return "\r\n".join(lines) + "\r\n\r\n" + body

    def _send_request(
        self, call: Call, method: str, branch: str, body: str = "", headers: tuple[str, ...] = ()
    ) -> str:
        call.cseq += 1
        text = self._build(call, method, branch, body, headers)
        self.send(text)
        return text

    def request(
        self,
        call: Call,
        method: str,
        body: str = "",
        headers: tuple[str, ...] = (),
        timeout: float = 10,
    ) -> SipMessage:
        """Send a request and wait for its final answer, sending again as RFC 3261 17.1 says."""
        if body and not any(header.lower().startswith("content-type") for header in headers):
            headers = (*headers, "Content-Type: application/sdp")
        branch = self._branch()
        text = self._send_request(call, method, branch, body, headers)
        deadline, again, step = time.monotonic() + timeout, time.monotonic() + T1_S, T1_S
        with self._arrived:
            while True:
                # A CANCEL has the branch of its INVITE.
                answers = [one for one in self._responses.get(branch, []) if one.method == method]
                final = next((answer for answer in answers if answer.status >= 200), None)
                if final:
                    return final
                now = time.monotonic()
                if now >= deadline:
                    raise CallFailed(0, f"no answer to {method} in {timeout} s")
                if now >= again and not answers:
                    self.send(text)
                    step *= 2
                    again = now + step
                self._arrived.wait(min(deadline, again if not answers else deadline) - now)

    def acknowledge(self, call: Call, answer: SipMessage) -> None:
        """ACK a final answer to INVITE; remembered, and sent again when the answer comes again."""
        branch = (
            self._branch() if answer.status < 300 else re.search(r"branch=([^;\s]+)", answer.get("Via"))[1]
        )  # type: ignore[index]
        before = call.remote
        if answer.status >= 300:
            call.remote = answer.get("To")
        text = self._build(call, "ACK", branch, cseq=int(answer.get("CSeq").split()[0]))
        call.remote = call.remote if answer.status < 300 else before
        self._acks[f"{call.call_id} {answer.get('CSeq')}"] = text
        self.send(text)

    def new_call(self, target: str) -> Call:
        """A dialog to be; `target` is a user part or a whole URI."""
        if not target.startswith("sip"):
            target = f"sip:{target}@{bracketed(self.server[0])}:{self.server[1]}"
        call = Call(self, target, secrets.token_hex(12), outgoing=True)
        self.calls[call.call_id] = call
        return call

    def attempt(self, call: Call, body: str | None = None, headers: tuple[str, ...] = ()) -> SipMessage:
        """INVITE, answering one challenge; the final answer, acknowledged."""
        body = call.sdp() if body is None else body
        answer = self.request(call, "INVITE", body, headers, timeout=40)
        if answer.status in {401, 407} and self.password is not None:
            self.acknowledge(call, answer)
            name = "WWW-Authenticate" if answer.status == 401 else "Proxy-Authenticate"
            value = digest(answer.get(name), "INVITE", call.target, self.user, self.password)
            header = ("Authorization: " if answer.status == 401 else "Proxy-Authorization: ") + value
            answer = self.request(call, "INVITE", body, (*headers, header), timeout=40)
        if answer.status < 300:
            contact = re.search(r"<([^>]+)>", answer.get("Contact"))
            assert contact, f"an answer without Contact: {answer}"
            call.remote, call.target = answer.get("To"), contact[1]
            call.routes = answer.routes[::-1]
        self.acknowledge(call, answer)
        return answer

    def cancel(self, call: Call, timeout: float = 10) -> None:
        """Take an INVITE back that rings (RFC 3261 9.1); `attempt` gets the 487."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: self._provisional(call), timeout), "it does not ring"
            branch = self._provisional(call)
        self.send(self._build(call, "CANCEL", branch))

    def _provisional(self, call: Call) -> str:
        """The branch of the call's INVITE that rings, or nothing."""
        for branch, answers in self._responses.items():
            of_call = [one for one in answers if one.get("CSeq") == f"{call.cseq} INVITE"]
            of_call = [one for one in of_call if one.get("Call-ID") == call.call_id]
            if of_call and 100 < of_call[-1].status < 200:
                return branch
        return ""

    def dial(self, target: str, headers: tuple[str, ...] = ()) -> Call:
        """Call and wait for the answer; raises CallFailed with the status otherwise."""
        call = self.new_call(target)
        answer = self.attempt(call, headers=headers)
        if answer.status >= 300:
            call.media.stop()
            raise CallFailed(answer.status, answer.first)
        call.start_media(answer.body)
        return call

    def subscribe(self, number: str, package: str = "dialog") -> Call:
        """Watch a number; what is told gathers in the result's `requests`. Raises CallFailed when refused."""
        watch = self.new_call(number)
        watch.media.stop()
        watch.finish("no call")
        headers: tuple[str, ...] = (f"Event: {package}", "Expires: 600")
        answer = self.request(watch, "SUBSCRIBE", headers=headers)
        if answer.status == 401 and self.password is not None:
            value = digest(
                answer.get("WWW-Authenticate"), "SUBSCRIBE", watch.target, self.user, self.password
            )
            answer = self.request(watch, "SUBSCRIBE", headers=(*headers, f"Authorization: {value}"))
        if answer.status >= 300:
            raise CallFailed(answer.status, answer.first)
        return watch

    def register(self, expires: int = 60, more: tuple[str, ...] = ()) -> SipMessage:
        """Register this phone's contact; the final answer."""
        call = Call(
            self, f"sip:{bracketed(self.server[0])}:{self.server[1]}", secrets.token_hex(12), outgoing=True
        )
        call.media.stop()
        call.remote = f"<sip:{self.user}@{self.host}>"
        headers = (f"Expires: {expires}", *more)
        answer = self.request(call, "REGISTER", headers=headers)
        if answer.status == 401 and self.password is not None:
            value = digest(answer.get("WWW-Authenticate"), "REGISTER", call.target, self.user, self.password)
            answer = self.request(call, "REGISTER", headers=(*headers, f"Authorization: {value}"))
        return answer

    # What comes in

    def _read(self, connection: socket.socket) -> None:
        while True:
            try:
                data = connection.recv(65536)
            except ConnectionRefusedError:
                continue
            if self._closing:
                connection.close()
                return
            if not data.strip():
                continue
            message = SipMessage.parse(data)
            if message.status:
                self._response(message)
            else:
                self._request(message)

    def _response(self, message: SipMessage) -> None:
        branch = re.search(r"branch=([^;\s]+)", message.get("Via"))
        if not branch:
            return
        with self._arrived:
            known = self._responses.setdefault(branch[1], [])
            again = message.status >= 200 and any(other.status >= 200 for other in known)
            known.append(message)
            self._arrived.notify_all()
        ack = self._acks.get(f"{message.get('Call-ID')} {message.get('CSeq')}")
        if again and ack and message.method == "INVITE":
            self.send(ack)

    def respond(self, request: SipMessage, status: int, reason: str, body: str = "", tag: str = "") -> None:
        """Answer a request."""
        to = request.get("To") + (f";tag={tag}" if tag and "tag=" not in request.get("To") else "")
        lines = [f"SIP/2.0 {status} {reason}", *(f"Via: {via}" for via in request.get_all("Via"))]
        lines += [f"Record-Route: {route}" for route in request.get_all("Record-Route")]
        lines += [f"From: {request.get('From')}", f"To: {to}", f"Call-ID: {request.get('Call-ID')}"]
        lines += [f"CSeq: {request.get('CSeq')}", f"Contact: {self.contact}"]
        lines += ["Content-Type: application/sdp"] if body else []
        lines += [f"Content-Length: {len(body)}"]
        self.send("\r\n".join(lines) + "\r\n\r\n" + body)

    def _request(self, message: SipMessage) -> None:
        call = self.calls.get(message.get("Call-ID"))
        if call is not None:
            call.requests.append(message)
        if message.method == "ACK":
            return
        if message.method == "INVITE" and call is None:
            self._incoming_call(message)
        elif message.method == "INVITE" and call is not None:
            if call.invite is not None and message.get("CSeq") == call.invite.get("CSeq"):
                return
            direction = {"sendonly": "recvonly", "inactive": "inactive"}
            asked = re.search(r"^a=(sendonly|inactive)", message.body, re.M)
            self.respond(message, 200, "OK", call.sdp(direction[asked[1]] if asked else "sendrecv"))
            if message.body:
                call.start_media(message.body)
        elif message.method == "BYE":
            self.respond(message, 200 if call else 481, "OK" if call else "Call/Transaction Does Not Exist")
            if call:
                call.finish(f"BYE {message.get('Reason')}".strip())
        elif message.method == "CANCEL" and call is not None:
            self._cancelled(message, call)
        elif message.method == "CANCEL":
            self.respond(message, 481, "Call/Transaction Does Not Exist")
        else:
            self.respond(message, 200, "OK", tag=secrets.token_hex(4))

    def _cancelled(self, message: SipMessage, call: Call) -> None:
        self.respond(message, 200, "OK")
        if call.invite:
            self.respond(call.invite, 487, "Request Terminated", tag=call.local_tag)
            call.finish("CANCEL")

    def _incoming_call(self, message: SipMessage) -> None:
        contact = re.search(r"<([^>]+)>", message.get("Contact"))
        call = Call(self, contact[1] if contact else "", message.get("Call-ID"), outgoing=False)
        call.remote, call.routes = message.get("From"), message.routes
        call.local = message.get("To") + f";tag={call.local_tag}"
        call.invite = message
        self.respond(message, 180, "Ringing", tag=call.local_tag)
        with self._arrived:
            self.calls[call.call_id] = call
            self.incoming.append(call)
            self._arrived.notify_all()

    def wait_ringing(self, timeout: float = 10) -> Call:
        """Wait for a call, which rings."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: self.incoming, timeout), "nobody calls"
            return self.incoming.pop(0)

    def answer(self, timeout: float = 10) -> Call:
        """Wait for a call and take it."""
        call = self.wait_ringing(timeout)
        assert call.invite is not None
        self.respond(call.invite, 200, "OK", call.sdp(), tag=call.local_tag)
        call.start_media(call.invite.body)
        return call
