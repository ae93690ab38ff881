"""SIPp, which plays the part that a scenario writes: its own scenarios, and those that a test puts together.

What to know of version 3.6:
- It knows MD5 digests only, and signs the URI of the host alone unless it is told better.
- `-lost` drops so many of each hundred messages that it sends, and of those that come. What it sends with
  `retrans` goes again (RFC 3261, 17.1), as does an ACK to a 2xx for each copy of that; an ACK to a refusal
  does not, so that a scenario with a challenge does not bear losses.
- Copies of what came last are not told to the scenario, but that of an INVITE whose answers it has lost fails
  the call of its own `uas`.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.wire.ports import free_ports

SDP = """
v=0
o=- 1 [pid] IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [auto_media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
"""
THERE = "sip:[service]@[remote_ip]:[remote_port]"
NEW_VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport"


class SippError(AssertionError):
    """A call did not go as its scenario says."""


# Parts of scenarios


def request(
    method: str, cseq: int, *headers: str, uri: str = "[next_url]", sdp: bool = False, via: str = NEW_VIA
) -> str:
    """Send a request; [user] is who calls. Before a call has a Contact, `uri` is THERE."""
    lines = [
        f"{method} {uri} SIP/2.0",
        via,
        "From: <sip:[user]@[remote_ip]>;tag=[pid]c[call_number]",
        # A tag once heard stays, also that of a refusal.
        f"To: <sip:[service]@[remote_ip]>{'' if uri == THERE and method != 'ACK' else '[peer_tag_param]'}",
        "Call-ID: [call_id]",
        f"CSeq: {cseq} {method}",
        "Contact: <sip:[user]@[local_ip]:[local_port]>",
        "Max-Forwards: 70",
        *headers,
    ]
    return _send(lines, sdp, again_ms=0 if method == "ACK" else 500)


def response(status: str, *headers: str, sdp: bool = False) -> str:
    """Answer the request that came last; with SDP again and again, until something else comes.

    That begins before the other side does the same (T1): a call that waits for both at once goes wrong.
    """
    lines = [
        f"SIP/2.0 {status}",
        "[last_Via:]",
        "[last_From:]",
        "[last_To:];tag=[pid]s[call_number]",
        "[last_Call-ID:]",
        "[last_CSeq:]",
        "Contact: <sip:[user]@[local_ip]:[local_port]>",
        *headers,
    ]
    return _send(lines, sdp, again_ms=200 if sdp else 0)


def in_dialog(status: str, *headers: str, sdp: bool = False) -> str:
    """Answer the request that came last, whose To has our tag already."""
    return response(status, *headers, sdp=sdp).replace("[last_To:];tag=[pid]s[call_number]", "[last_To:]")


def _send(lines: list[str], sdp: bool, *, again_ms: int) -> str:
    kind = ["Content-Type: application/sdp"] if sdp else []
    text = "\n".join([*lines, *kind, "Content-Length: [len]"]) + "\n" + (SDP if sdp else "\n")
    retrans = f' retrans="{again_ms}"' if again_ms else ""
    return f"<send{retrans}><![CDATA[\n{text}]]></send>\n"


def expect(what: str | int, *checks: str, optional: bool = False, **attributes: str) -> str:
    """Wait for a request or a response that passes the checks."""
    kind = "response" if isinstance(what, int) else "request"
    if optional:
        attributes["optional"] = "true"
    words = "".join(f' {name}="{value}"' for name, value in attributes.items())
    action = f"<action>{''.join(checks)}</action>" if checks else ""
    return f'<recv {kind}="{what}"{words}>{action}</recv>\n'


def holds(pattern: str, header: str = "") -> str:
    """A check: this regular expression is found in the message, or in a header; what matches is [$seen]."""
    where = f'search_in="hdr" header="{header}:"' if header else 'search_in="msg"'
    return f'<ereg regexp="{pattern}" {where} check_it="true" assign_to="seen"/>'


def label(number: int) -> str:
    """Where `next` of another part may go."""
    return f'<label id="{number}"/>\n'


def pause(milliseconds: int) -> str:
    """Do nothing for a while."""
    return f'<pause milliseconds="{milliseconds}"/>\n'


def challenged(method: str, user: str, password: str, *headers: str, sdp: bool = False) -> str:
    """A request outside a dialog, and again with credentials as the 401 demands; its answer is to come."""
    trying = expect(100, optional=True) if method == "INVITE" else ""
    ack = request("ACK", 1, uri=THERE, via="[last_Via:]") if method == "INVITE" else ""
    shown = f"[authentication username={user} password={password}]"
    return (
        request(method, 1, *headers, uri=THERE, sdp=sdp)
        + trying
        + expect(401, auth="true")
        + ack
        + request(method, 2, *headers, shown, uri=THERE, sdp=sdp)
        + trying
    )


class Sipp:
    """One run of SIPp against `remote`; `words` are its options.

    `scenario` is parts as above, or `builtin` names one of its own. `user` is who calls or is called.
    """

    def __init__(
        self,
        folder: Path,
        remote: tuple[str, int],
        *words: str,
        scenario: str = "",
        builtin: str = "",
        user: str = "sipp",
        port: int = 0,
        calls: int = 1,
    ) -> None:
        self.folder, self.port = folder, port or free_ports(4)
        folder.mkdir(parents=True)
        path = folder / "scenario.xml"
        # A variable that is only set would be an error.
        used = '<Reference variables="seen"/>\n' if 'assign_to="seen"' in scenario else ""
        path.write_text(f'<?xml version="1.0"?>\n<scenario name="test">\n{scenario}{used}</scenario>\n')
        what = ["-sn", builtin] if builtin else ["-sf", str(path)]
        service = words[words.index("-s") + 1] if "-s" in words else "service"
        self._command = [
            *("sipp", f"{remote[0]}:{remote[1]}", *what, "-i", "127.0.0.1", "-p", str(self.port)),
            *("-m", str(calls), "-key", "user", user, "-nostdin", "-recv_timeout", "60000"),
            *("-trace_err", "-error_file", str(folder / "errors.log")),
            *("-trace_msg", "-message_file", str(folder / "messages.log")),
            *("-auth_uri", f"{service}@{remote[0]}:{remote[1]}"),
            *words,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Sipp:
        """Begin."""
        with (self.folder / "screen.log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    def finish(self, timeout: float = 60) -> None:
        """Wait for the end of all calls; raises SippError when one failed, or when they do not end."""
        assert self._process is not None
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise SippError(f"still there after {timeout} s\n{self.said()}") from None
        if status != 0:
            raise SippError(f"exit {status}\n{self.said()}")

    def stop(self) -> None:
        """End it, by its process id."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def said(self) -> str:
        """What went wrong, and the last messages."""
        files = [self.folder / name for name in ("messages.log", "screen.log", "errors.log")]
        return "\n".join(path.read_text(errors="replace")[-3000:] for path in files if path.exists())

    def errors(self) -> str:
        """Why it gave calls up."""
        return (self.folder / "errors.log").read_text(errors="replace")

    def messages(self) -> str:
        """All that it sent and received so far, oldest first."""
        path = self.folder / "messages.log"
        return path.read_text(errors="replace") if path.exists() else ""
