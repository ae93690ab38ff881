"""Signalling beside calls, counted: registrations, OPTIONS, subscriptions, and what goes wrong there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from ringback.diagnosis.signalling.call import Finding, OtherDialogs
from ringback.diagnosis.signalling.findings import finding
from ringback.diagnosis.signalling.tracing import SECOND, Traced, Transaction
from ringback.sip.message import KNOWN_METHODS

_PATIENCE_NS: Final = 4 * SECOND
_SCANNED: Final = 20
"""So many dialogs of one source that were all refused look for accounts, not for anybody."""


def other_dialogs(beside: Sequence[Traced], malformed: int) -> OtherDialogs:
    """Count what belongs to no call; repeats are not counted."""
    requests: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    for traced in beside:
        for transaction in traced.transactions:
            if transaction.hop:
                continue
            method = transaction.method if transaction.method in KNOWN_METHODS else "other"
            requests[method] += transaction.request is not None
            statuses.update(f"{method} {r.status}" for r in transaction.responses if r.status >= 200)
    findings = [
        *_registrations(beside),
        *_refused(beside, ("SUBSCRIBE", "PUBLISH")),
        *_silent(beside),
        *_scans(beside),
    ]
    findings.sort(key=lambda found: found.at_ns)
    return OtherDialogs(dict(+requests), dict(statuses), tuple(findings), malformed)


def _last(traced: Traced, *methods: str) -> Transaction | None:
    """The last try of a dialog that was answered for good."""
    done = [t for t in traced.of(*methods, hop=0) if t.final is not None]
    return done[-1] if done else None


def _registrations(beside: Sequence[Traced]) -> Iterator[Finding]:
    failed: dict[tuple[str, int], list[Transaction]] = defaultdict(list)
    for traced in beside:
        last = _last(traced, "REGISTER")
        if last is None or last.final is None or last.final.status < 300:
            continue
        request = last.request
        with_credentials = request is not None and (
            "Authorization" in request.headers or "Proxy-Authorization" in request.headers
        )
        status = last.final.status
        if status in (401, 407) and not with_credentials:
            if traced.until_ns - last.final.at_ns > _PATIENCE_NS:
                failed["registration-failed", status].append(last)
            continue
        wrong = with_credentials and status in (401, 403, 407)
        failed["registration-authentication-failed" if wrong else "registration-failed", status].append(last)
    for (code, status), transactions in failed.items():
        count = len(transactions)
        what = "credentials were refused" if code.startswith("registration-auth") else "were refused for good"
        text = f"{count} registrations: {what} ({status})."
        yield finding(code, transactions[0].began_ns, text, status=status, count=count)


def _refused(beside: Sequence[Traced], methods: tuple[str, ...]) -> Iterator[Finding]:
    refused: dict[tuple[str, int], list[Transaction]] = defaultdict(list)
    for traced in beside:
        last = _last(traced, *methods)
        if last is not None and last.final is not None and last.final.status >= 300:
            refused[last.method, last.final.status].append(last)
    for (method, status), transactions in refused.items():
        text = f"{method} was refused {len(transactions)} times ({status})."
        at_ns, count = transactions[0].began_ns, len(transactions)
        yield finding("subscription-failed", at_ns, text, status=status, count=count, method=method)


def _silent(beside: Sequence[Traced]) -> Iterator[Finding]:
    """REGISTER and OPTIONS that nothing answered, by whom they were sent to."""
    silent: dict[tuple[str, str], list[Transaction]] = defaultdict(list)
    for traced in beside:
        for transaction in traced.of("REGISTER", "OPTIONS", hop=0):
            request = transaction.request
            late = traced.until_ns - transaction.last_sent_ns > _PATIENCE_NS
            if request is not None and not transaction.responses and (transaction.repeats or late):
                silent[transaction.method, request.endpoints.dst].append(transaction)
    for (method, address), transactions in silent.items():
        count = len(transactions)
        code = "registration-unanswered" if method == "REGISTER" else "options-unanswered"
        text = f"{count} {method} to {address} got no answer."
        yield finding(code, transactions[0].began_ns, text, count=count, address=address)


def _scans(beside: Sequence[Traced]) -> Iterator[Finding]:
    tried: dict[str, list[Transaction]] = defaultdict(list)
    served: set[str] = set()
    for traced in beside:
        for transaction in traced.of("REGISTER", "OPTIONS", hop=0):
            request, final = transaction.request, transaction.final
            if request is None:
                continue
            if final is not None and final.status < 300:
                served.add(request.endpoints.src)
            tried[request.endpoints.src].append(transaction)
    for address, transactions in tried.items():
        if address not in served and len(transactions) >= _SCANNED:
            count = len(transactions)
            text = f"{address} tried {count} times and was never served: it may look for accounts."
            yield finding("scan-suspected", transactions[0].began_ns, text, count=count, address=address)
