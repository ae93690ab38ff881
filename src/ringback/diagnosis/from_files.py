"""A diagnosis from files: read, follow the signalling, measure each stream, judge each call.

One call at a time: the packets of a stream and its curves are in memory only while its call is judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
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
from ringback.diagnosis.diagnosed import NOWHERE, DiagnosedCall, DiagnosedStream, Diagnosis, window_of
from ringback.diagnosis.many.places import Places
from ringback.diagnosis.points.segments import Comparison, compare
from ringback.diagnosis.signalling.addressing import between_points
from ringback.diagnosis.signalling.call import CallRecord, OtherDialogs, Signalling
from ringback.diagnosis.signalling.follow import follow
from ringback.diagnosis.signalling.media import StreamContext, assign, with_late_media
from ringback.diagnosis.stream.measure import examine

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
    places: Places = NOWHERE,
    progress: Progress | None = None,
) -> Diagnosis:
    """Read the files of one place, and those of named `points`, and say what was wrong and why.

    Damage in the files does not raise: it is among `Diagnosis.problems`. A file that cannot be opened raises
    OSError. `complaint` is when somebody complained, `places` what is known of addresses.
    """
    captures = []
    for point, paths in {"": files, **(points or {})}.items():
        if paths:
            captures.append(read_capture(paths, point=point, progress=_reading(progress)))
    return diagnosis_of(
        captures, complaint=complaint, counters=counters, marks=marks, places=places, progress=progress
    )


def _reading(progress: Progress | None) -> Callable[[int, int], None] | None:
    return None if progress is None else partial(progress, "reading")


def diagnosis_of(
    captures: Sequence[Capture],
    *,
    complaint: Window | Complaint | None = None,
    counters: Sequence[Counter] = (),
    marks: Sequence[Mark] = (),
    places: Places = NOWHERE,
    progress: Progress | None = None,
) -> Diagnosis:
    """The same of captures that were read."""
    captures = tuple(captures)
    window = window_of(captures)
    if isinstance(complaint, Complaint):
        complaint = complaint.within(window)
    sights = [_Sight.of(capture) for capture in captures]
    comparison = _compared(captures)
    cases = [*_calls(sights), *_conversations(_loose(sights))]
    concerned = _concerned(complaint, cases)
    surroundings = _Surroundings.of(captures)
    base = Evidence(
        None,
        (),
        window,
        counters=tuple(counters),
        marks=tuple(marks),
        snap_length=min((c.snap_length for c in captures if c.snap_length), default=0),
        segments=None if comparison is None else comparison.segments_of(),
    )
    total = sum(case.packets for case in cases)
    done = 0
    judged = []
    for case in cases:
        if progress is not None:
            progress("judging", done, total)
        evidence = replace(base, call=case.record, complaint=complaint if case in concerned else None)
        judged.append(_judged(surroundings.added_to(evidence, case), case))
        done += case.packets
    if progress is not None:
        progress("judging", total, total)
    judged.sort(key=lambda call: call.began_ns)
    return Diagnosis(
        captures,
        tuple(call for call in judged if call.record is not None),
        tuple(call for call in judged if call.record is None),
        _other_dialogs([sight.signalling for sight in sights]),
        complaint,
        tuple(counters),
        tuple(marks),
        comparison,
        places,
    )


@dataclass(frozen=True, slots=True)
class _Sight:
    """What one point saw: its signalling, and which streams that explains.

    Each point assigns streams by the SDP that it saw itself: addresses are rewritten between points.
    """

    capture: Capture
    signalling: Signalling
    contexts: Mapping[StreamKey, StreamContext]

    @classmethod
    def of(cls, capture: Capture) -> _Sight:
        signalling = follow(capture.signalling)
        contexts = assign(signalling.calls, capture.streams)
        return cls(capture, with_late_media(signalling, contexts, capture.streams), contexts)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A stream, the point that it was seen at, and what signalling knows of it."""

    point: str
    stream: RtpStream
    context: StreamContext | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """What is judged at once: a call with its streams, or streams that belong together without one."""

    record: CallRecord | None
    members: tuple[_Placed, ...]

    @property
    def packets(self) -> int:
        return sum(placed.stream.count for placed in self.members)

    @property
    def span(self) -> Window:
        """From the first to the last packet of it."""
        times = [ns for placed in self.members for ns in (placed.stream.began_ns, placed.stream.ended_ns)]
        if self.record is not None:
            times += [self.record.start_ns, *(message.at_ns for message in self.record.messages[-1:])]
        return Window(min(times), max(times))


def _compared(captures: Sequence[Capture]) -> Comparison | None:
    """What several points tell together; None for one."""
    if len(captures) < 2:
        return None
    return compare([(capture.point, capture.streams) for capture in captures])


def _calls(sights: Sequence[_Sight]) -> list[_Case]:
    """The calls with their streams. One that several points saw is told by what saw most of it."""
    records: dict[str, list[CallRecord]] = defaultdict(list)
    members: dict[str, list[_Placed]] = defaultdict(list)
    for sight in sights:
        calls = sight.signalling.calls
        for record in calls:
            records[record.label].append(record)
        for stream in sight.capture.streams:
            context = sight.contexts.get(stream.key)
            if context is not None:
                for call in (context.call, *context.also):
                    members[calls[call].label].append(_Placed(sight.capture.point, stream, context))
    return [_Case(_fullest(seen), tuple(members[label])) for label, seen in records.items()]


def _fullest(records: Sequence[CallRecord]) -> CallRecord:
    """Of a call at several points what saw most of it, with what only all of them tell."""
    best = max(records, key=lambda record: len(record.messages))
    if len(records) < 2:
        return best
    return replace(best, findings=(*best.findings, *between_points(records)))


def _loose(sights: Sequence[_Sight]) -> Iterator[_Placed]:
    """Streams that no call named. What only looks a little like RTP is a stream only if one did."""
    for sight in sights:
        for stream in sight.capture.streams:
            if stream.key not in sight.contexts and stream.key not in sight.capture.uncertain:
                yield _Placed(sight.capture.point, stream)


def _conversations(streams: Iterable[_Placed]) -> Iterator[_Case]:
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
                yield _Case(None, tuple(together))
                together = []
            together.append(placed)
            ended_ns = max(ended_ns, placed.stream.ended_ns)
        yield _Case(None, tuple(together))


def _concerned(complaint: Window | None, cases: Sequence[_Case]) -> set[_Case]:
    """Which cases a complaint is about: those that went on at its time.

    All, if none did, so that each says that it was not meant.
    """
    if complaint is None:
        return set()
    meant = {
        case
        for case in cases
        if case.span.began_ns <= complaint.ended_ns and complaint.began_ns <= case.span.ended_ns
    }
    return meant or set(cases)


def _judged(evidence: Evidence, case: _Case) -> DiagnosedCall:
    found, shown = [], []
    for placed in case.members:
        stream, context = placed.stream, placed.context
        packets = stream.packets()
        formats = context.formats if context is not None else {}
        measured, series = examine(stream.key, packets, formats)
        sent_by = context.sent_by if context is not None else None
        expected_at = context.expected_at if context is not None else None
        found.append(StreamEvidence(measured, series, sent_by, expected_at, placed.point))
        label = case.record.label if case.record is not None else None
        shown.append(DiagnosedStream(measured, stream, label, sent_by, expected_at, placed.point))
    verdict = judge(replace(evidence, streams=tuple(found)))
    return DiagnosedCall(case.record, verdict, tuple(shown))


def _other_dialogs(signalled: Sequence[Signalling]) -> OtherDialogs:
    """Signalling beside calls of all points together."""
    requests: dict[str, int] = defaultdict(int)
    statuses: dict[str, int] = defaultdict(int)
    for signalling in signalled:
        for name, number in signalling.other.requests.items():
            requests[name] += number
        for name, number in signalling.other.statuses.items():
            statuses[name] += number
    findings = tuple(finding for signalling in signalled for finding in signalling.other.findings)
    return OtherDialogs(requests, statuses, findings, sum(s.other.malformed for s in signalled))


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

    def added_to(self, evidence: Evidence, case: _Case) -> Evidence:
        """The evidence with what lies between the same hosts and ports."""
        record = case.record
        keys = [placed.stream.key for placed in case.members]
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
