"""Causes in the signalling and what holds it: NAT that forgets, session timers, ACKs that go astray, MTU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ringback.testing.captures.call import SIDES, T1_S, Call, Side, other
from ringback.testing.captures.draw import Case, between, draw_call
from ringback.testing.captures.hops import Outage
from ringback.testing.captures.models.setup import behind_nat, notices
from ringback.testing.captures.packets import DONT_FRAGMENT, Route, icmp_error, udp_packet
from ringback.testing.captures.voice import Chance

GIVE_UP_S = 64 * T1_S
"""Timers B, F and H (RFC 3261)."""


def nat_timeout(rng: Chance, severity: float) -> Case:
    """A NAT that forgets: its mapping of the media after a pause, or that of the signalling after silence.
    Mild: at the end of the call; severe: after a third of it."""
    return forgotten_signalling(rng) if rng.random() < 0.3 else _forgotten_media(rng, severity)


def _forgotten_media(rng: Chance, severity: float) -> Case:
    """The caller sends nothing for longer than the NAT remembers; what comes for it is dropped from then on.
    When it speaks again, it has another port; the called side follows to that (symmetric RTP), or not."""
    inside, follows = (bool(rng.random() < 0.5) for _ in range(2))
    timeout = float(rng.choice((30, 30, 40, 60)))
    call = draw_call(
        rng,
        seconds=(timeout + 45, 300),
        positions=("near-caller",) if inside else ("middle", "near-called"),
        dtx=False,
    )
    behind_nat(call, stage=1 if inside else 0)
    call.devices["called"].address = call.devices["called"].sip_address
    device = call.devices["caller"]
    call.invite()
    pause = call.media_s + 5 + (call.seconds - timeout - 30) * between(rng, 0.6, 0.15, severity)
    resume = pause + timeout + float(rng.uniform(5, 20))
    call.both_talk()
    voice = call.voices["caller"]
    quiet = (voice.sent_s > pause) & (voice.sent_s < resume)
    voice = voice.take(~quiet).renumbered()
    call.quiet_reports["caller"] = (pause, resume)
    later = int(rng.integers(20000, 60000))
    call.routes["caller"].append(
        lambda position: Route(
            *(call.place("caller", position) if inside else (device.nat_address, later)),
            *call.place("called", position),
        )
    )
    if not inside:
        voice = replace(voice, route=(voice.sent_s >= resume).astype(np.uint8))
    call.voices["caller"] = voice
    gone = pause + timeout
    back = resume + call.way_s("caller") if follows else 1e9
    call.stages["called"][device.nat_stage or 0].insert(0, Outage([(gone, back)]))
    if follows and not inside:
        call.routes["called"].append(lambda position: call.routes["caller"][1](position).reverse)
        answer = call.voices["called"]
        call.voices["called"] = replace(answer, route=(answer.sent_s >= back).astype(np.uint8))
    if not inside and rng.random() < 0.4:
        notices(
            call,
            "called",
            device.nat_address,
            from_side="caller",
            route=call.routes["called"][0],
            begin=gone,
            end=back,
        )
    call.hang_up("caller")
    call.run()
    where = "inside" if inside else "outside"
    text = f"the NAT forgets the caller's media after {timeout:.0f} s without any; the point is {where}"
    text += "; the called side follows" if follows else ""
    return Case(call, text, facts={"timeout_s": timeout, "gone_s": gone})


def forgotten_signalling(rng: Chance) -> Case:
    """Nothing is signalled for longer than the NAT remembers: the called one's BYE never comes."""
    call = draw_call(rng, seconds=(60, 260), positions=("middle", "near-called"))
    behind_nat(call)
    device = call.devices["caller"]
    device.nat_port = device.rtp_port
    call.described["caller"] = {"address": device.nat_address}
    call.invite()
    branch, cseq = call.dialog.token(12), call.dialog.next_cseq("called")
    target = f"{device.nat_address}:{device.nat_sip_port}"
    bye = call.dialog.request("called", "BYE", cseq, branch=branch, target=target)
    end = call.ended_s
    call.repeat("called", end, bye, end + GIVE_UP_S, lost_stage=0)
    call.talk("caller", end_s=end + float(rng.uniform(15, 40)))
    call.talk("called")
    call.run()
    return Case(call, "the NAT has forgotten the caller's signalling: the BYE is not answered")


def session_timer(rng: Chance, severity: float, *, kind: str = "") -> Case:
    """A session that expires: nobody refreshes it, or the refresh is refused or not answered (RFC 4028).

    Mild: after two to four minutes; severe: sooner.
    """
    kind = kind or str(rng.choice(("never", "refused", "unanswered")))
    expires = int(rng.choice((90, 90, 120) if severity > 0.5 else (120, 180, 240)))
    refresher: Side = SIDES[int(rng.integers(2))]
    call = draw_call(rng, seconds=(30, 40))
    call.seconds = expires * 0.5 + 33.0 if kind == "unanswered" else float(expires)
    role = "uac" if refresher == "caller" else "uas"
    asked = [f"Session-Expires: {expires};refresher={role}", "Min-SE: 90", "Supported: timer"]
    call.invite(headers=asked, answer_headers=[asked[0], "Require: timer"])
    who, half = other(refresher), call.answered_s + expires / 2
    reason = ['Reason: SIP ;cause=408 ;text="Session expired"'] if rng.random() < 0.4 else []
    if kind == "never":
        call.ended_s = call.answered_s + expires - min(32.0, expires / 3)
    elif kind == "refused":
        call.ended_s = _refused(call, refresher, half, asked[0], expires)
        who = refresher if call.ended_s < half + 5 else who
    else:
        _unanswered(call, refresher, half, asked[0])
        who, call.ended_s = refresher, half + GIVE_UP_S
    call.extend_talk()
    call.both_talk()
    call.hang_up(who, headers=reason)
    call.run()
    text = f"a session of {expires} s, to be refreshed by {refresher}: {kind}"
    return Case(call, text, facts={"expires_s": expires})


def _refused(call: Call, refresher: Side, half: float, expiry: str, expires: int) -> float:
    """A refusal; when the call ends: at once, or when the session expires."""
    rng = call.rng
    own = replace(call.media(refresher))
    status = int(rng.choice((481, 488, 500)))
    method = "INVITE" if rng.random() < 0.7 else "UPDATE"
    back = call.reinvite(
        refresher, half, own, None, method=method, status=status, headers=[expiry, "Supported: timer"]
    )
    return back + 0.05 if status == 481 else call.answered_s + expires - min(32.0, expires / 3)


def _unanswered(call: Call, refresher: Side, half: float, expiry: str) -> None:
    branch, cseq = call.dialog.token(12), call.dialog.next_cseq(refresher)
    body = call.media(refresher).text(call.dialog.session[refresher])
    headers = [expiry, "Supported: timer"]
    invite = call.dialog.request(refresher, "INVITE", cseq, branch=branch, body=body, headers=headers)
    stage = 3 if refresher == "caller" else 0
    call.repeat(refresher, half, invite, half + GIVE_UP_S, lost_stage=stage)


def missing_ack(rng: Chance, _severity: float) -> Case:
    """The 200 is never acknowledged: the ACK goes to a Contact that leads nowhere, or is not sent. After 32 s
    the called side gives up (RFC 3261, 13.3.1.4)."""
    contact = bool(rng.random() < 0.6)
    call = draw_call(rng, seconds=(GIVE_UP_S, GIVE_UP_S + 0.01))
    called = call.devices["called"]
    target = f"192.168.{rng.integers(256)}.{rng.integers(2, 250)}"
    if contact:
        call.dialog.called.contact = f"{target}:5060"
    call.invite(acknowledge=False)
    accept = call.said.pop()
    text = accept.render(0)
    times = call.repeat("called", call.answered_s, text, call.answered_s + GIVE_UP_S)
    if contact:
        ack = call.dialog.request("caller", "ACK", call.last_cseq(text), branch=call.dialog.token(12))
        for at in times:
            position = call.points[0].position
            route = Route(*call.sip_place("caller", position), target, called.sip_port)
            call.say("caller", at + call.way_s("called") + 0.003, ack, route=route, lost_stage=1)
    call.both_talk()
    call.dialog.called.contact = f"{called.sip_address}:{called.sip_port}"
    call.hang_up("called")
    call.run()
    why = f"the ACK goes to the private Contact {target}" if contact else "no ACK is sent"
    return Case(call, why)


def mtu(rng: Chance, severity: float, *, kind: str = "") -> Case:
    """Messages too large for the way: their later fragments are dropped, or they may not be cut and are too
    big for a link. Without them there is no call, however mild."""
    kind = kind or str(rng.choice(("invite", "answer", "df")))
    call = draw_call(rng, seconds=(30, 60))
    lines = [
        f"a=candidate:{k} 1 UDP {2130706431 - k} 10.0.{k}.{k + 7} {40000 + k} typ host" for k in range(40)
    ]
    size = int(between(rng, 18, 34, severity))
    if kind == "answer":
        return _large_answer(call, lines[:size])
    offered = call.media("caller", extra=lines[:size]).text(call.dialog.session["caller"])
    branch, cseq = call.dialog.token(12), call.dialog.next_cseq("caller")
    invite = call.dialog.request("caller", "INVITE", cseq, branch=branch, body=offered, initial=True)
    call.invited_s = 1.0 + float(rng.random())
    stage = int(rng.integers(0, 3))
    _reachable(call)
    if kind == "df":
        # Of what is too large as a whole, a point behind would see nothing.
        stage = int(rng.integers(call.points[0].position + 1, 4))
        call.devices["caller"].dont_fragment = True
        times = call.repeat("caller", call.invited_s, invite, call.invited_s + GIVE_UP_S, lost_stage=stage)
        if rng.random() < 0.7:
            _too_big(call, times, stage, invite)
        return _ran(
            call, f"an INVITE of {len(invite)} octets that may not be cut does not pass stage {stage}"
        )
    call.devices["caller"].dont_fragment = False
    call.repeat("caller", call.invited_s, invite, call.invited_s + GIVE_UP_S, lost_stage=stage, pieces=1)
    return _ran(call, f"only the first fragment of an INVITE of {len(invite)} octets passes stage {stage}")


def _ran(call: Call, text: str) -> Case:
    call.run()
    return Case(call, text)


def _reachable(call: Call) -> None:
    """Small messages pass: an OPTIONS is answered before and after."""
    dialog = call.dialog
    for at in (0.3, call.invited_s + GIVE_UP_S + 2):
        branch, cseq = dialog.token(12), dialog.next_cseq("caller")
        whole = dialog.call_id
        dialog.call_id = f"{dialog.token(12)}@{dialog.caller.host}"
        request = dialog.request("caller", "OPTIONS", cseq, branch=branch, initial=True)
        came = call.say("caller", at, request)
        call.say("called", came + 0.003, dialog.response("called", 200, "OPTIONS", cseq, branch=branch))
        dialog.call_id = whole


def _too_big(call: Call, times: list[float], stage: int, invite: str) -> None:
    """The router before the small link says so (RFC 1191)."""
    rng, mtu_octets = call.rng, int(call.rng.choice((1280, 1360, 1400, 1420, 1436)))
    for point in call.points:
        position = point.position
        if stage <= position:
            continue
        about = udp_packet(
            Route(*call.sip_place("caller", position), *call.sip_place("called", position)),
            invite.encode(),
            dscp=24,
            ttl=60,
            ip_id=int(rng.integers(65536)),
            flags=DONT_FRAGMENT,
        )
        packet = icmp_error("203.0.113.254", about, code=4, mtu=mtu_octets, ttl=251)
        for at in times:
            back = 2 * call.way_s("caller", position) + 0.012
            call.extras.append((position, at + back, packet, "called"))


def _large_answer(call: Call, lines: list[str]) -> Case:
    """The 200 is what is too large: who calls rings on, who is called speaks to nobody."""
    rng = call.rng
    call.devices["called"].dont_fragment = False
    call.described["called"] = {"extra": lines}
    call.invite(acknowledge=False)
    accept = call.said.pop().render(0)
    stage = int(rng.integers(1, 4))
    call.repeat("called", call.answered_s, accept, call.answered_s + GIVE_UP_S, lost_stage=stage, pieces=1)
    call.talk("called", end_s=call.answered_s + GIVE_UP_S)
    branch, cseq = call.dialog.token(12), call.dialog.next_cseq("called")
    bye = call.dialog.request("called", "BYE", cseq, branch=branch)
    came = call.say("called", call.answered_s + GIVE_UP_S, bye)
    call.say("caller", came + 0.003, call.dialog.response("caller", 481, "BYE", cseq, branch=branch))
    return _ran(call, f"only the first fragment of a 200 of {len(accept)} octets passes stage {stage}")
