/* The inner loops of the media engine that cost most in NumPy: one pass over memory in place of several.
 *
 * Every function does what the plain code beside its caller does, and the tests run both. No function allocates,
 * keeps a state of its own or trusts a length that came from the network. Built by hatch_build.py where there is
 * a C compiler; where there is none the plain code serves.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FAST __attribute__((target_clones("avx2", "default")))
#else
#define FAST
#endif

int32_t rb_version(void) { return 3; }

/* RTP headers (RFC 3550 5.1) ------------------------------------------------------------------------------- */

static inline uint32_t be32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* As rtp.header.parse: `valid` and eight columns of n rows of `width` octets. */
void rb_parse(const uint8_t *data, int64_t width, const int32_t *length, int64_t n, uint8_t *valid,
              uint8_t *payload_type, uint8_t *marker, uint16_t *sequence, uint32_t *timestamp, uint32_t *ssrc,
              int32_t *payload_offset, int32_t *payload_length, int32_t *extension_offset) {
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *row = data + i * width;
        int32_t size = length[i], end = size, offset = 12 + 4 * (row[0] & 15);
        int ok = row[0] >> 6 == 2 && size >= 12 && size <= width;
        payload_type[i] = row[1] & 127;
        marker[i] = row[1] >> 7;
        sequence[i] = (uint16_t)(row[2] << 8 | row[3]);
        timestamp[i] = be32(row + 4);
        ssrc[i] = be32(row + 8);
        extension_offset[i] = 0;
        if (ok && row[0] & 16) {
            if (offset + 4 > size) {
                offset = size + 1;
            } else {
                extension_offset[i] = offset;
                offset += 4 + 4 * (row[offset + 2] << 8 | row[offset + 3]);
            }
        }
        if (ok && row[0] & 32) {
            uint8_t padding = row[size - 1];
            ok = padding != 0;
            end -= padding;
        }
        valid[i] = ok && offset <= end;
        payload_offset[i] = offset;
        payload_length[i] = end - offset;
    }
}

/* As rtp.header.encode, for rows whose values are looked up by the leg in `order`; the legs' counters move on. */
void rb_headers(uint8_t *out, int64_t width, const int64_t *order, int64_t n, const uint8_t *payload_type,
                uint8_t *marker, uint16_t *sequence, const uint32_t *timestamp, const uint32_t *ssrc) {
    for (int64_t i = 0; i < n; i++) {
        uint8_t *row = out + i * width;
        int64_t leg = order[i];
        uint16_t number = sequence[leg]++;
        uint32_t time = timestamp[leg], source = ssrc[leg];
        row[0] = 0x80;
        row[1] = (uint8_t)(payload_type[leg] | (marker[leg] ? 0x80 : 0));
        row[2] = (uint8_t)(number >> 8), row[3] = (uint8_t)number;
        row[4] = (uint8_t)(time >> 24), row[5] = (uint8_t)(time >> 16), row[6] = (uint8_t)(time >> 8);
        row[7] = (uint8_t)time;
        row[8] = (uint8_t)(source >> 24), row[9] = (uint8_t)(source >> 16), row[10] = (uint8_t)(source >> 8);
        row[11] = (uint8_t)source;
        marker[leg] = 0;
    }
}

/* Reception (RFC 3550 A.1, A.8) ------------------------------------------------------------------------------ */

/* The packets that are simply the next of their leg, counted one after another as ReceivedSequence does.
 * `slow` uint8[k] is set for the others and for what follows them on the same leg; `touched` uint8[capacity] must
 * be zero and is left zero. Returns how many are slow. */
int64_t rb_sequence(int64_t k, const int64_t *legs, const uint16_t *numbers, const uint32_t *timestamps,
                    const uint32_t *sources, const int64_t *arrivals, const uint8_t *timed, int64_t most,
                    int64_t *ssrc, int64_t *highest, int64_t *received, uint64_t *seen, int64_t *transit,
                    int64_t *candidate, double *jitter, int64_t largest_step, uint8_t *touched,
                    int64_t *extended, uint8_t *fresh, uint8_t *slow) {
    int64_t left = 0;
    for (int64_t i = 0; i < k; i++) {
        int64_t leg = legs[i];
        uint16_t step = (uint16_t)(numbers[i] - (uint16_t)highest[leg]);
        if (touched[leg] == 255 || touched[leg] >= most || ssrc[leg] != (int64_t)sources[i] || step != 1) {
            touched[leg] = 255;
            slow[i] = 1;
            left++;
            continue;
        }
        touched[leg]++;
        slow[i] = 0;
        highest[leg]++;
        seen[leg] = seen[leg] << 1 | 1;
        candidate[leg] = -1;
        received[leg]++;
        extended[i] = highest[leg];
        fresh[i] = 1;
        if (timed[i]) {
            int64_t now = (arrivals[i] - (int64_t)timestamps[i]) & 0xFFFFFFFF;
            if (transit[leg] != -1) {
                int64_t change = ((now - transit[leg] + 0x80000000) & 0xFFFFFFFF) - 0x80000000;
                if (change < 0) change = -change;
                if (change < largest_step) jitter[leg] += ((double)change - jitter[leg]) / 16;
            }
            transit[leg] = now;
        }
    }
    for (int64_t i = 0; i < k; i++) touched[legs[i]] = 0;
    return left;
}

/* Levels ------------------------------------------------------------------------------------------------------ */

/* Mean square of each of n frames of m octets, those at `rows` of a table of frames. */
FAST void rb_energy(const uint8_t *frames, const int64_t *rows, int64_t n, int64_t m, const float *square,
                    float *out) {
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *frame = frames + rows[i] * m;
        float a = 0, b = 0, c = 0, d = 0;
        int64_t j = 0;
        for (; j + 4 <= m; j += 4) {
            a += square[frame[j]];
            b += square[frame[j + 1]];
            c += square[frame[j + 2]];
            d += square[frame[j + 3]];
        }
        for (; j < m; j++) a += square[frame[j]];
        out[i] = (a + b + c + d) / (float)m;
    }
}

/* As level.SpeechGate.update. */
void rb_gate(const int64_t *legs, const float *energy, int64_t n, int64_t windows, int64_t window_frames,
             float margin, float floor, float ceiling, int16_t hangover_frames, float rise, float fall,
             uint8_t *talking, float *level, int16_t *hangover, int16_t *frames, float *lowest, float *minima,
             uint8_t *result) {
    for (int64_t i = 0; i < n; i++) {
        int64_t leg = legs[i];
        float e = energy[i], low = e < lowest[leg] ? e : lowest[leg];
        float *window = minima + leg * windows, noise = low;
        for (int64_t w = 0; w < windows; w++) noise = window[w] < noise ? window[w] : noise;
        int64_t count = frames[leg] + 1;
        if (count % window_frames == 0) {
            window[count / window_frames - 1] = low;
            low = INFINITY;
        }
        frames[leg] = (int16_t)(count % (window_frames * windows));
        lowest[leg] = low;
        float threshold = noise * margin;
        threshold = threshold < floor ? floor : threshold > ceiling ? ceiling : threshold;
        int16_t left = hangover[leg] > 0 ? hangover[leg] - 1 : 0;
        if (e > threshold) left = hangover_frames + 1;
        hangover[leg] = left;
        talking[leg] = result[i] = left > 0;
        level[leg] += (e - level[leg]) * (e > level[leg] ? rise : fall);
    }
}

/* Audio ------------------------------------------------------------------------------------------------------- */

/* n frames of m octets, those at `rows` of a table of frames, to samples. */
FAST void rb_decode(const uint8_t *frames, const int64_t *rows, int64_t n, int64_t m, const float *table,
                    float *out) {
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *frame = frames + rows[i] * m;
        float *to = out + i * m;
        for (int64_t j = 0; j < m; j++) to[j] = table[frame[j]];
    }
}

/* `count` samples at full scale 1 to codes by a table of 16384. */
FAST void rb_encode(const float *samples, int64_t count, const uint8_t *table, uint8_t *out) {
    for (int64_t i = 0; i < count; i++) {
        float scaled = samples[i] * 8192.0f + 8192.0f;
        scaled = scaled < 0.0f ? 0.0f : scaled > 16383.0f ? 16383.0f : scaled;
        out[i] = table[(int32_t)scaled];
    }
}

/* As mix.limit: in place, a tanh knee above `limit`. */
FAST void rb_limit(float *mix, int64_t n, int64_t m, float limit) {
    float span = 1.0f - limit;
    for (int64_t i = 0; i < n; i++) {
        float *row = mix + i * m, loud = 0;
        for (int64_t j = 0; j < m; j++) {
            float size = row[j] < 0 ? -row[j] : row[j];
            loud = size > loud ? size : loud;
        }
        if (!(loud > limit)) continue;
        for (int64_t j = 0; j < m; j++) {
            float over = fabsf(row[j]) - limit;
            if (over > 0) row[j] = copysignf(limit + span * tanhf(over / span), row[j]);
        }
    }
}

/* As mix.sum_by_room; `sums` is zero at first. */
FAST void rb_sum(const float *voices, const int64_t *rooms, int64_t k, int64_t m, float *sums) {
    for (int64_t i = 0; i < k; i++) {
        const float *from = voices + i * m;
        float *to = sums + rooms[i] * m;
        for (int64_t j = 0; j < m; j++) to[j] += from[j];
    }
}

/* out[i] = table[row[i]], rows of m octets, into rows of `width` octets from `offset` on; row -1 is the last of
 * `rows`. */
void rb_scatter(const uint8_t *table, int64_t rows, int64_t m, const int64_t *row, int64_t n, uint8_t *out,
                int64_t width, int64_t offset) {
    for (int64_t i = 0; i < n; i++)
        memcpy(out + i * width + offset, table + (row[i] < 0 ? rows - 1 : row[i]) * m, (size_t)m);
}

/* The m octets from start[i] on of the packet rows[i] to frame places[i] of m octets each. */
void rb_store(const uint8_t *data, int64_t width, const int64_t *rows, const int32_t *start, const int64_t *places,
              int64_t n, uint8_t *frames, int64_t m) {
    for (int64_t i = 0; i < n; i++)
        memcpy(frames + places[i] * m, data + rows[i] * width + start[i], (size_t)m);
}

/* out[i] = mix[of[i]] - voices[less[i]] + voices[more[i]], rows of m samples; -1 is nothing. */
FAST void rb_own(const float *mix, const int64_t *of, const float *voices, const int64_t *less, const int64_t *more,
                 int64_t n, int64_t m, float *out) {
    for (int64_t i = 0; i < n; i++) {
        float *to = out + i * m;
        if (of[i] < 0)
            memset(to, 0, (size_t)m * sizeof *to);
        else
            memcpy(to, mix + of[i] * m, (size_t)m * sizeof *to);
        if (less[i] >= 0) {
            const float *from = voices + less[i] * m;
            for (int64_t j = 0; j < m; j++) to[j] -= from[j];
        }
        if (more[i] >= 0) {
            const float *from = voices + more[i] * m;
            for (int64_t j = 0; j < m; j++) to[j] += from[j];
        }
    }
}

/* SRTP -------------------------------------------------------------------------------------------------------- */

/* Run libsrtp's protect or unprotect on n rows of `width` octets, each under its context; what it said of each. */
void rb_srtp(int (*operation)(void *, void *, int *), void *const *contexts, uint8_t *data, int64_t width,
             const int64_t *rows, int *lengths, int64_t n, int32_t *status) {
    for (int64_t i = 0; i < n; i++)
        status[i] = operation(contexts[i], data + rows[i] * width, lengths + rows[i]);
}

/* Sockets ----------------------------------------------------------------------------------------------------- */

struct stamp {
    uint64_t size;
    int32_t level, type;
    int64_t seconds, nanoseconds;
};

/* Drain n sockets from `start` on into message headers until they are full: how many datagrams, and the columns of
 * each. `*position` is where to go on; full[i] is set for a socket that may hold more. */
int64_t rb_receive(const int32_t *numbers, const int32_t *descriptors, int64_t n, int64_t start,
                   struct mmsghdr *headers, int64_t capacity, int64_t per_socket, const struct stamp *stamps,
                   int64_t offset_ns, int64_t now_ns, int32_t mtu, int32_t *length, int32_t *socket, uint32_t *ip,
                   uint16_t *port, int64_t *arrival, int64_t *position, uint8_t *full) {
    int64_t filled = 0, at = start;
    for (; at < n && filled < capacity; at++) {
        int64_t room = capacity - filled;
        int got = recvmmsg(descriptors[at], headers + filled, (unsigned)(room < per_socket ? room : per_socket),
                           MSG_DONTWAIT, NULL);
        full[at] = got == per_socket;
        for (int i = 0; i < got; i++, filled++) {
            struct mmsghdr *header = headers + filled;
            const uint8_t *name = header->msg_hdr.msg_name;
            const struct stamp *stamp = stamps + filled;
            length[filled] = header->msg_hdr.msg_flags & MSG_TRUNC ? mtu + 1 : (int32_t)header->msg_len;
            socket[filled] = numbers[at];
            port[filled] = (uint16_t)(name[2] << 8 | name[3]);
            ip[filled] = be32(name + 4);
            int64_t time = now_ns;
            if (header->msg_hdr.msg_controllen == sizeof(struct stamp) && stamp->type == 35) {
                time = stamp->seconds * 1000000000 + stamp->nanoseconds - offset_ns;
                if (time > now_ns) time = now_ns;
            }
            arrival[filled] = time;
            /* The kernel wrote what it used: give it the full sizes again. */
            header->msg_hdr.msg_namelen = 16;
            header->msg_hdr.msg_controllen = sizeof(struct stamp);
        }
    }
    *position = at;
    return filled;
}

/* Send n messages, sorted by socket, without waiting: how many the kernel took. */
int64_t rb_send(const int32_t *socket, const int32_t *descriptors, struct mmsghdr *headers, int64_t n) {
    int64_t sent = 0;
    for (int64_t i = 0; i < n;) {
        int64_t end = i;
        while (end < n && socket[end] == socket[i]) end++;
        int descriptor = descriptors[socket[i]];
        while (i < end) {
            int took = sendmmsg(descriptor, headers + i, (unsigned)(end - i), MSG_DONTWAIT);
            if (took > 0) {
                sent += took;
                i += took;
                continue;
            }
            /* A message that the kernel refuses is skipped; when the socket itself is full, all that are left. */
            i = errno == EAGAIN || errno == ENOBUFS ? end : i + 1;
        }
    }
    return sent;
}

/* Write places, lengths and destinations of n datagrams, rows of `width` octets, into message headers' buffers and
 * addresses. */
void rb_address(const int32_t *length, const uint32_t *ip, const uint16_t *port, const int64_t *row, uint8_t *data,
                int64_t width, int64_t n, struct iovec *buffers, uint8_t *addresses) {
    for (int64_t i = 0; i < n; i++) {
        uint8_t *to = addresses + 16 * i;
        buffers[i].iov_base = data + row[i] * width;
        buffers[i].iov_len = (size_t)length[i];
        to[2] = (uint8_t)(port[i] >> 8), to[3] = (uint8_t)port[i];
        to[4] = (uint8_t)(ip[i] >> 24), to[5] = (uint8_t)(ip[i] >> 16), to[6] = (uint8_t)(ip[i] >> 8);
        to[7] = (uint8_t)ip[i];
    }
}

/* Captured streams -------------------------------------------------------------------------------------------- */

/* As counting.extend_plainly: numbers that go on over wraps, and which count each belongs to, -1 for none. */
void rb_extend(int64_t n, const uint16_t *sequence, const uint32_t *timestamp, int64_t step, int64_t dropout,
               int64_t misorder, int64_t successor, int64_t apart, int64_t *extended, int32_t *count) {
    int64_t highest = n ? sequence[0] : 0, candidate = -1;
    int32_t current = 0;
    uint16_t number = n ? sequence[0] : 0;
    uint32_t stamp = n ? timestamp[0] : 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t ahead = (int16_t)(uint16_t)(sequence[i] - number);
        int64_t off = (int32_t)(timestamp[i] - stamp) - ahead * step, room = (ahead < 0 ? -ahead : ahead) * step / 8;
        if ((ahead < dropout && ahead > -misorder) ||
            (step > 0 && (off < 0 ? -off : off) <= room + step)) {
            extended[i] = highest + ahead;
            count[i] = current;
            candidate = -1;
            if (ahead > 0) highest += ahead, number = sequence[i], stamp = timestamp[i];
            continue;
        }
        count[i] = -1;
        extended[i] = 0;
        uint16_t after = candidate < 0 ? 0 : (uint16_t)(sequence[i] - sequence[candidate]);
        if (candidate >= 0 && after == 0) continue;
        if (candidate < 0 || after > successor) {
            candidate = i;
            continue;
        }
        current++;
        for (int64_t j = candidate; j <= i; j++) {
            count[j] = current;
            extended[j] = highest + apart + (j < i ? 0 : after);
        }
        highest = extended[i], number = sequence[i], stamp = timestamp[i], candidate = -1;
    }
}

/* As timing.smooth_plainly: J += (|D| - J)/16 where `how` is 1, J = 0 where it is 2 (RFC 3550 A.8). */
void rb_jitter(int64_t n, const double *change, const uint8_t *how, double *out) {
    double jitter = 0;
    for (int64_t i = 0; i < n; i++) {
        if (how[i] == 2)
            jitter = 0;
        else if (how[i] == 1)
            jitter += (fabs(change[i]) - jitter) / 16;
        out[i] = jitter;
    }
}

/* As buffers.play_plainly: 1 for packets that come too late for a buffer, 2 too early; the sum of its depths.
 * `recent` has room for 4 * ring values, ring a power of two above window, which is 0 for a fixed buffer. */
double rb_play(int64_t n, const double *transit, const double *arrived, const uint8_t *restart, double depth,
               double most, double resync, int64_t window, int64_t ring, double *recent, uint8_t *result) {
    double low = 0, point = 0, late_since = 0, depths = 0;
    int64_t highs = 0, high_end = 0, lows = 0, low_end = 0;
    double *high_value = recent, *high_at = recent + ring, *low_value = recent + 2 * ring, *low_at = recent + 3 * ring;
    int late = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = transit[i];
        int again = i == 0 || restart[i];
        result[i] = 0;
        if (!again && x > point) {
            result[i] = 1;
            if (!late) late_since = arrived[i];
            late = 1;
            again = x > point + resync || arrived[i] - late_since >= resync;
        } else if (!again && x < point - most - resync) {
            result[i] = 2;
            again = 1;
        } else {
            late = 0;
        }
        if (again) {
            low = x, point = x + depth, late = 0;
            highs = high_end = lows = low_end = 0;
        }
        if (window) {
            if (highs < high_end && high_at[highs & (ring - 1)] <= (double)(i - window)) highs++;
            if (lows < low_end && low_at[lows & (ring - 1)] <= (double)(i - window)) lows++;
            while (high_end > highs && high_value[(high_end - 1) & (ring - 1)] <= x) high_end--;
            while (low_end > lows && low_value[(low_end - 1) & (ring - 1)] >= x) low_end--;
            high_value[high_end & (ring - 1)] = x, high_at[high_end++ & (ring - 1)] = (double)i;
            low_value[low_end & (ring - 1)] = x, low_at[low_end++ & (ring - 1)] = (double)i;
            low = low_value[lows & (ring - 1)];
            point = high_value[highs & (ring - 1)];
            if (point < low + depth) point = low + depth;
            if (point > low + most) point = low + most;
        }
        depths += point - low;
    }
    return depths;
}
