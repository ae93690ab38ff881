"""A diagnosis as JSON: names that stay, times in ISO 8601 and UTC, numbers masked unless asked otherwise.

docs/diagnosis.md lists the names. What is not known is null: there is never a NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringback.diagnosis.capture.captured import Capture, FileProblem
from ringback.diagnosis.causes.verdict import Cause, Verdict
from ringback.diagnosis.diagnosed import DiagnosedCall, DiagnosedStream, Diagnosis
from ringback.diagnosis.many.json_form import many_as_json
from ringback.diagnosis.points.json_form import points_as_json
from ringback.diagnosis.replayed import replayed_as_json
from ringback.diagnosis.shown import call_name, moment, shown_address
from ringback.diagnosis.shown import finite as _number
from ringback.diagnosis.signalling.call import CallRecord, Finding, MediaOffer
from ringback.diagnosis.stream.measured import Interval, Jitter, Late, Measured, Mos, Phase, Sound

Json = dict[str, Any]


def as_json(diagnosis: Diagnosis, *, show_numbers: bool = False) -> Json:
    """The whole diagnosis; `json.dumps(..., allow_nan=False)` takes it as it is."""
    owners = {stream.measured.key: call for call in diagnosis.unsignalled for stream in call.streams}
    names = {
        call.record.label: call_name(call.record, show_numbers)
        for call in diagnosis.calls
        if call.record is not None
    }
    window = diagnosis.window
    return {
        "calls": [
            _call(call, call.record, show_numbers) for call in diagnosis.calls if call.record is not None
        ],
        "streams": [
            _stream(stream, names.get(stream.call or ""), owners.get(stream.measured.key))
            | {"what_if": replayed_as_json(diagnosis.what_if.get((stream.point, stream.measured.key), ()))}
            for stream in diagnosis.streams
        ],
        "file_problems": [_problem(problem) for problem in diagnosis.problems],
        "captures": [_capture(capture) for capture in diagnosis.captures],
        "began": moment(window.began_ns) if window.ended_ns else None,
        "ended": moment(window.ended_ns) if window.ended_ns else None,
        "complaint": None
        if diagnosis.complaint is None
        else {
            "began": moment(diagnosis.complaint.began_ns),
            "ended": moment(diagnosis.complaint.ended_ns),
        },
        "marks": [{"at": moment(mark.at_ns), "text": mark.text} for mark in diagnosis.marks],
        "other_dialogs": {
            "requests": dict(diagnosis.other.requests),
            "statuses": dict(diagnosis.other.statuses),
            "findings": [_finding(finding) for finding in diagnosis.other.findings],
            "malformed": diagnosis.other.malformed,
        },
        "many": None if diagnosis.many is None else many_as_json(diagnosis.many),
        "points": None if diagnosis.comparison is None else points_as_json(diagnosis.comparison),
        "numbers_masked": not show_numbers,
    }


def _call(call: DiagnosedCall, record: CallRecord, show_numbers: bool) -> Json:
    sent = dict.fromkeys(stream.measured.codec.name for stream in call.streams if stream.measured.codec.name)
    return {
        "call_id": call_name(record, show_numbers),
        "from": shown_address(record.from_, show_numbers),
        "to": shown_address(record.to, show_numbers),
        "start": moment(record.start_ns),
        "outcome": record.outcome,
        "setup_ms": _number(record.setup_ms),
        "codecs": {
            "offered": list(record.offered),
            "negotiated": list(record.negotiated),
            "sent": list(sent),
        },
        "findings": [_finding(finding) for finding in call.findings],
        "verdict": _verdict(call.verdict),
        "standing": call.standing,
        "label": record.label,
        "answered": _moment_or_none(record.answered_ns),
        "ended": _moment_or_none(record.ended_ns),
        "ended_by": record.ended_by,
        "status": record.status,
        "reason": record.reason,
        "post_dial_ms": _number(record.post_dial_ms),
        "retransmissions": dict(record.retransmissions),
        "session_expires_s": record.session_expires_s,
        "refresher": record.refresher,
        "user_agents": dict(record.user_agents),
        "complete": record.complete,
        "ladder": [
            {
                "at": moment(message.at_ns),
                "src": message.endpoints.src,
                "sport": message.endpoints.sport,
                "dst": message.endpoints.dst,
                "dport": message.endpoints.dport,
                "transport": message.transport,
                "label": message.label,
                "cseq": message.cseq,
                "retransmission": message.retransmission,
                "has_sdp": message.has_sdp,
                "frame": message.packet.frame,
                "note": message.note,
            }
            for message in record.messages
        ],
        "media": [_offer(offer) for offer in record.media],
    }


def _verdict(verdict: Verdict) -> Json:
    return {
        "summary": verdict.summary,
        "causes": [_cause(cause) for cause in verdict.causes],
        "refused": verdict.refused,
    }


def _cause(cause: Cause) -> Json:
    return {
        "cause": cause.cause,
        "confidence": _number(cause.confidence, 3),
        "for": list(cause.for_),
        "against": list(cause.against),
        "missing": list(cause.missing),
        "next_step": cause.next_step,
        "would_not_help": list(cause.useless),
        "streams": [f"0x{key.ssrc:08X}" for key in cause.streams],
    }


def _finding(finding: Finding) -> Json:
    data = {} if finding.data is None else finding.data
    return {
        "code": finding.code,
        "text": finding.text,
        "at": moment(finding.at_ns),
        "severity": finding.severity,
        "data": {name: _number(v) if isinstance(v, float) else v for name, v in data.items()},
    }


def _offer(offer: MediaOffer) -> Json:
    return {
        "at": moment(offer.at_ns),
        "by": offer.by,
        "kind": offer.kind,
        "address": offer.address,
        "port": offer.port,
        "signalled_from": offer.signalled_from,
        "direction": offer.direction,
        "codecs": [offer.formats[number].name for number in offer.order if number in offer.formats],
        "ptime_ms": _number(offer.ptime_ms),
        "protocol": offer.protocol,
        "answers": offer.answers,
        "accepted": offer.accepted,
        "in_dialog": offer.in_dialog,
    }


def _stream(stream: DiagnosedStream, call_id: str | None, alone: DiagnosedCall | None) -> Json:
    measured = stream.measured
    key = measured.key
    return {
        "call_id": call_id,
        "src": key.src,
        "sport": key.sport,
        "dst": key.dst,
        "dport": key.dport,
        "ssrc": f"0x{key.ssrc:08X}",
        "payload_types": sorted(measured.payload_types),
        "codec": measured.codec.name,
        "expected": measured.expected,
        "received": measured.received,
        "unique": measured.unique,
        "lost": measured.lost,
        "duplicates": measured.duplicates,
        "reordered": measured.reordered,
        "late": _late(measured.late),
        # Of the rule by which Wireshark sums up, so that both can be compared; RFC 3550's is beside it.
        "jitter_ms": _jitter(measured.wireshark_jitter_ms),
        "max_delta_ms": _number(measured.wireshark_max_delta_ms),
        "dscp": _counts(measured.dscp),
        "bursts": _bursts(measured),
        "mos": _mos(measured.mos),
        "intervals": [_interval(interval) for interval in measured.intervals],
        "rfc3550": {
            "jitter_ms": _jitter(measured.jitter_ms),
            "max_delta_ms": _number(measured.max_delta_ms),
            "mean_delta_ms": _number(measured.mean_delta_ms),
        },
        "began": moment(measured.began_ns),
        "ended": moment(measured.ended_ns),
        "sent_by": stream.sent_by,
        "expected_at": None
        if stream.expected_at is None
        else {"address": stream.expected_at[0], "port": stream.expected_at[1]},
        "point": stream.point,
        "discarded": _late(measured.discarded),
        "payload_type_counts": _counts(measured.payload_types),
        "clock_rate": measured.codec.clock_rate,
        "codec_source": measured.codec.source,
        "ptime_ms": _number(measured.ptime_ms),
        "skew_ppm": _number(measured.skew_ppm),
        "ttl": _counts(measured.ttl),
        "silence_suppressed": measured.silence_suppressed,
        "event_packets": measured.event_packets,
        "kernel_duplicates": measured.kernel_duplicates,
        "sound": None if measured.sound is None else _sound(measured.sound),
        "phases": [_phase(phase) for phase in measured.phases],
        "verdict": None if alone is None else _verdict(alone.verdict),
    }


def _interval(interval: Interval) -> Json:
    return {
        "began": moment(interval.began_ns),
        "seconds": _number(interval.seconds),
        "expected": interval.expected,
        "unique": interval.unique,
        "lost": interval.lost,
        "duplicates": interval.duplicates,
        "reordered": interval.reordered,
        "late": _late(interval.late),
        "jitter_ms": _jitter(interval.jitter_ms),
        "max_delta_ms": _number(interval.max_delta_ms),
        "longest_lost": interval.longest_lost,
        "mos": _mos(interval.mos),
        "level_dbov": _number(interval.level_dbov),
        "silent_share": _number(interval.silent_share, 6),
        "clipped_share": _number(interval.clipped_share, 6),
    }


def _bursts(measured: Measured) -> Json:
    bursts = measured.bursts
    return {
        "count": bursts.count,
        "burst_density": _number(bursts.burst_density, 6),
        "burst_ms": _number(bursts.burst_ms),
        "gap_density": _number(bursts.gap_density, 6),
        "gap_ms": _number(bursts.gap_ms),
        "longest_lost": bursts.longest_lost,
        "runs": _counts(bursts.runs),
        "appendix_a2": {
            "burst_density": _number(bursts.appendix_burst_density, 6),
            "gap_density": _number(bursts.appendix_gap_density, 6),
        },
    }


def _mos(mos: Mos) -> Json:
    return {
        "scale": mos.scale,
        "value": _number(mos.value),
        "grounding": mos.grounding,
        "r": _number(mos.r),
        "ie": _number(mos.ie),
        "bpl": _number(mos.bpl),
        "source": mos.source,
        "why_not": mos.why_not,
    }


def _late(late: Late) -> Json:
    return {"fixed_50": late.fixed_50, "fixed_200": late.fixed_200, "adaptive": late.adaptive}


def _jitter(jitter: Jitter) -> Json:
    return {"mean": _number(jitter.mean), "max": _number(jitter.max)}


def _sound(sound: Sound) -> Json:
    return {
        "level_dbov": _number(sound.level_dbov),
        "peak_packet_dbov": _number(sound.peak_packet_dbov),
        "silent_share": _number(sound.silent_share, 6),
        "clipped_share": _number(sound.clipped_share, 6),
        "digital_silence_share": _number(sound.digital_silence_share, 6),
    }


def _phase(phase: Phase) -> Json:
    return {
        "began": moment(phase.began_ns),
        "ended": moment(phase.ended_ns),
        "payload_type": phase.payload_type,
        "first_sequence": phase.first_sequence,
        "reason": phase.reason,
    }


def _capture(capture: Capture) -> Json:
    return {
        "point": capture.point,
        "files": list(capture.files),
        "packets": capture.packets,
        "octets": capture.octets,
        "began": moment(capture.began_ns) if capture.packets else None,
        "ended": moment(capture.ended_ns) if capture.packets else None,
        "snap_length": capture.snap_length,
        "fragments": {"whole": capture.fragmentation.whole, "broken": capture.fragmentation.broken},
        "other": [
            {
                "kind": flow.kind,
                "src": flow.endpoints.src,
                "sport": flow.endpoints.sport,
                "dst": flow.endpoints.dst,
                "dport": flow.endpoints.dport,
                "transport": flow.transport,
                "packets": flow.packets,
                "octets": flow.octets,
                "detail": flow.detail,
            }
            for flow in capture.other
        ],
        "notices": [
            {
                "at": moment(notice.at_ns),
                "kind": notice.kind,
                "reporter": notice.reporter,
                "about": list(notice.about),
                "mtu": notice.mtu,
            }
            for notice in capture.notices
        ],
    }


def _problem(problem: FileProblem) -> Json:
    return {
        "file": problem.file,
        "offset": problem.offset,
        "problem": problem.problem,
        "packets_affected": problem.packets_affected,
    }


def _counts(counts: Mapping[int, int]) -> dict[str, int]:
    return {str(key): int(count) for key, count in sorted(counts.items())}


def _moment_or_none(at_ns: int | None) -> str | None:
    return None if at_ns is None else moment(at_ns)
