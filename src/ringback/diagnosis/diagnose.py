"""A diagnosis from files: read, follow the signalling, measure each stream, judge each call.

One call at a time: the packets of a stream and its curves are in memory only while its call is judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ringback.diagnosis.capture.captured import (
    Capture,
    Fragmentation,
    IcmpNotice,
    OtherFlow,
    RtcpPacket,
    RtpStream,
    StreamKey,
)
from ringback.diagnosis.capture.read import read_capture
from ringback.diagnosis.causes.judge import judge
from ringback.diagnosis.causes.verdict import Counter, Evidence, Mark, StreamEvidence, Window
from ringback.diagnosis.complaint import Complaint
from ringback.diagnosis.diagnosed import DiagnosedCall, DiagnosedStream, Diagnosis, window_of
from ringback.diagnosis.signalling.call import CallRecord
from ringback.diagnosis.signalling.follow import follow
from ringback.diagnosis.signalling.media import StreamContext, assign
from ringback.diagnosis.stream.curves import curves
from ringback.diagnosis.stream.measure import measure

Progress = Callable[[str, int, int], None]
"""Told again and again: what is done (`reading`, `judging`), how much of it, and of how much."""

APART_NS = 60 * 10**9
"""Streams between the same ports with so long a silence between them are two conversations."""


def diagnose(
    files: Sequence[Path],
    *,
    points: Mapping[str, Sequence[Path]] | None = None,
    complaint: Window | Complaint | None = None,
    counters: Sequence[Counter] = (),
    marks: Sequence[Mark] = (),
    progress: Progress | None = None,
) -> Diagnosis:
    """Read the files of one place, and those of named `points`, and say what was wrong and why.

    Damage in the files does not raise: it is among `Diagnosis.problems`. A file that cannot be opened raises
    OSError. `complaint` is when somebody complained.
    """
    captures = []
    for point, paths in {"": files, **(points or {})}.items():
        if paths:
            captures.append(read_capture(paths, point=point, progress=progress))
    return diagnosis_of(captures, complaint=complaint, counters=counters, marks=marks, progress=progress)


def diagnosis_of(
    captures: Sequence[Capture],
    *,
    complaint: Window | Complaint | None = None,
    counters: Sequence[Counter] = (),
    marks: Sequence[Mark] = (),
    progress: Progress | None = None,
) -> Diagnosis:
    """The same of captures that were read."""
    captures = tuple(captures)
    window = window_of(captures)
    if isinstance(complaint, Complaint):
        complaint = complaint.within(window)
    signalling = follow([packet for capture in captures for packet in capture.signalling])
    streams = [_Placed(capture, stream) for capture in captures for stream in capture.streams]
    contexts = assign(signalling.calls, [placed.stream for placed in streams])
    records = {record.label: record for record in signalling.calls}
    groups, loose = _by_call(streams, contexts, records)
    conversations = list(_conversations(loose))
    surroundings = _Surroundings.of(captures)
    concerned = _concerned(complaint, groups, conversations, records)

    cases: list[tuple[CallRecord | None, list[_Placed]]] = [
        (record, groups.get(record.label, [])) for record in signalling.calls
    ]
    cases += [(None, members) for members in conversations]
    total = sum(placed.stream.count for _, members in cases for placed in members)
    done = 0
    judged = []
    for at, (record, members) in enumerate(cases):
        if progress is not None:
            progress("judging", done, total)
        evidence = Evidence(
            record,
            (),
            window,
            complaint=complaint if at in concerned else None,
            counters=tuple(counters),
            marks=tuple(marks),
            snap_length=_snap_length(captures),
        )
        judged.append(_judged(surroundings.added_to(evidence, record, members), members, contexts))
        done += sum(placed.stream.count for placed in members)
    if progress is not None:
        progress("judging", total, total)
    return Diagnosis(
        captures,
        tuple(sorted((c for c in judged if c.record is not None), key=lambda c: c.began_ns)),
        tuple(sorted((c for c in judged if c.record is None), key=lambda c: c.began_ns)),
        signalling.other,
        complaint,
        tuple(counters),
        tuple(marks),
    )


@dataclass(frozen=True, slots=True)
class _Placed:
    """A stream and the capture that it is in."""

    capture: Capture
    stream: RtpStream


def _by_call(
    streams: Iterable[_Placed],
    contexts: Mapping[StreamKey, StreamContext],
    records: Mapping[str, CallRecord],
) -> tuple[dict[str, list[_Placed]], list[_Placed]]:
    """Streams by the label of their call, and those without one.

    What only looks a little like RTP is one only if signalling says so.
    """
    groups: dict[str, list[_Placed]] = defaultdict(list)
    loose = []
    for placed in streams:
        key = placed.stream.key
        context = contexts.get(key)
        if context is not None and context.call in records:
            groups[context.call].append(placed)
        elif key not in placed.capture.uncertain:
            loose.append(placed)
    return groups, loose


def _conversations(streams: Iterable[_Placed]) -> Iterator[list[_Placed]]:
    """Streams between the same two addresses and ports, both ways, unless long silence lies between."""
    between: dict[frozenset[tuple[str, int]], list[_Placed]] = defaultdict(list)
    for placed in streams:
        key = placed.stream.key
        between[frozenset({(key.src, key.sport), (key.dst, key.dport)})].append(placed)
    for members in between.values():
        members.sort(key=lambda placed: placed.stream.began_ns)
        together: list[_Placed] = []
        ended_ns = 0
        for placed in members:
            if together and placed.stream.began_ns > ended_ns + APART_NS:
                yield together
                together = []
            together.append(placed)
            ended_ns = max(ended_ns, placed.stream.ended_ns)
        yield together


def _concerned(
    complaint: Window | None,
    groups: Mapping[str, list[_Placed]],
    conversations: Sequence[list[_Placed]],
    records: Mapping[str, CallRecord],
) -> set[int]:
    """Which cases (calls, then conversations, by their place) a complaint is about.

    Those that went on at its time; all, if none did, so that each says that it was not meant.
    """
    if complaint is None:
        return set()
    spans = []
    for label, record in records.items():
        times = [record.start_ns, record.ended_ns or record.start_ns]
        times += [message.at_ns for message in record.messages[-1:]]
        for placed in groups.get(label, []):
            times += [placed.stream.began_ns, placed.stream.ended_ns]
        spans.append((min(times), max(times)))
    for members in conversations:
        spans.append((min(p.stream.began_ns for p in members), max(p.stream.ended_ns for p in members)))
    meant = {
        at
        for at, (began, ended) in enumerate(spans)
        if began <= complaint.ended_ns and complaint.began_ns <= ended
    }
    return meant or set(range(len(spans)))


def _judged(
    evidence: Evidence, members: Sequence[_Placed], contexts: Mapping[StreamKey, StreamContext]
) -> DiagnosedCall:
    found, shown = [], []
    for placed in members:
        stream = placed.stream
        context = contexts.get(stream.key)
        formats = context.formats if context is not None else {}
        packets = stream.packets()
        measured = measure(stream.key, packets, formats)
        sent_by = context.sent_by if context is not None else None
        expected_at = context.expected_at if context is not None else None
        point = placed.capture.point
        series = curves(packets, measured.formats)
        found.append(StreamEvidence(measured, series, sent_by, expected_at, point))
        label = evidence.call.label if evidence.call is not None else None
        shown.append(DiagnosedStream(measured, stream, label, sent_by, expected_at, point))
    verdict = judge(replace(evidence, streams=tuple(found)))
    return DiagnosedCall(evidence.call, verdict, tuple(shown))


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What a capture holds beside streams and SIP, to be found by the hosts that it is between."""

    control: dict[frozenset[str], list[RtcpPacket]] = field(default_factory=lambda: defaultdict(list))
    other: dict[frozenset[str], list[OtherFlow]] = field(default_factory=lambda: defaultdict(list))
    notices: dict[frozenset[str], list[IcmpNotice]] = field(default_factory=lambda: defaultdict(list))
    broken: dict[frozenset[str], list[tuple[int, str, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    whole: int = 0
    largest_bytes: int = 0

    @classmethod
    def of(cls, captures: Sequence[Capture]) -> _Surroundings:
        found = cls(
            whole=sum(capture.fragmentation.whole for capture in captures),
            largest_bytes=max((c.fragmentation.largest_bytes for c in captures), default=0),
        )
        for capture in captures:
            for packet in capture.control:
                found.control[frozenset({packet.endpoints.src, packet.endpoints.dst})].append(packet)
            for flow in capture.other:
                found.other[frozenset({flow.endpoints.src, flow.endpoints.dst})].append(flow)
            for notice in capture.notices:
                found.notices[frozenset({notice.about.src, notice.about.dst})].append(notice)
            for broken in capture.fragmentation.broken_flows:
                found.broken[frozenset(broken[1:])].append(broken)
        return found

    def added_to(self, evidence: Evidence, record: CallRecord | None, members: Sequence[_Placed]) -> Evidence:
        """The evidence with what lies between the same hosts while the call went on."""
        keys = [placed.stream.key for placed in members]
        pairs = {frozenset({key.src, key.dst}) for key in keys}
        ports = {(key.src, key.sport) for key in keys} | {(key.dst, key.dport) for key in keys}
        if record is not None:
            pairs |= {frozenset({m.endpoints.src, m.endpoints.dst}) for m in record.messages}
            ports |= {(m.endpoints.src, m.endpoints.sport) for m in record.messages}
            ports |= {(m.endpoints.dst, m.endpoints.dport) for m in record.messages}
            ports |= {(offer.address, offer.port) for offer in record.media}
        near = ports | {(host, port + 1) for host, port in ports}
        broken = tuple(one for pair in pairs for one in self.broken.get(pair, ()))
        hosts = {host for host, _ in ports}
        return replace(
            evidence,
            control=tuple(
                packet
                for pair in pairs
                for packet in self.control.get(pair, ())
                if packet.endpoints[:2] in near or packet.endpoints[2:] in near
            ),
            other=tuple(
                flow
                for pair, flows in self.other.items()
                if pair & hosts
                for flow in flows
                if flow.endpoints[:2] in near or flow.endpoints[2:] in near
            ),
            notices=tuple(
                notice
                for pair, notices in self.notices.items()
                if pair & hosts
                for notice in notices
                if notice.about[:2] in near or notice.about[2:] in near
            ),
            fragmentation=Fragmentation(self.whole, len(broken), broken, self.largest_bytes),
        )


def _snap_length(captures: Iterable[Capture]) -> int:
    return min((capture.snap_length for capture in captures if capture.snap_length), default=0)
