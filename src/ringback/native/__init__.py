"""Compiled inner loops of the media engine; where they were not built, the plain code beside each serves.

`kernels` is the library, or None: without a C compiler at installation, on another platform than Linux, or
with RINGBACK_PLAIN=1 in the environment, which tests and comparisons use. Arrays are given as `at(array)`:
they must be contiguous and of the dtype that kernels.c names; nothing is checked in C.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

import _cffi_backend
import cffi

LIBRARY: Final = Path(__file__).with_name("kernels.so")
VERSION: Final = 14
"""Of the interface: a library left from another version of the code is not used."""

ffi: Final = cffi.FFI()
ffi.cdef(
    """
    int32_t rb_version(void);
    void rb_parse(void *data, int64_t width, void *length, int64_t n, void *valid, void *payload_type,
                  void *marker, void *sequence, void *timestamp, void *ssrc, void *payload_offset,
                  void *payload_length, void *extension_offset);
    void rb_headers(void *out, int64_t width, void *order, int64_t n, void *payload_type, void *marker,
                    void *sequence, void *timestamp, void *ssrc);
    int64_t rb_sequence(int64_t k, void *legs, void *numbers, void *timestamps, void *sources, void *arrivals,
                        void *timed, int64_t most, void *ssrc, void *highest, void *received, void *seen,
                        void *transit, void *candidate, void *jitter, int64_t largest_step, void *touched,
                        void *extended, void *fresh, void *slow);
    void rb_index(void *keys, void *owners, int64_t n, void *table, int64_t mask);
    struct usual {
        void *table;
        int64_t mask;
        void *formats, *locked, *receives, *secure, *own_ssrc, *received_ns, *ssrc, *highest, *received,
             *seen, *transit, *candidate, *jitter, *touched, *anchored, *codec, *grid_timestamp, *grid_frame,
             *next_frame, *newest, *have, *frames, *late_streak, *wanted, *counts;
        int64_t largest_step, most, ring, ahead_most, stride, bins, reach, guard, early, codecs, now, tick,
                first_tick;
    };
    int64_t rb_usual(struct usual *of, void *data, int64_t width, void *length, void *socket, void *ip,
                     void *port, void *arrival, int64_t n, void *legs, void *left);
    void rb_aim(void *legs, int64_t n, void *counts, int64_t windows, int64_t below, int64_t most,
                double share, double packets, int32_t only_down, void *wanted);
    int64_t rb_energy_ulaw(void *frames, void *rows, int64_t n, int64_t m, void *out, void *clipped);
    int64_t rb_energy_alaw(void *frames, void *rows, int64_t n, int64_t m, void *out, void *clipped);
    struct gate {
        void *talking, *level, *hangover, *frames, *lowest, *minima;
        int64_t windows, window_frames;
        float margin, floor, ceiling, rise, fall;
        int16_t hangover_frames;
    };
    void rb_gate(struct gate *of, void *legs, void *energy, int64_t n, void *result);
    struct deciding {
        void *room, *members, *echo, *muted, *whispers, *denoise, *in_band, *heard, *decoded, *energy, *sum,
             *loud_at, *clipped, *gain, *send_codec, *concealed_ticks;
        struct gate *gate;
        int64_t tick, listen_ticks, always_open, missed_ticks;
        float loud;
        int32_t some_denoise;
    };
    int64_t rb_take(void *legs, int64_t n, int64_t tick, int64_t ring, int32_t full, void *heard,
                    void *talking, void *have, void *settled, void *anchored, void *wanted, void *carry,
                    void *codec, void *next_frame, void *action, void *row, void *frame, void *codecs,
                    void *continued, void *odd);
    int64_t rb_places(struct deciding *of, void *slots, int64_t n, void *action, void *codec, void *run,
                      void *sounding, void *room, void *echo, void *listening);
    int64_t rb_levels(struct deciding *of, void *slots, int64_t n, void *frames, int64_t m, void *row,
                      void *action, void *codec, void *sounding, void *energy);
    int32_t rb_decide(struct deciding *of, void *slots, int64_t n, void *action, void *codec, void *run,
                   void *sounding, void *room, void *echo, void *listening, void *energy,
                   void *clean, void *talking, void *heard, void *rising, void *falling, void *decoded);
    void rb_decode(void *frames, void *rows, int64_t n, int64_t m, void *table, void *places, void *out);
    void rb_encode(void *samples, int64_t count, int32_t alaw, void *out);
    int64_t rb_voices(void *at, int64_t k, void *slots, void *action, void *row, void *codec, void *second,
                      void *joined, void *piece, void *continued, void *frames, int64_t m, void *tables,
                      void *carry, int64_t ring, void *rings, void *oldest, void *out, void *odd);
    void rb_listeners(void *order, int64_t n, void *room, void *deaf, void *codec, void *where, void *wide,
                      void *counts);
    int64_t rb_hearers(void *positions, int64_t k, void *order, void *room, void *voice, void *heard,
                       void *echo, void *keep, void *played, void *row_of_room, int64_t rooms, int64_t shared,
                       void *row_of, void *private, void *of, void *less, void *more);
    void rb_advance(void *codec, int64_t n, void *of_frame, uint32_t frames, void *timestamp);
    int64_t rb_sent(void *order, int64_t n, void *length, int32_t header, void *sequence, void *marker,
                    void *packets, void *octets);
    void rb_destinations(void *order, int64_t n, void *pair, void *ip, void *port, void *socket, void *to_ip,
                         void *to_port);
    void rb_keep(void *legs, void *samples, int64_t n, int64_t m, int64_t frames, void *rings, void *oldest);
    void rb_carry(void *legs, void *places, void *carried, int64_t k, int64_t m, int64_t frames, void *rings,
                  void *oldest, void *out);
    int64_t rb_attend(void *legs, void *samples, int64_t n, int64_t m, int64_t every, int64_t tick,
                      int64_t forget, void *heard_at, void *key, void *likely, void *before, void *windows,
                      void *due, void *pressed);
    int64_t rb_keys(void *products, int64_t n, float clear, float least, void *windows, void *low,
                    void *high);
    void rb_passages(void *rows, void *start, int64_t n, int64_t width, int64_t size, void *out);
    void rb_correlate(void *rows, void *passages, int64_t n, int64_t width, int64_t w, void *product,
                      void *energy);
    void rb_continue(void *histories, void *lag, void *position, int64_t n, int64_t width, int64_t size,
                     float settle, float from, float to, void *out);
    void rb_limit(void *mix, int64_t n, int64_t m, float limit);
    void rb_sum(void *voices, void *rooms, int64_t k, int64_t m, void *sums);
    void rb_scatter(void *table, int64_t rows, int64_t m, void *row, int64_t n, void *out, int64_t width,
                    int64_t offset);
    int64_t rb_receive(void *numbers, void *descriptors, int64_t n, int64_t start, void *headers,
                       int64_t capacity, int64_t per_socket, void *stamps, int64_t offset_ns, int64_t now_ns,
                       int32_t mtu, void *length, void *socket, void *ip, void *port, void *arrival,
                       void *position, void *full, struct usual *usual, void *data, void *legs, void *left);
    int64_t rb_send(void *socket, void *descriptors, void *headers, int64_t n);
    void rb_address(void *length, void *ip, void *port, void *row, void *data, int64_t width, int64_t n,
                    void *buffers, void *addresses);
    void rb_store(void *data, int64_t width, void *rows, void *start, void *places, int64_t n, void *frames,
                  int64_t m);
    void rb_srtp(void *operation, void *contexts, void *data, int64_t width, void *rows, void *lengths,
                 int64_t n, void *status);
    void rb_own(void *mix, void *of, void *voices, void *less, void *more, int64_t n, int64_t m, void *out);
    void rb_extend(int64_t n, void *arrived, void *sequence, void *timestamp, int64_t step, int64_t dropout,
                   int64_t misorder, int64_t silence, int64_t successor, int64_t apart, void *extended,
                   void *count);
    void rb_jitter(int64_t n, void *change, void *how, void *out);
    int64_t rb_transit(int64_t n, void *arrived, void *timestamp, void *payload_type, void *fresh,
                       void *clock, void *rows, void *arrived_ms, void *change, void *largest);
    void rb_wireshark(int64_t n, void *arrived, void *timestamp, void *payload_type, void *marker,
                      void *clock, void *noise, void *out);
    void rb_sums(int64_t m, void *of, void *values, void *count, void *sum, void *largest);
    double rb_play(int64_t n, void *transit, void *arrived, void *restart, double depth, double most,
                   double resync, int64_t window, int64_t ring, void *recent, void *result);
    int64_t rb_pcap_walk(void *data, int64_t size, int64_t at, int32_t big, int64_t header,
                         int64_t per_second, uint32_t largest, int32_t strict, int64_t trusted, int64_t most,
                         void *offset, void *captured, void *original, void *at_ns, void *state);
    int64_t rb_pcapng_walk(void *data, int64_t size, int64_t at, int32_t big, uint32_t largest,
                           uint32_t largest_packet, uint32_t simple_limit, int64_t most, void *offset,
                           void *captured, void *original, void *interface, void *ticks, void *state);
    void rb_sift(void *data, int64_t n, void *offset, void *captured, void *original, void *link, void *at_ns,
                 void *ports, void *squares, void *way, void *rows, void *keys, void *flow_keys,
                 void *flow_octets, void *found);
    int64_t rb_number(void *keys, int64_t n, uint64_t seed, void *slots, uint64_t mask, void *known,
                      int64_t room, void *count, void *number);
    """
)
at: Final = _cffi_backend.FFI().from_buffer
"""As ffi.from_buffer, but written in C: every loop is called with many columns."""


def pointer(address: int) -> Any:
    """An address of another library as a C pointer."""
    return ffi.cast("void *", address)


def _load() -> Any | None:
    if os.environ.get("RINGBACK_PLAIN") == "1" or not sys.platform.startswith("linux"):
        return None
    try:
        library = ffi.dlopen(str(LIBRARY))
        return library if library.rb_version() == VERSION else None
    except (OSError, AttributeError):
        return None


kernels: Any | None = _load()
