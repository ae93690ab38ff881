"""Many datagrams a system call: recvmmsg and sendmmsg over arrays that NumPy fills and reads (Linux)."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

import cffi
import numpy as np

from ringback.media.addresses import FIRST_IPV6, OCTETS, Addresses
from ringback.media.batch import MTU, OUTGOING_BYTES, OutgoingBatch, PacketBatch
from ringback.media.columns import Ints, Longs, Words
from ringback.native import at, ffi, kernels

MSG_DONTWAIT = 0x40
MSG_TRUNC = 0x20
SCM_TIMESTAMPNS = 35
AF_INET = 2
AF_INET6 = 10
PER_SOCKET = 512
"""Datagrams taken from one socket at a time, so that a flood on one does not starve the others."""

# struct mmsghdr, sockaddr_in6 (with sockaddr_in in it) and the one control message of the 64-bit ABI (x86-64
# and arm64 agree).
MMSGHDR = np.dtype(
    {
        "names": ["name", "namelen", "iov", "iovlen", "control", "controllen", "flags", "len"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
IOVEC = np.dtype([("base", "u8"), ("len", "u8")])
SOCKADDR = np.dtype(
    [("family", "u2"), ("port", ">u2"), ("ip", ">u4"), ("ipv6", "u1", OCTETS), ("scope", "u4")]
)
CONTROL = np.dtype([("len", "u8"), ("level", "i4"), ("type", "i4"), ("seconds", "i8"), ("nanoseconds", "i8")])

_ffi = cffi.FFI()
_ffi.cdef(
    """
    int recvmmsg(int fd, void *messages, unsigned int count, int flags, void *timeout);
    int sendmmsg(int fd, void *messages, unsigned int count, int flags);
    """
)
_libc: Any = _ffi.dlopen(None)


class _Messages:
    """An array of message headers, each with one buffer and one address, all in place for good."""

    def __init__(self, capacity: int, width: int) -> None:
        self.capacity = capacity
        self.data = np.zeros((capacity, width), np.uint8)
        self.addresses = np.zeros(capacity, SOCKADDR)
        self.buffers = np.zeros(capacity, IOVEC)
        self.headers = np.zeros(capacity, MMSGHDR)
        rows = np.arange(capacity, dtype=np.uint64)
        self.buffers["base"] = np.uint64(self.data.ctypes.data) + rows * np.uint64(width)
        self.buffers["len"] = width
        self.headers["name"] = np.uint64(self.addresses.ctypes.data) + rows * np.uint64(SOCKADDR.itemsize)
        self.headers["namelen"] = SOCKADDR.itemsize
        self.headers["iov"] = np.uint64(self.buffers.ctypes.data) + rows * np.uint64(IOVEC.itemsize)
        self.headers["iovlen"] = 1
        self.pointer: Any = _ffi.cast("char *", self.headers.ctypes.data)


class Inbox(_Messages):
    """Receives from many sockets into one batch.

    A call of `receive` gives columns that are views: they hold until the next call.
    """

    def __init__(self, capacity: int = 4096, addresses: Addresses | None = None) -> None:
        """`addresses` has the numbers of IPv6 sources; by default one of its own."""
        super().__init__(capacity, MTU)
        self._numbers = Addresses() if addresses is None else addresses
        self.control = np.zeros(capacity, CONTROL)
        rows = np.arange(capacity, dtype=np.uint64)
        self.headers["control"] = np.uint64(self.control.ctypes.data) + rows * np.uint64(CONTROL.itemsize)
        self.headers["controllen"] = CONTROL.itemsize
        self.sockets = np.zeros(capacity, np.int32)
        self._lengths = np.zeros(capacity, np.int32)
        self._ips = np.zeros(capacity, np.uint32)
        self._ports = np.zeros(capacity, np.uint16)
        self._arrivals = np.zeros(capacity, np.int64)
        self._scratch = np.zeros((2, PER_SOCKET), np.int64)
        self._asked: Sequence[tuple[int, int]] = ()
        self._pairs = np.zeros((2, 0), np.int32)
        self.full: list[tuple[int, int]] = []
        """Sockets of the last call that may hold more."""

    def receive(
        self,
        sockets: Sequence[tuple[int, int]],
        start: int,
        realtime_offset_ns: int,
        now_ns: int,
        usual: Any | None = None,
    ) -> tuple[PacketBatch, int]:
        """Drain (number, file descriptor) pairs from `start` on until the arrays are full.

        Returns the batch and where to go on (len(sockets) when all are drained). Kernel times are
        CLOCK_REALTIME: `realtime_offset_ns` is what to subtract to be on the engine's clock. What `usual`
        (of `Engine.usual`) tells to be usual goes where it belongs, and is not in the batch.
        """
        if kernels is not None:
            return self._receive_compiled(kernels, sockets, start, realtime_offset_ns, now_ns, usual)
        recvmmsg = _libc.recvmmsg
        null = _ffi.NULL
        pointer, capacity = self.pointer, self.capacity
        filled = 0
        owners: list[int] = []
        counts: list[int] = []
        full: set[int] = set()
        position = start
        for position in range(start, len(sockets)):
            room = capacity - filled
            if room <= 0:
                break
            number, fd = sockets[position]
            most = min(room, PER_SOCKET)
            got = recvmmsg(fd, pointer + 64 * filled, most, MSG_DONTWAIT, null)
            if got == most:
                full.add(number)
            if got > 0:
                owners.append(number)
                counts.append(got)
                filled += got
        else:
            position = len(sockets)
        self.full = [pair for pair in sockets if pair[0] in full] if full else []
        self.sockets[:filled] = np.repeat(np.array(owners, np.int32), counts)
        return self._columns(filled, realtime_offset_ns, now_ns), position

    def _receive_compiled(
        self,
        library: Any,
        sockets: Sequence[tuple[int, int]],
        start: int,
        offset_ns: int,
        now_ns: int,
        usual: Any | None,
    ) -> tuple[PacketBatch, int]:
        if sockets is not self._asked:
            # Mostly the very same list as the time before.
            self._pairs = np.array(sockets, np.int32).reshape(-1, 2).T.copy()
            self._asked = sockets
        numbers, descriptors = self._pairs
        reached, full = np.zeros(2, np.int64), np.zeros(len(sockets), np.bool_)
        filled = library.rb_receive(
            at(numbers),
            at(descriptors),
            len(sockets),
            start,
            self.pointer,
            self.capacity,
            PER_SOCKET,
            at(self.control),
            offset_ns,
            now_ns,
            MTU,
            at(self._lengths),
            at(self.sockets),
            at(self._ips),
            at(self._ports),
            at(self._arrivals),
            at(reached),
            at(full),
            ffi.NULL if usual is None else usual,
            at(self.data),
            *map(at, self._scratch),
        )
        position, of_ipv6 = reached.tolist()
        if of_ipv6:
            self._number(self._ips[:filled])
        self.full = [sockets[i] for i in np.flatnonzero(full).tolist()] if full.any() else []
        batch = PacketBatch(
            self.data[:filled],
            self._lengths[:filled],
            self.sockets[:filled],
            self._ips[:filled],
            self._ports[:filled],
            self._arrivals[:filled],
        )
        return batch, position

    def _columns(self, n: int, realtime_offset_ns: int, now_ns: int) -> PacketBatch:
        headers = self.headers[:n]
        length: Ints = headers["len"].astype(np.int32)
        length[(headers["flags"] & MSG_TRUNC) != 0] = MTU + 1
        control = self.control[:n]
        stamped = (control["type"] == SCM_TIMESTAMPNS) & (headers["controllen"] == CONTROL.itemsize)
        arrival = control["seconds"] * 1_000_000_000 + control["nanoseconds"] - realtime_offset_ns
        arrival = np.where(stamped & (arrival <= now_ns), arrival, now_ns)
        ips = self.addresses["ip"][:n].astype(np.uint32)
        self._number(ips)
        batch = PacketBatch(
            self.data[:n],
            length,
            self.sockets[:n],
            ips,
            self.addresses["port"][:n].astype(np.uint16),
            arrival,
        )
        # The kernel wrote what it used: give it the full sizes again.
        headers["namelen"] = SOCKADDR.itemsize
        headers["controllen"] = CONTROL.itemsize
        return batch

    def _number(self, ips: Words) -> None:
        """Put the numbers of IPv6 sources in their places."""
        rows = np.flatnonzero(self.addresses["family"][: len(ips)] == AF_INET6)
        if len(rows):
            ips[rows] = self._numbers.numbers(self.addresses["ipv6"][rows])


class Outbox(_Messages):
    """Sends a batch whose rows are sorted by socket, one system call a socket."""

    def __init__(self, capacity: int = 4096, addresses: Addresses | None = None) -> None:
        """`addresses` has the IPv6 addresses of numbers; without it there are none."""
        super().__init__(capacity, OUTGOING_BYTES)
        self._numbers = Addresses() if addresses is None else addresses
        self.addresses["family"] = AF_INET
        self._base = np.uint64(self.data.ctypes.data)
        self._in_order = np.arange(capacity)
        self.failed = 0

    def send(self, batch: OutgoingBatch, descriptors: Sequence[int] | Ints) -> int:
        """Hand the rows to the kernel without waiting; returns how many it took, `failed` counts the others.

        Rows may lie in this object's own `data` (from row 0 on), then they are not copied.
        """
        sent, numbers = 0, np.asarray(descriptors, np.int32)
        for first in range(0, len(batch), self.capacity):
            sent += self._send(batch, first, min(self.capacity, len(batch) - first), numbers)
        return sent

    def _send(self, batch: OutgoingBatch, first: int, n: int, descriptors: Ints) -> int:
        rows = slice(first, first + n)
        if batch.data is not self.data and batch.data.base is not self.data:
            self.data[:n] = batch.data[rows if batch.row is None else batch.row[rows]]
            row = self._in_order[:n]
        else:
            row = self._in_order[:n] + first if batch.row is None else batch.row[rows]
        if kernels is not None:
            return self._send_compiled(kernels, batch, rows, row, descriptors)
        self.buffers["base"][:n] = self._base + row.astype(np.uint64) * np.uint64(self.data.shape[1])
        self.buffers["len"][:n] = batch.length[rows]
        self.addresses["ip"][:n] = batch.ip[rows]
        self.addresses["port"][:n] = batch.port[rows]
        if len(self._numbers):
            self._write_ipv6(batch.ip[rows])
        sockets = batch.socket[rows]
        starts = [0, *(np.flatnonzero(np.diff(sockets)) + 1).tolist()]
        sendmmsg, pointer = _libc.sendmmsg, self.pointer
        sent = 0
        for start, end, owner in zip(starts, [*starts[1:], n], sockets[starts].tolist(), strict=True):
            fd = int(descriptors[owner])
            took = sendmmsg(fd, pointer + 64 * start, end - start, MSG_DONTWAIT)
            if took == end - start:
                sent += took
            else:
                sent += self._send_rest(fd, start, end, took)
        return sent

    def _send_compiled(
        self, library: Any, batch: OutgoingBatch, rows: slice, row: Longs, descriptors: Ints
    ) -> int:
        n = len(row)
        columns = [np.ascontiguousarray(column[rows]) for column in (batch.length, batch.ip, batch.port)]
        width = self.data.shape[1]
        library.rb_address(
            *map(at, columns), at(row), at(self.data), width, n, at(self.buffers), at(self.addresses)
        )
        if len(self._numbers):
            self._write_ipv6(batch.ip[rows])
        sockets = np.ascontiguousarray(batch.socket[rows])
        sent = int(library.rb_send(at(sockets), at(descriptors), self.pointer, n))
        self.failed += n - sent
        return sent

    def _write_ipv6(self, ips: Words) -> None:
        """Write the addresses of numbers of IPv6, and each row's family."""
        of_ipv6 = ips >= FIRST_IPV6
        self.addresses["family"][: len(ips)] = np.where(of_ipv6, AF_INET6, AF_INET)
        rows = np.flatnonzero(of_ipv6)
        if len(rows):
            # Where IPv4 has its address there is the flow label.
            self.addresses["ip"][rows] = 0
            octets = self.addresses["ipv6"][rows] = self._numbers.octets(ips[rows])
            # To `::` would be to this machine; port 0 is refused.
            self.addresses["port"][rows[~octets.any(axis=1)]] = 0

    def _send_rest(self, fd: int, start: int, end: int, took: int) -> int:
        """Go on after a message that the kernel refused: skip it, unless the socket itself is full."""
        sent = 0
        while True:
            if took > 0:
                sent += took
                start += took
            else:
                self.failed += 1
                start += 1
                if _ffi.errno in (errno.EAGAIN, errno.ENOBUFS):
                    break
            if start >= end:
                return sent
            took = _libc.sendmmsg(fd, self.pointer + 64 * start, end - start, MSG_DONTWAIT)
        self.failed += end - start
        return sent
