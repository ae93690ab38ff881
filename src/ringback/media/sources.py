"""Whose packet is it: socket pairs shared by legs, and sources learnt and locked (symmetric RTP, RFC 4961).

The rules, for what comes off a socket that anybody can send to:

- The address that signalling gave is taken at its first valid packet, and locked.
- Another source is learnt while nothing valid has come from the signalled one: three packets in a row of one
  SSRC from one address. That a pair has but one leg without a locked source makes clear whose it is. Only of
  a host that was seen to send from where it says there may be several; then only the last of them learns.
- A locked source is left only for one that sends three in a row and is (a) the signalled address itself, or,
  when the locked source has been silent for 2 s, (b) the same host on another port, or (c) any source whose
  packets SRTP authenticates. A new SetMedia with another address begins anew.
- With SRTP only authenticated packets count, for locking as for learning.
- What a leg that has just been closed still sends is never taken for the next leg on its pair.
- WebRTC legs are on pairs of their own; there nothing is learnt from packets. A leg has the sources that ICE
  validated, none of which can be another leg's at the same time.
- Only legs of one group share a pair: it goes to another worker with all of them. What another worker learnt
  and locked stays so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from ringback.media.columns import Ints, Longs, Shorts, Words
from ringback.media.legs import Legs
from ringback.native import at

Key = TypeVar("Key", bound="tuple[object, ...]")

LEGS_PER_PAIR = 64
PACKETS_TO_LEARN = 3
MAX_CANDIDATES = 16
MAX_TRIED = 4
SILENT_NS = 2_000_000_000
DEPARTED_NS = 10_000_000_000
FEWEST_DEPARTED, MAX_DEPARTED = 100, 20_000
MAX_TRUE_HOSTS = 10_000


def source_key(pair: int, ip: int, port: int) -> int:
    """One number for a source as seen by a socket pair."""
    return pair << 48 | ip << 16 | port


@dataclass(slots=True)
class _Candidate:
    ssrc: int
    sequence: int
    count: int


@dataclass(slots=True)
class _Pair:
    rtp_port: int
    rtcp_port: int
    legs: set[int] = field(default_factory=set)
    webrtc: bool = False
    ipv6: bool = False
    group: int = 0
    expected: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Where legs whose media is not negotiated yet are going to send from, as their offers say."""
    waiting_host: int = 0
    """The host that all its legs without a locked source are of, 0 if there is none."""


TakePair = Callable[[int, int, int, bool], bool]
"""Takes the sockets of a pair that were handed over: its number, its ports, whether to drop what waits on
them; False if they were not."""


class Sources:
    """Socket pairs and the legs on them, and the table from source to leg."""

    def __init__(
        self,
        legs: Legs,
        open_pair: Callable[[int], tuple[int, int] | None],
        take_pair: TakePair | None = None,
        close_pair: Callable[[int], None] | None = None,
        open_pair_ipv6: Callable[[int], tuple[int, int] | None] | None = None,
    ) -> None:
        """`open_pair(number)` opens the sockets of a new pair and gives its ports, None if no port is
        left; `open_pair_ipv6` likewise."""
        self._legs = legs
        self._open_pair = open_pair
        self._open_pair_ipv6 = open_pair_ipv6
        self._take_pair = take_pair
        self._close_pair = close_pair
        self._pairs: dict[int, _Pair] = {}
        self._by_port: dict[int, int] = {}
        self._free_numbers: list[int] = []
        self._empty: dict[bool, dict[int, None]] = {False: {}, True: {}}
        self._shared: dict[tuple[bool, bool, int], set[int]] = {}
        self._keys: Longs = np.zeros(0, np.int64)
        self._owners: Longs = np.zeros(0, np.int64)
        self._table: Longs | None = None
        self._changed = False
        self._taken: dict[int, int] = {}
        self._key_of: dict[int, int] = {}
        self._validated: dict[int, list[int]] = {}
        self.webrtc_pairs: set[int] = set()
        """Pairs on which WebRTC legs are."""
        self._candidates: dict[int, dict[tuple[int, int], _Candidate]] = {}
        self._occupied: list[int] | None = []
        self._departed: dict[int, tuple[int, int]] = {}
        self._departed_most = FEWEST_DEPARTED
        # Hosts whose legs sent from where they had said, and none from elsewhere since.
        self._true_hosts: dict[int, None] = {}
        self._waiting: dict[tuple[int, int], set[int]] = {}

    @property
    def occupied(self) -> list[int]:
        """Pairs that have legs; the same list as long as they stay the same."""
        if self._occupied is None:
            self._occupied = [number for number, pair in self._pairs.items() if pair.legs]
        return self._occupied

    @property
    def pairs(self) -> list[int]:
        """All socket pairs that are open."""
        return list(self._pairs)

    @property
    def pair_count(self) -> int:
        """Socket pairs that are open."""
        return len(self._pairs)

    def legs_on(self, pair: int) -> set[int]:
        """Rows of the legs on a pair."""
        found = self._pairs.get(pair)
        return found.legs if found is not None else set()

    def reserve(
        self, ip: int = 0, port: int = 0, webrtc: bool = False, group: int = 0, ipv6: bool = False
    ) -> int | None:
        """A pair for a new leg, on which every other leg's source is locked, or to be expected from where it
        was said to be; None when the ports are used up.

        With the address that the peer is going to signal the pair may carry other legs of its group, none of
        that address; without, it carries none, so that no collision can come to light later. WebRTC legs
        share theirs with each other only. A pair is of one family.
        """
        number = self._with_room(ip, port, webrtc, group, ipv6)
        if number is not None:
            return number
        if self._empty[ipv6]:
            # The one that has been empty for longest: fewest will send to it still.
            number = next(iter(self._empty[ipv6]))
        else:
            number = self._free_numbers[-1] if self._free_numbers else len(self._pairs)
            opens = self._open_pair_ipv6 if ipv6 else self._open_pair
            ports = opens(number) if opens is not None else None
            if ports is None:
                return None
            self._insert(number, ports, ipv6)
        self._pairs[number].group = group
        return number

    def _with_room(self, ip: int, port: int, webrtc: bool, group: int, ipv6: bool) -> int | None:
        if not (webrtc or port):
            return None
        kinds = [self._shared.get((webrtc, ipv6, group), set())]
        if ip in self._true_hosts:
            kinds.append(self._waiting.get((ip, group), set()))
        for number in sorted(set().union(*kinds)):
            if self._pairs[number].ipv6 is not ipv6:
                continue
            taken = source_key(number, ip, port) in self._taken
            if webrtc or not (taken or (ip, port) in self._pairs[number].expected.values()):
                return number
        return None

    def adopt(
        self, ports: tuple[int, int], webrtc: bool, group: int, drop: bool, ipv6: bool = False
    ) -> int | None:
        """The pair with these ports, taken over from another worker if it is not here yet; None without
        it."""
        number = self._by_port.get(ports[0])
        if number is None:
            number = self._free_numbers[-1] if self._free_numbers else len(self._pairs)
            if self._take_pair is None or not self._take_pair(number, *ports, drop):
                return None
            self._insert(number, ports, ipv6)
        pair = self._pairs[number]
        if not pair.legs:
            pair.group = group
        elif pair.webrtc != webrtc or len(pair.legs) >= LEGS_PER_PAIR:
            return None
        return number

    def _insert(self, number: int, ports: tuple[int, int], ipv6: bool) -> None:
        if self._free_numbers:
            self._free_numbers.pop()
        self._pairs[number] = _Pair(*ports, ipv6=ipv6)
        self._by_port[ports[0]] = number
        self._empty[ipv6][number] = None

    def give_up(self, pair: int) -> int | None:
        """Close a pair that no leg is on; its RTP port, None for one that is in use or gone."""
        found = self._pairs.get(pair)
        if found is None or found.legs:
            return None
        del self._pairs[pair], self._by_port[found.rtp_port], self._empty[found.ipv6][pair]
        self._free_numbers.append(pair)
        if self._close_pair is not None:
            self._close_pair(pair)
        return found.rtp_port

    def ports(self, pair: int) -> tuple[int, int]:
        """RTP and RTCP port of a pair."""
        return self._pairs[pair].rtp_port, self._pairs[pair].rtcp_port

    def is_ipv6(self, pair: int) -> bool:
        """Whether the sockets of a pair are of IPv6."""
        return self._pairs[pair].ipv6

    def hosts(self) -> set[int]:
        """The hosts of sources that are known or may become so."""
        found = {key >> 16 & 0xFFFFFFFF for key in self._taken}
        for candidates in self._candidates.values():
            found.update(ip for ip, _ in candidates)
        for pair in self._pairs.values():
            found.update(ip for ip, _ in pair.expected.values())
        return found

    def add(self, slot: int, ip: int = 0, port: int = 0) -> None:
        """A leg was opened on its pair, whose peer is going to signal this address, if that is known."""
        pair = int(self._legs.pair[slot])
        if port:
            self._pairs[pair].expected[slot] = (ip, port)
        self._pairs[pair].webrtc = bool(self._legs.webrtc[slot])
        if self._pairs[pair].webrtc:
            self.webrtc_pairs.add(pair)
        self._pairs[pair].legs.add(slot)
        self._empty[self._pairs[pair].ipv6].pop(pair, None)
        self._occupied = None
        self._refresh(pair)

    def remove(self, slot: int, ssrc: int, now_ns: int) -> None:
        """A leg, to which `ssrc` was sent, is about to be closed."""
        pair = int(self._legs.pair[slot])
        for key in [*self._validated.pop(slot, ()), *filter(None, [self._key_of.pop(slot, None)])]:
            self._taken.pop(key, None)
            self._changed = True
            self._depart(key, ssrc, now_ns)
        self._candidates.pop(slot, None)
        self._pairs[pair].legs.discard(slot)
        self._pairs[pair].expected.pop(slot, None)
        self._occupied = None
        self._refresh(pair)
        if not self._pairs[pair].legs:
            self.webrtc_pairs.discard(pair)
            self._empty[self._pairs[pair].ipv6][pair] = None

    def _depart(self, key: int, ssrc: int, now_ns: int) -> None:
        """A source was a leg's that is closed now; it is remembered for a while."""
        if len(self._departed) >= self._departed_most:
            self._departed = {k: v for k, v in self._departed.items() if v[0] > now_ns}
            # Twice of what is left: to look through them all costs each of them little.
            self._departed_most = min(max(2 * len(self._departed), FEWEST_DEPARTED), MAX_DEPARTED)
        if len(self._departed) < MAX_DEPARTED:
            self._departed[key] = (now_ns + DEPARTED_NS, ssrc)

    def collides(self, slot: int, ip: int, port: int) -> bool:
        """Whether another leg on the same pair is already told by this source."""
        return self._taken.get(source_key(int(self._legs.pair[slot]), ip, port), slot) != slot

    def owner(self, pair: int, ip: int, port: int) -> int:
        """The leg that is told by a source, -1 if none is."""
        return self._taken.get(source_key(pair, ip, port), -1)

    def validated(self, slot: int, sources: list[tuple[int, int]]) -> None:
        """These are all sources of a WebRTC leg now; the caller made sure that none is another leg's."""
        pair = int(self._legs.pair[slot])
        for key in self._validated.pop(slot, ()):
            self._taken.pop(key, None)
        keys = self._validated[slot] = [source_key(pair, ip, port) for ip, port in sources]
        self._taken.update(dict.fromkeys(keys, slot))
        self._changed = True

    def moved(self, slot: int) -> None:
        """A leg's remote address changed, by signalling or by learning: bring the table up to date."""
        legs = self._legs
        pair = int(legs.pair[slot])
        self._pairs[pair].expected.pop(slot, None)
        before = self._key_of.pop(slot, None)
        if before is not None:
            self._taken.pop(before, None)
        ip, port = int(legs.remote_ip[slot]), int(legs.remote_port[slot])
        if ip and port:
            key = source_key(pair, ip, port)
            self._taken[key] = slot
            self._key_of[slot] = key
        self._candidates.pop(slot, None)
        self._changed = True
        self._refresh(pair)

    def lock(self, slot: int) -> None:
        """A valid packet came from where the leg's media goes already."""
        legs = self._legs
        legs.locked[slot] = True
        self._candidates.pop(slot, None)
        ip = int(legs.signalled_ip[slot])
        if (int(legs.remote_ip[slot]), legs.remote_port[slot]) == (ip, legs.signalled_port[slot]):
            self._true_hosts[ip] = None
            if len(self._true_hosts) > MAX_TRUE_HOSTS:
                del self._true_hosts[next(iter(self._true_hosts))]
        self._refresh(int(legs.pair[slot]))

    def match(self, pair: Ints, ip: Words, port: Shorts) -> Longs:
        """Leg row of each packet by its source, -1 for a source that is nobody's."""
        if self._changed:
            self._rebuild()
        if not len(self._keys):
            return np.full(len(pair), -1, np.int64)
        wanted = (pair.astype(np.int64) << 48) | (ip.astype(np.int64) << 16) | port
        found = np.searchsorted(self._keys, wanted)
        found[found == len(self._keys)] = 0
        return np.where(self._keys[found] == wanted, self._owners[found], -1)

    def table(self, library: Any) -> Longs:
        """Key and leg row of the sources, by place (int64[m, 2], m a power of 2): what rb_index makes."""
        if self._changed:
            self._rebuild()
        if self._table is None:
            keys, owners = self._keys, self._owners
            self._table = np.empty((2 << len(keys).bit_length(), 2), np.int64)
            library.rb_index(at(keys), at(owners), len(keys), at(self._table), len(self._table) - 1)
        return self._table

    def possible(
        self, pair: int, ip: int, port: int, ssrc: int, silent: Callable[[int], bool], now_ns: int
    ) -> list[int]:
        """Legs that a packet of an unknown source may belong to, by the rules above; at most four."""
        if pair in self.webrtc_pairs:
            return []
        legs = self._legs
        here = self.legs_on(pair)
        pending = [slot for slot in here if legs.ready[slot] and not legs.locked[slot]]
        until, departed_ssrc = self._departed.get(source_key(pair, ip, port), (0, -1))
        departed = until > now_ns and departed_ssrc == ssrc
        if pending:
            for slot in pending:
                if legs.signalled_ip[slot] == ip:
                    # What it says is not where it sends from: its next legs have ports of their own again.
                    self._true_hosts.pop(ip, None)
            return pending if len(pending) == 1 and not departed else []
        signalled = [s for s in here if legs.signalled_ip[s] == ip and legs.signalled_port[s] == port]
        if len(signalled) == 1:
            return signalled
        if departed:
            return []
        quiet = [slot for slot in here if legs.ready[slot] and silent(slot)]
        same_host = [slot for slot in quiet if legs.remote_ip[slot] == ip]
        if len(same_host) == 1:
            return same_host
        return [slot for slot in quiet if legs.secure[slot]][:MAX_TRIED]

    def consider(self, slot: int, ip: int, port: int, ssrc: int, sequence: int) -> bool:
        """Count a valid packet of a source that is not the leg's; True when it is learnt now, and locked."""
        candidates = self._candidates.setdefault(slot, {})
        candidate = candidates.get((ip, port))
        if candidate is None:
            if len(candidates) >= MAX_CANDIDATES:
                # Whoever sends from many addresses must not keep out the one that is real.
                del candidates[min(candidates, key=lambda source: candidates[source].count)]
            candidates[ip, port] = _Candidate(ssrc, sequence, 1)
            return False
        follows = candidate.ssrc == ssrc and (sequence - candidate.sequence) & 0xFFFF == 1
        candidate.count = candidate.count + 1 if follows else 1
        candidate.ssrc, candidate.sequence = ssrc, sequence
        if candidate.count < PACKETS_TO_LEARN:
            return False
        self._learn(slot, ip, port)
        return True

    def restore(self, slot: int, ip: int, port: int) -> None:
        """Another worker learnt where this leg's media comes from: lock it."""
        legs = self._legs
        if (int(legs.remote_ip[slot]), int(legs.remote_port[slot])) == (ip, port):
            self.lock(slot)
        elif not self.collides(slot, ip, port):
            self._learn(slot, ip, port)

    def _learn(self, slot: int, ip: int, port: int) -> None:
        legs = self._legs
        legs.remote_ip[slot] = ip
        legs.remote_port[slot] = port
        legs.locked[slot] = True
        legs.rtcp_locked[slot] = False
        if legs.rtcp_mux[slot]:
            legs.rtcp_ip[slot], legs.rtcp_port[slot] = ip, port
        else:
            # Where RTCP comes from behind a NAT shows only when it comes.
            legs.rtcp_ip[slot], legs.rtcp_port[slot] = 0, 0
        self.moved(slot)

    def _refresh(self, number: int) -> None:
        """Offer a pair to further legs of its group, or no more."""
        pair = self._pairs[number]
        legs = list(pair.legs)
        locked = self._legs.locked
        unlocked = [slot for slot in legs if not locked[slot]]
        room = bool(legs) and len(legs) < LEGS_PER_PAIR
        settled = room and (pair.webrtc or not unlocked)
        _offer(self._shared, (pair.webrtc, pair.ipv6, pair.group), number, settled)
        hosts = {self._host_of(pair, slot) for slot in unlocked}
        host = hosts.pop() if room and not pair.webrtc and len(hosts) == 1 else 0
        if pair.waiting_host and pair.waiting_host != host:
            _offer(self._waiting, (pair.waiting_host, pair.group), number, False)
        pair.waiting_host = host
        if host:
            _offer(self._waiting, (host, pair.group), number, True)

    def _host_of(self, pair: _Pair, slot: int) -> int:
        """Where a leg says that it sends from, 0 while that is not known."""
        expected = pair.expected.get(slot)
        return expected[0] if expected is not None else int(self._legs.signalled_ip[slot])

    def _rebuild(self) -> None:
        keys = np.fromiter(self._taken.keys(), np.int64, len(self._taken))
        owners = np.fromiter(self._taken.values(), np.int64, len(self._taken))
        order = np.argsort(keys)
        self._keys, self._owners = keys[order], owners[order]
        self._table = None
        self._changed = False


def _offer(shelf: dict[Key, set[int]], key: Key, number: int, offered: bool) -> None:
    """Put a pair on a shelf or take it off."""
    if offered:
        shelf.setdefault(key, set()).add(number)
    elif key in shelf:
        shelf[key].discard(number)
        if not shelf[key]:
            del shelf[key]
