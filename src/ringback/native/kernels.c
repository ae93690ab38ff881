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
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FAST __attribute__((target_clones("avx2", "default")))
#else
#define FAST
#endif

int32_t rb_version(void) { return 14; }

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

/* Let the RTP clocks of n legs run on by so many frames of their codec. */
void rb_advance(const uint8_t *codec, int64_t n, const uint32_t *of_frame, uint32_t frames, uint32_t *timestamp) {
    for (int64_t i = 0; i < n; i++) timestamp[i] += of_frame[codec[i]] * frames;
}

/* Count what the legs in `order` are sent, rows with more than a header of `header` octets; the others get their
 * sequence number back, and the marker. Returns how many these are. */
int64_t rb_sent(const int64_t *order, int64_t n, const int32_t *length, int32_t header, uint16_t *sequence,
                uint8_t *marker, int64_t *packets, int64_t *octets) {
    int64_t without = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t leg = order[i];
        if (length[i] > header)
            packets[leg]++, octets[leg] += length[i] - header;
        else
            sequence[leg]--, marker[leg] = 1, without++;
    }
    return without;
}

/* Where the packets of the legs in `order` go: number of the RTP socket, address and port. */
void rb_destinations(const int64_t *order, int64_t n, const int32_t *pair, const uint32_t *ip, const uint16_t *port,
                     int32_t *socket, uint32_t *to_ip, uint16_t *to_port) {
    for (int64_t i = 0; i < n; i++) {
        int64_t leg = order[i];
        socket[i] = 2 * pair[leg], to_ip[i] = ip[leg], to_port[i] = port[leg];
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

/* What is usual of what arrives -------------------------------------------------------------------------------- */

/* The first three cache lines of a frame or packet that is read soon: rings of all legs do not fit a cache. */
static inline void soon(const uint8_t *at) {
    __builtin_prefetch(at);
    __builtin_prefetch(at + 64);
    __builtin_prefetch(at + 128);
}

/* Keys with their owners into a table of mask + 1 places, at least twice as many; owner -1 is an empty place. */
struct source {
    int64_t key, owner;
};

static inline int64_t first_place(int64_t mask, int64_t key) {
    /* The uppermost bits: only they have to do with all of the key. */
    return (int64_t)((uint64_t)key * 0x9E3779B97F4A7C15u >> __builtin_clzll((uint64_t)mask));
}

static inline struct source *place_of(struct source *table, int64_t mask, int64_t key) {
    int64_t place = first_place(mask, key);
    while (table[place].owner >= 0 && table[place].key != key) place = (place + 1) & mask;
    return table + place;
}

void rb_index(const int64_t *keys, const int64_t *owners, int64_t n, struct source *table, int64_t mask) {
    for (int64_t i = 0; i <= mask; i++) table[i].owner = -1;
    for (int64_t i = 0; i < n; i++) *place_of(table, mask, keys[i]) = (struct source){keys[i], owners[i]};
}

static inline int64_t floored(int64_t value, int64_t by) { return value / by - (value % by < 0); }

/* What usual packets are told by and counted in: columns of all legs, and what media/usual.py says of them. */
struct usual {
    struct source *table;
    int64_t mask;
    const uint8_t *formats, *locked, *receives, *secure;
    const uint32_t *own_ssrc;
    int64_t *received_ns, *ssrc, *highest, *received;
    uint64_t *seen;
    int64_t *transit, *candidate;
    double *jitter;
    uint8_t *touched;
    const uint8_t *anchored, *codec;
    const uint32_t *grid_timestamp;
    const int64_t *grid_frame, *next_frame;
    int64_t *newest;
    uint8_t *have, *frames;
    int32_t *late_streak;
    const int64_t *wanted;
    uint16_t *counts;
    int64_t largest_step, most, ring, ahead_most, stride, bins, reach, guard, early, codecs;
    int64_t now, tick, first_tick;
};

/* The packets of n rows of `width` octets that are what nearly all are, from header to jitter buffer: see
 * media/usual.py. `left` int64[n] gets the rows of the others, in order, and `legs` int64[n] is for the way;
 * returns how many are left. `touched` is zero before and after, as in rb_sequence. */
int64_t rb_usual(const struct usual *of, const uint8_t *data, int64_t width, const int32_t *length,
                 const int32_t *socket, const uint32_t *ip, const uint16_t *port, const int64_t *arrival, int64_t n,
                 int64_t *legs, int64_t *left) {
    enum { FRAME = 160, HEADER = 12, FRAME_US = 20000 };
    const int64_t frame_ns = FRAME_US * 1000;
    int64_t others = 0;
    /* First all keys: the table is larger than the nearest cache, and where a search ends cannot be foretold. */
    for (int64_t i = 0; i < n; i++) {
        legs[i] = (int64_t)(socket[i] >> 1) << 48 | (int64_t)ip[i] << 16 | port[i];
        __builtin_prefetch(of->table + first_place(of->mask, legs[i]));
    }
    for (int64_t i = 0; i < n; i++) legs[i] = socket[i] & 1 ? -1 : place_of(of->table, of->mask, legs[i])->owner;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *row = data + i * width;
        int64_t leg = legs[i], later = i + 6 < n ? legs[i + 6] : -1;
        if (later >= 0) {
            soon(row + 6 * width);
            soon(of->frames + (later * of->ring + ((of->newest[later] + 1) & (of->ring - 1))) * FRAME);
            __builtin_prefetch(of->formats + later * 128);
            __builtin_prefetch(of->counts + later * of->stride);
        }
        if (leg < 0) goto other;
        if (of->touched[leg] >= of->most) goto mark;
        uint8_t form = of->formats[leg * 128 + (row[1] & 127)];
        uint32_t source = be32(row + 8), timestamp = be32(row + 4);
        uint16_t number = (uint16_t)(row[2] << 8 | row[3]);
        int rtcp = row[1] >= 192 && row[1] <= 223;
        if (row[0] != 0x80 || rtcp || length[i] != HEADER + FRAME || length[i] > width || form >= of->codecs) goto mark;
        if (!of->locked[leg] || !of->receives[leg] || of->secure[leg] || source == of->own_ssrc[leg] ||
            of->ssrc[leg] != (int64_t)source || (uint16_t)(number - (uint16_t)of->highest[leg]) != 1)
            goto mark;
        int64_t distance = (int32_t)(timestamp - of->grid_timestamp[leg]), count = floored(distance, FRAME);
        int64_t frame = of->grid_frame[leg] + count, ahead = frame - of->next_frame[leg];
        if (!of->anchored[leg] || of->codec[leg] != form || count * FRAME != distance || ahead < 0 ||
            ahead > of->ahead_most)
            goto mark;
        int64_t age = of->now - arrival[i], due = of->tick + (age >= 0 && age < of->guard);
        if (age > frame_ns) {
            int64_t came = -floored(of->first_tick - arrival[i], frame_ns);
            if (came < due) due = came < of->tick - of->early ? of->tick - of->early : came;
        }
        int64_t lateness = due - frame, excess = lateness - of->wanted[leg];
        if (excess > 0 || excess < -of->reach) goto mark;

        of->touched[leg]++;
        of->received_ns[leg] = arrival[i];
        of->highest[leg]++;
        of->seen[leg] = of->seen[leg] << 1 | 1;
        of->candidate[leg] = -1;
        of->received[leg]++;
        int64_t passed = (floored(floored(arrival[i], 1000) * FRAME, FRAME_US) - (int64_t)timestamp) & 0xFFFFFFFF;
        if (of->transit[leg] != -1) {
            int64_t change = ((passed - of->transit[leg] + 0x80000000) & 0xFFFFFFFF) - 0x80000000;
            if (change < 0) change = -change;
            if (change < of->largest_step) of->jitter[leg] += ((double)change - of->jitter[leg]) / 16;
        }
        of->transit[leg] = passed;
        of->counts[leg * of->stride + (lateness & (of->bins - 1))]++;
        int64_t slot = leg * of->ring + (frame & (of->ring - 1));
        memcpy(of->frames + slot * FRAME, row + HEADER, FRAME);
        of->have[slot] = FRAME;
        if (frame > of->newest[leg]) of->newest[leg] = frame;
        of->late_streak[leg] = 0;
        continue;
    mark:
        of->touched[leg] = 255;
    other:
        left[others++] = i;
    }
    for (int64_t i = 0; i < n; i++)
        if (legs[i] >= 0) of->touched[legs[i]] = 0;
    return others;
}

/* As delay.Delay.aim: of each leg the histograms of `windows` windows of 64 latenesses together, and from them how
 * much more or less is wanted. */
void rb_aim(const int64_t *legs, int64_t n, const uint16_t *counts, int64_t windows, int64_t below, int64_t most,
            double share, double packets, int32_t only_down, int64_t *wanted) {
    enum { BINS = 64 };
    for (int64_t i = 0; i < n; i++) {
        const uint16_t *window = counts + legs[i] * windows * BINS;
        uint32_t sums[BINS] = {0};
        int64_t total = 0, passed = 0, fastest = -1, enough = -1;
        for (int64_t w = 0; w < windows; w++, window += BINS)
            for (int j = 0; j < BINS; j++) sums[j] += window[j];
        for (int j = 0; j < BINS; j++) total += sums[j];
        if (total == 0) continue;
        double few = share * (double)total;
        if (few < packets) few = packets;
        for (int64_t j = 0; j < BINS && (fastest < 0 || enough < 0); j++) {
            uint32_t count = sums[(wanted[legs[i]] + j - below) & (BINS - 1)];
            passed += count;
            if (fastest < 0 && count > 0) fastest = j;
            if (enough < 0 && (double)(total - passed) < few) enough = j;
        }
        int64_t least = enough < fastest ? fastest : enough > fastest + most ? fastest + most : enough;
        least -= below;
        if (least < 0 || !only_down) wanted[legs[i]] += least;
    }
}

/* Levels ------------------------------------------------------------------------------------------------------ */

/* The magnitudes of G.711 octets, in units of 1/8192 (mu-law) and 1/4096 (A-law) of full scale (ITU-T G.711). */
static inline uint32_t ulaw(uint32_t octet) {
    uint32_t code = ~octet;
    return ((((code & 15) << 1) + 33) << (code >> 4 & 7)) - 33;
}
static inline uint32_t alaw(uint32_t octet) {
    uint32_t code = octet ^ 0x55, segment = code >> 4 & 7, some = segment > 0;
    return (((code & 15) << 1) + 1 + 32 * some) << (segment - some);
}
/* The mean square of a frame of m octets, and how many of its samples are at the end of the scale. Sums of 64 squares
 * of 13 bits fit 32 bits. */
#define FRAME_ENERGY(name, magnitude, end, scale)                                                                \
    static inline __attribute__((always_inline)) float name(const uint8_t *frame, int64_t m, uint32_t *ends) {  \
        uint64_t sum = 0;                                                                                       \
        uint32_t loudest = 0;                                                                                   \
        for (int64_t j = 0; j < m; j += 64) {                                                                   \
            int64_t size = m - j < 64 ? m - j : 64;                                                             \
            uint32_t squares = 0;                                                                               \
            for (int64_t k = 0; k < size; k++) {                                                                \
                uint32_t octet = frame[j + k], value = magnitude;                                               \
                squares += value * value;                                                                       \
                loudest += value == end;                                                                        \
            }                                                                                                   \
            sum += squares;                                                                                     \
        }                                                                                                       \
        *ends = loudest;                                                                                        \
        return (float)((double)sum / (scale * scale * (double)m));                                              \
    }
FRAME_ENERGY(energy_ulaw, ulaw(octet), 8031, 8192.0)
FRAME_ENERGY(energy_alaw, alaw(octet), 4032, 4096.0)

/* Of each of n frames of m octets, those at `rows` of a table of frames, the mean square and how many samples are at
 * the end of the scale; returns how many are in all. */
#define ENERGY(name, measure)                                                                                   \
    FAST int64_t name(const uint8_t *frames, const int64_t *rows, int64_t n, int64_t m, float *out,             \
                      float *clipped) {                                                                         \
        int64_t all = 0;                                                                                        \
        for (int64_t i = 0; i < n; i++) {                                                                       \
            if (i + 6 < n) soon(frames + rows[i + 6] * m);                                                      \
            uint32_t ends;                                                                                      \
            out[i] = measure(frames + rows[i] * m, m, &ends);                                                   \
            clipped[i] = (float)ends;                                                                           \
            all += ends;                                                                                        \
        }                                                                                                       \
        return all;                                                                                             \
    }
ENERGY(rb_energy_ulaw, energy_ulaw)
ENERGY(rb_energy_alaw, energy_alaw)

/* The columns of level.SpeechGate, and its numbers. */
struct gate {
    uint8_t *talking;
    float *level;
    int16_t *hangover, *frames;
    float *lowest, *minima;
    int64_t windows, window_frames;
    float margin, floor, ceiling, rise, fall;
    int16_t hangover_frames;
};

static inline uint8_t gated(const struct gate *of, int64_t leg, float e) {
    float low = e < of->lowest[leg] ? e : of->lowest[leg];
    float *window = of->minima + leg * of->windows, noise = low;
    for (int64_t w = 0; w < of->windows; w++) noise = window[w] < noise ? window[w] : noise;
    int64_t count = of->frames[leg] + 1;
    if (count % of->window_frames == 0) {
        window[count / of->window_frames - 1] = low;
        low = INFINITY;
    }
    of->frames[leg] = (int16_t)(count % (of->window_frames * of->windows));
    of->lowest[leg] = low;
    float threshold = noise * of->margin;
    threshold = threshold < of->floor ? of->floor : threshold > of->ceiling ? of->ceiling : threshold;
    int16_t left = of->hangover[leg] > 0 ? of->hangover[leg] - 1 : 0;
    if (e > threshold) left = of->hangover_frames + 1;
    of->hangover[leg] = left;
    of->level[leg] += (e - of->level[leg]) * (e > of->level[leg] ? of->rise : of->fall);
    return of->talking[leg] = left > 0;
}

/* As level.SpeechGate.update. */
void rb_gate(const struct gate *of, const int64_t *legs, const float *energy, int64_t n, uint8_t *result) {
    for (int64_t i = 0; i < n; i++) result[i] = gated(of, legs[i], energy[i]);
}

/* Who is heard -------------------------------------------------------------------------------------------------- */

/* The columns of all legs that media/voices.py decides by, and its numbers. `whispers` is NULL where nobody does, and
 * `loud_at` where nobody may press keys as tones. */
struct deciding {
    const int32_t *room, *members;
    const uint8_t *echo, *muted, *whispers, *denoise, *in_band;
    uint8_t *heard, *decoded;
    float *energy, *sum;
    int64_t *loud_at;
    float *clipped;
    const float *gain;
    const uint8_t *send_codec;
    const int32_t *concealed_ticks;
    const struct gate *gate;
    int64_t tick, listen_ticks, always_open, missed_ticks;
    float loud;
    int32_t some_denoise;
};

enum { NOTHING, PLAY, LOST, DRY, HELD, REST };
enum { PCMU, PCMA, G722 };

/* As JitterBuffer.take for the legs that simply play their next frame. `talking` is NULL where it does not matter.
 * `odd` gets the positions of the others that have a stream; returns how many. */
int64_t rb_take(const int64_t *legs, int64_t n, int64_t tick, int64_t ring, int32_t full, const uint8_t *heard,
                const uint8_t *talking, uint8_t *have, const uint8_t *settled, const uint8_t *anchored, const int64_t *wanted,
                const int32_t *carry, const uint8_t *codec, int64_t *next_frame, uint8_t *action, int64_t *row,
                int64_t *frame, uint8_t *codecs, uint8_t *continued,
                int64_t *odd) {
    int64_t others = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t leg = legs[i], now = next_frame[leg], here = leg * ring + (now & (ring - 1));
        int plain = have[here] == full && settled[leg] && tick - now == wanted[leg];
        if (talking != NULL) plain &= carry[leg] == 0 || talking[leg];
        continued[i] = heard[leg];
        action[i] = (uint8_t)plain, row[i] = here, frame[i] = now, codecs[i] = codec[leg];
        if (plain)
            have[here] = 0, next_frame[leg] = now + 1;
        else if (anchored[leg])
            odd[others++] = i;
    }
    return others;
}

/* Of n legs in `slots`, by what was taken: whose audio there is or may be concealed (`sounding`), in which room each
 * is heard, who is heard though in none, and who is to be decoded to be measured. Returns how many these are. */
int64_t rb_places(const struct deciding *of, const int64_t *slots, int64_t n, const uint8_t *action,
                  const uint8_t *codec, const int32_t *run, uint8_t *sounding, int64_t *room, uint8_t *echo,
                  uint8_t *listening) {
    int64_t some = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t leg = slots[i];
        sounding[i] = action[i] == PLAY || (action[i] != NOTHING && run[i] <= of->concealed_ticks[codec[i]]);
        room[i] = of->room[leg], echo[i] = of->echo[leg];
        if (of->whispers != NULL && of->whispers[leg]) room[i] = -1, echo[i] |= !of->muted[leg];
        some += listening[i] = codec[i] >= G722 && action[i] != NOTHING;
    }
    return some;
}

/* Mean squares of the G.711 frames of m octets that sound, 0 for all others; what is clipped of them is added to the
 * legs' share. Returns how many have comfort noise instead. */
FAST int64_t rb_levels(const struct deciding *of, const int64_t *slots, int64_t n, const uint8_t *frames, int64_t m,
                       const int64_t *row, const uint8_t *action, const uint8_t *codec, const uint8_t *sounding,
                       float *energy) {
    int64_t rests = 0;
    for (int64_t i = 0; i < n; i++) {
        if (i + 6 < n) soon(frames + row[i + 6] * m);
        uint32_t ends = 0;
        energy[i] = 0;
        rests += action[i] == REST && codec[i] < G722;
        if (action[i] != PLAY || !sounding[i] || codec[i] >= G722) continue;
        const uint8_t *frame = frames + row[i] * m;
        energy[i] = codec[i] == PCMU ? energy_ulaw(frame, m, &ends) : energy_alaw(frame, m, &ends);
        if (ends) of->clipped[slots[i]] += (float)ends * (1.0f / (float)m);
    }
    return rests;
}

enum { SOME_RISING = 1, SOME_FALLING = 2, SOME_GAIN = 4, SOME_RESAMPLED = 8 };

/* Who talks and who is heard of n legs, by their mean squares; what is remembered of the tick before becomes that of
 * this one. `clean` are the mean squares after noise suppression of who has it, NULL for nobody. Returns what there is
 * among those that are decoded: one who begins, one who ends, a gain, and one who is sent another rate. */
int32_t rb_decide(const struct deciding *of, const int64_t *slots, int64_t n, const uint8_t *action, const uint8_t *codec,
                  const int32_t *run, const uint8_t *sounding, const int64_t *room, const uint8_t *echo,
                  const uint8_t *listening, float *energy, const float *clean, uint8_t *talking,
                  uint8_t *heard, uint8_t *rising, uint8_t *falling, uint8_t *decoded) {
    int32_t some = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t leg = slots[i];
        of->sum[leg] += energy[i];
        if (clean != NULL && of->denoise[leg]) energy[i] = clean[leg];
        int sounds = sounding[i], in_room = room[i] >= 0, before = of->heard[leg];
        int ready = sounds && (listening[i] || codec[i] < G722);
        /* Of whom nothing came for a moment is taken to go on as loud as before. */
        int absent = sounds && action[i] != PLAY && action[i] != REST;
        float loudness = absent ? of->energy[leg] : energy[i];
        of->energy[leg] = loudness;
        talking[i] = gated(of->gate, leg, loudness);
        int plain = in_room && of->members[room[i]] <= of->always_open;
        int now = (talking[i] || plain || echo[i]) && in_room && !of->muted[leg] && ready;
        int fades = before && !now && in_room && sounds;
        int wanted = now || fades || (echo[i] && sounds);
        if (of->some_denoise) wanted |= of->denoise[leg] && ready;
        if (of->loud_at != NULL) {
            if (energy[i] >= of->loud) of->loud_at[leg] = of->tick;
            wanted |= of->in_band[leg] && of->tick - of->loud_at[leg] < of->listen_ticks && ready;
        }
        /* Who is only lost for a moment is not trimmed as one whom nobody hears. */
        int lost = of->decoded[leg] && !sounds && run[i] > 0 && run[i] <= of->missed_ticks;
        heard[i] = of->heard[leg] = (uint8_t)now;
        rising[i] = now && !before;
        falling[i] = (uint8_t)fades;
        decoded[i] = (uint8_t)wanted;
        of->decoded[leg] = wanted || lost;
        some |= rising[i] ? SOME_RISING : 0;
        if (!wanted) continue;
        some |= (fades ? SOME_FALLING : 0) | (of->gain[leg] != 1.0f ? SOME_GAIN : 0);
        some |= (of->send_codec[leg] >= G722) != (codec[i] >= G722) ? SOME_RESAMPLED : 0;
    }
    return some;
}

/* Audio ------------------------------------------------------------------------------------------------------- */

/* n frames of m octets, those at `rows` of a table of frames, to samples at `places` of another. */
FAST void rb_decode(const uint8_t *frames, const int64_t *rows, int64_t n, int64_t m, const float *table,
                    const int64_t *places, float *out) {
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *frame = frames + rows[i] * m;
        if (i + 6 < n) soon(frames + rows[i + 6] * m);
        float *to = out + places[i] * m;
        for (int64_t j = 0; j < m; j++) to[j] = table[frame[j]];
    }
}

/* The number of a value's segment and its four bits below the highest one, from `bias` on: a float has them at the
 * top. */
static inline int32_t segment(int32_t value, int32_t bias) {
    float as_float = (float)value;
    int32_t bits;
    memcpy(&bits, &as_float, sizeof bits);
    return (bits >> 19) - (bias << 4);
}

/* `count` samples at full scale 1 to mu-law or A-law, without a table: 16 samples a step. */
FAST void rb_encode(const float *samples, int64_t count, int32_t alaw, uint8_t *out) {
    for (int64_t i = 0; i < count; i++) {
        float scaled = samples[i] * 8192.0f + 8192.0f;
        scaled = scaled < 0.0f ? 0.0f : scaled > 16383.0f ? 16383.0f : scaled;
        int32_t value = (int32_t)scaled - 8192, negative = value >> 31;
        if (alaw) {
            int32_t size = (value ^ negative) >> 2, code = segment(size, 130);
            out[i] = (uint8_t)(((size < 16 ? size : code) | (~negative & 0x80)) ^ 0x55);
        } else {
            int32_t size = (value ^ negative) + 33;
            out[i] = (uint8_t)~(segment(size > 0x1FFF ? 0x1FFF : size, 132) | (negative & 0x80));
        }
    }
}

/* As mix.limit: in place, a tanh knee above `limit`. */
FAST void rb_limit(float *mix, int64_t n, int64_t m, float limit) {
    float span = 1.0f - limit;
    for (int64_t i = 0; i < n; i++) {
        float *row = mix + i * m;
        int32_t loud = 0;
        for (int64_t j = 0; j < m; j++) loud |= fabsf(row[j]) > limit;
        if (!loud) continue;
        for (int64_t j = 0; j < m; j++) {
            float over = fabsf(row[j]) - limit;
            if (over > 0) row[j] = copysignf(limit + span * tanhf(over / span), row[j]);
        }
    }
}

/* The voices of the G.711 legs at positions `at` that simply play a frame, into out float[k, m]: first what is carried
 * of what was played last, then the frame as far as it goes; the frame is kept in place of the oldest of the leg's
 * ring of `ring`, a power of two. `tables` are those of PCMU and PCMA, `carry` is in samples. `odd` gets which of the
 * k are not so simple; returns how many. */
FAST int64_t rb_voices(const int64_t *at, int64_t k, const int64_t *slots, const uint8_t *action, const int64_t *row,
                       const uint8_t *codec, const uint8_t *second, const uint8_t *joined, const int32_t *piece,
                       const uint8_t *continued, const uint8_t *frames, int64_t m, const float *tables,
                       const int32_t *carry, int64_t ring, float *rings, int64_t *oldest, float *out, int64_t *odd) {
    int64_t others = 0;
    for (int64_t i = 0; i < k; i++) {
        int64_t here = at[i], leg = slots[here];
        if (i + 6 < k) soon(frames + row[at[i + 6]] * m);
        if (i + 2 < k) {
            int64_t later = slots[at[i + 2]], first = oldest[later];
            const float *next = rings + later * ring * m;
            for (int64_t j = 0; j < m; j += 16) __builtin_prefetch(next + first * m + j, 1);
            for (int64_t j = m - carry[later]; j < m; j += 16)
                __builtin_prefetch(next + ((first - 1) & (ring - 1)) * m + j);
        }
        if (action[here] != PLAY || codec[here] > PCMA || second[here] || joined[here] || !continued[here] ||
            piece[here] != 0) {
            odd[others++] = i;
            continue;
        }
        int64_t place = oldest[leg], more = carry[leg];
        float *kept = rings + (leg * ring + place) * m, *to = out + i * m;
        const float *last = rings + (leg * ring + ((place - 1) & (ring - 1))) * m;
        const float *table = tables + 256 * codec[here];
        const uint8_t *frame = frames + row[here] * m;
        more = more < 0 ? 0 : more > m ? m : more;
        for (int64_t j = 0; j < m; j++) kept[j] = table[frame[j]];
        memcpy(to, last + m - more, (size_t)more * sizeof *to);
        memcpy(to + more, kept, (size_t)(m - more) * sizeof *to);
        oldest[leg] = (place + 1) & (ring - 1);
    }
    return others;
}

/* In which room each of n legs in `order` listens, -1 for none, and whether it is sent 16 kHz; `counts` gets how many
 * are sent PCMU, PCMA and others. */
void rb_listeners(const int64_t *order, int64_t n, const int32_t *room, const uint8_t *deaf, const uint8_t *codec,
                  int64_t *where, uint8_t *wide, int64_t *counts) {
    counts[PCMU] = counts[PCMA] = counts[G722] = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t leg = order[i];
        where[i] = deaf[leg] ? -1 : room[leg];
        wide[i] = codec[leg] >= G722;
        counts[wide[i] ? G722 : codec[leg]]++;
    }
}

/* What each of k positions of `order` hears, as Hearing._rows says: its row of signals, whether it has one of its own,
 * and of those in turn the room, the voice taken out and the voice put in, -1 for none. `row_of_room` ends with the
 * row of who is in no room. Returns how many have their own. */
int64_t rb_hearers(const int64_t *positions, int64_t k, const int64_t *order, const int64_t *room, const int32_t *voice,
                   const uint8_t *heard, const uint8_t *echo, const uint8_t *keep, const uint8_t *played,
                   const int64_t *row_of_room, int64_t rooms, int64_t shared, int64_t *row_of, uint8_t *private,
                   int64_t *of, int64_t *less, int64_t *more) {
    int64_t own = 0;
    for (int64_t i = 0; i < k; i++) {
        int64_t at = positions[i], leg = order[at], where = room[at], spoken = voice[leg];
        int minus = spoken >= 0 && heard[spoken] && where >= 0, plus = spoken >= 0 && echo[leg];
        private[i] = minus || plus || (played != NULL && played[i]);
        if (!private[i] && !keep[at]) {
            row_of[i] = row_of_room[where < 0 ? rooms : where];
            continue;
        }
        row_of[i] = shared + own;
        of[own] = where, less[own] = minus ? spoken : -1, more[own] = plus ? spoken : -1;
        own++;
    }
    return own;
}

/* Each leg's frame of m samples in place of the oldest of its ring of `frames`, a power of two. */
void rb_keep(const int64_t *legs, const float *samples, int64_t n, int64_t m, int64_t frames, float *rings,
             int64_t *oldest) {
    for (int64_t i = 0; i < n; i++) {
        int64_t leg = legs[i];
        memcpy(rings + (leg * frames + oldest[leg]) * m, samples + i * m, (size_t)m * sizeof *samples);
        oldest[leg] = (oldest[leg] + 1) & (frames - 1);
    }
}

/* Of k legs the last carried[i] samples of what was played last, then their frames of m samples as far as they go,
 * into out[places[i]], where the frames are; these are kept as by rb_keep. */
void rb_carry(const int64_t *legs, const int64_t *places, const int64_t *carried, int64_t k, int64_t m,
              int64_t frames, float *rings, int64_t *oldest, float *out) {
    for (int64_t i = 0; i < k; i++) {
        float *ring = rings + legs[i] * frames * m, *frame = out + places[i] * m;
        int64_t here = oldest[legs[i]], more = carried[i] < 0 ? 0 : carried[i] > m ? m : carried[i];
        float *kept = ring + here * m;
        const float *last = ring + (here + frames - 1) % frames * m;
        memcpy(kept, frame, (size_t)m * sizeof *frame);
        memcpy(frame, last + m - more, (size_t)more * sizeof *frame);
        memcpy(frame + more, kept, (size_t)(m - more) * sizeof *frame);
        oldest[legs[i]] = (here + 1) % frames;
    }
}

/* As InBandKeys._attend: n frames of m * every samples, thinned by means of `every`, into before[leg]; those of legs
 * whose turn it is also behind what was there, as the next of `windows` of 2 m samples, and the leg as the next of
 * `due`. Returns how many these are; `pressed` gets of how many of the n legs a key is pressed. */
FAST int64_t rb_attend(const int64_t *legs, const float *samples, int64_t n, int64_t m, int64_t every, int64_t tick,
                       int64_t forget, int64_t *heard_at, int32_t *key, int32_t *likely, float *before,
                       float *windows, int64_t *due, int64_t *pressed) {
    float share = 1.0f / (float)every;
    int64_t turns = 0;
    *pressed = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t leg = legs[i];
        const float *from = samples + i * m * every;
        float *kept = before + leg * m;
        if (i + 3 < n)
            for (int64_t j = 0; j < m; j += 16) __builtin_prefetch(before + legs[i + 3] * m + j, 1);
        if (tick - heard_at[leg] > forget) {
            key[leg] = likely[leg] = -1;
            memset(kept, 0, (size_t)m * sizeof *kept);
        }
        heard_at[leg] = tick;
        *pressed += key[leg] >= 0;
        int turn = ((leg + tick) & 1) == 0;
        if (turn) {
            memcpy(windows, kept, (size_t)m * sizeof *kept);
            windows += m;
            due[turns++] = leg;
        }
        if (every == 2)
            for (int64_t j = 0; j < m; j++) kept[j] = (from[2 * j] + from[2 * j + 1]) * share;
        else
            for (int64_t j = 0; j < m; j++) {
                kept[j] = from[j * every];
                for (int64_t k = 1; k < every; k++) kept[j] += from[j * every + k];
                kept[j] *= share;
            }
        if (turn) {
            memcpy(windows, kept, (size_t)m * sizeof *kept);
            windows += m;
        }
    }
    return turns;
}

/* As in_band._standing_out: of n windows' products with the cosines of four low and four high tones, then with their
 * sines, which windows have one tone of each group that stands out, and which two. */
int64_t rb_keys(const float *products, int64_t n, float clear, float least, int64_t *windows, int64_t *low,
                int64_t *high) {
    enum { GROUP = 4, TONES = 2 * GROUP };
    int64_t found = 0;
    for (int64_t i = 0; i < n; i++, products += 2 * TONES) {
        int64_t best[2];
        int alone = 1;
        for (int g = 0; g < 2; g++) {
            float sum = 0, most = -1;
            for (int j = GROUP * g; j < GROUP * (g + 1); j++) {
                float power = products[j] * products[j] + products[TONES + j] * products[TONES + j];
                sum += power;
                if (power > most) most = power, best[g] = j - GROUP * g;
            }
            alone &= sum - most <= clear * most && most >= least;
        }
        if (!alone) continue;
        windows[found] = i, low[found] = best[0], high[found] = best[1];
        found++;
    }
    return found;
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
    for (int64_t i = 0; i < n; i++) {
        if (i + 6 < n) soon(out + (i + 6) * width + offset);
        memcpy(out + i * width + offset, table + (row[i] < 0 ? rows - 1 : row[i]) * m, (size_t)m);
    }
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

/* As passages.passages: `size` samples of each of n rows of `width` from start[i] on; the first and last sample go on
 * beyond the row. */
void rb_passages(const float *rows, const int64_t *start, int64_t n, int64_t width, int64_t size, float *out) {
    for (int64_t i = 0; i < n; i++, rows += width, out += size) {
        int64_t before = start[i] < 0 ? -start[i] : 0, from = start[i] < 0 ? 0 : start[i];
        before = before < size ? before : size;
        from = from < width ? from : width;
        int64_t there = size - before < width - from ? size - before : width - from;
        for (int64_t j = 0; j < before; j++) out[j] = rows[0];
        memcpy(out + before, rows + from, (size_t)there * sizeof *out);
        for (int64_t j = before + there; j < size; j++) out[j] = rows[width - 1];
    }
}

/* As passages.correlations: n passages of w samples along n rows of `width`. */
FAST void rb_correlate(const float *rows, const float *passages, int64_t n, int64_t width, int64_t w, float *product,
                       float *energy) {
    int64_t lags = width - w + 1;
    for (int64_t i = 0; i < n; i++, rows += width, passages += w, product += lags, energy += lags) {
        memset(product, 0, (size_t)lags * sizeof *product);
        for (int64_t j = 0; j < w; j++) {
            const float *from = rows + j;
            float factor = passages[j];
            for (int64_t l = 0; l < lags; l++) product[l] += from[l] * factor;
        }
        double sum = 0;
        for (int64_t j = 0; j < w; j++) sum += (double)rows[j] * rows[j];
        energy[0] = (float)sum;
        for (int64_t l = 1; l < lags; l++) {
            sum += (double)rows[l + w - 1] * rows[l + w - 1] - (double)rows[l - 1] * rows[l - 1];
            energy[l] = sum > 0 ? (float)sum : 0;
        }
    }
}

/* As concealment: how each of n histories of `width` samples goes on for `size` samples from position[i] after its
 * end, by its last period of lag[i], at most 256; `settle`, `from` and `to` are those times in samples. */
void rb_continue(const float *histories, const int64_t *lag, const int64_t *position, int64_t n, int64_t width,
                 int64_t size, float settle, float from, float to, float *out) {
    for (int64_t i = 0; i < n; i++, out += size) {
        const float *end = histories + (i + 1) * width;
        int64_t period = lag[i], joint = period / 4, at = position[i];
        float once[256], step = end[-1] - end[-period - 1];
        for (int64_t j = 0; j < period; j++) once[j] = end[j - period];
        /* The end of the period goes over into what came before it, so that it joins itself. */
        for (int64_t j = 1; j <= joint; j++) {
            float *own = once + period - joint - 1 + j, before = end[j - joint - 1 - period];
            *own += (before - *own) * ((float)j / (float)joint);
        }
        int64_t turn = at > 0 ? at % period : 0;
        for (int64_t j = 0; j < size; j++, at++) {
            if (at < 0) {
                out[j] = end[at];
                continue;
            }
            /* The first period follows the last real sample, not that one of a period before. */
            float value = once[turn], left = 1 - (float)(at + 1) / settle;
            if (left > 0) value += step * left;
            float gain = (to - (float)at) / (to - from);
            out[j] = value * (gain < 0 ? 0 : gain > 1 ? 1 : gain);
            turn = turn + 1 == period ? 0 : turn + 1;
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

/* Of a sockaddr_in6, in which a sockaddr_in has room. */
#define ADDRESS_BYTES 28

struct stamp {
    uint64_t size;
    int32_t level, type;
    int64_t seconds, nanoseconds;
};

/* The system calls below are made without the C library's functions of their names: in a process with threads those
 * are points of cancellation, which took 2.9 % of a worker with a socket for each of 3,000 legs, and nobody here
 * cancels a thread. */

/* Drain n sockets from `start` on into message headers until they are full: how many datagrams, and the columns of
 * each, of which only IPv4 addresses are whole. position[0] is where to go on, position[1] how many came by IPv6;
 * full[i] is set for a socket that may hold more. With `usual`, usual packets go where they belong (rb_usual, whose
 * `legs` and `left` are int64[per_socket]); what is returned and told of are the others. */
int64_t rb_receive(const int32_t *numbers, const int32_t *descriptors, int64_t n, int64_t start,
                   struct mmsghdr *headers, int64_t capacity, int64_t per_socket, const struct stamp *stamps,
                   int64_t offset_ns, int64_t now_ns, int32_t mtu, int32_t *length, int32_t *socket, uint32_t *ip,
                   uint16_t *port, int64_t *arrival, int64_t *position, uint8_t *full, const struct usual *usual,
                   uint8_t *data, int64_t *legs, int64_t *left) {
    int64_t filled = 0, at = start, of_ipv6 = 0;
    for (; at < n && filled < capacity; at++) {
        int64_t room = capacity - filled, first = filled, most = room < per_socket ? room : per_socket;
        int got = (int)syscall(SYS_recvmmsg, descriptors[at], headers + filled, (unsigned)most, MSG_DONTWAIT, NULL);
        full[at] = got == most;
        for (int i = 0; i < got; i++, filled++) {
            struct mmsghdr *header = headers + filled;
            const uint8_t *name = header->msg_hdr.msg_name;
            const struct stamp *stamp = stamps + filled;
            int ipv6 = ((const struct sockaddr *)name)->sa_family == AF_INET6;
            length[filled] = header->msg_hdr.msg_flags & MSG_TRUNC ? mtu + 1 : (int32_t)header->msg_len;
            socket[filled] = numbers[at];
            port[filled] = (uint16_t)(name[2] << 8 | name[3]);
            ip[filled] = ipv6 ? 0 : be32(name + 4);
            of_ipv6 += ipv6;
            int64_t time = now_ns;
            if (header->msg_hdr.msg_controllen == sizeof(struct stamp) && stamp->type == 35) {
                time = stamp->seconds * 1000000000 + stamp->nanoseconds - offset_ns;
                if (time > now_ns) time = now_ns;
            }
            arrival[filled] = time;
            /* The kernel wrote what it used: give it the full sizes again. */
            header->msg_hdr.msg_namelen = ADDRESS_BYTES;
            header->msg_hdr.msg_controllen = sizeof(struct stamp);
        }
        if (usual == NULL || got <= 0) continue;
        /* The rows of what is usual are free again, while they are in the cache. */
        int64_t others = rb_usual(usual, data + first * mtu, mtu, length + first, socket + first, ip + first,
                                  port + first, arrival + first, got, legs, left);
        for (int64_t i = 0; i < others; i++) {
            int64_t to = first + i, from = first + left[i];
            if (to == from) continue;
            memcpy(data + to * mtu, data + from * mtu, (size_t)(length[from] < mtu ? length[from] : mtu));
            memcpy(headers[to].msg_hdr.msg_name, headers[from].msg_hdr.msg_name, ADDRESS_BYTES);
            length[to] = length[from], ip[to] = ip[from], port[to] = port[from], arrival[to] = arrival[from];
        }
        filled = first + others;
    }
    position[0] = at, position[1] = of_ipv6;
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
            int took = (int)syscall(SYS_sendmmsg, descriptor, headers + i, (unsigned)(end - i), MSG_DONTWAIT);
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
        uint8_t *to = addresses + ADDRESS_BYTES * i;
        buffers[i].iov_base = data + row[i] * width;
        buffers[i].iov_len = (size_t)length[i];
        to[2] = (uint8_t)(port[i] >> 8), to[3] = (uint8_t)port[i];
        to[4] = (uint8_t)(ip[i] >> 24), to[5] = (uint8_t)(ip[i] >> 16), to[6] = (uint8_t)(ip[i] >> 8);
        to[7] = (uint8_t)ip[i];
    }
}

/* Captured streams -------------------------------------------------------------------------------------------- */

/* As counting.extend_plainly: numbers that go on over wraps, and which count each belongs to, -1 for none. */
void rb_extend(int64_t n, const int64_t *arrived, const uint16_t *sequence, const uint32_t *timestamp, int64_t step,
               int64_t dropout, int64_t misorder, int64_t silence, int64_t successor, int64_t apart,
               int64_t *extended, int32_t *count) {
    int64_t highest = n ? sequence[0] : 0, came = n ? arrived[0] : 0, candidate = -1;
    int32_t current = 0;
    uint16_t number = n ? sequence[0] : 0;
    uint32_t stamp = n ? timestamp[0] : 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t ahead = (int16_t)(uint16_t)(sequence[i] - number);
        int64_t off = (int32_t)(timestamp[i] - stamp) - ahead * step, room = (ahead < 0 ? -ahead : ahead) * step / 8;
        int64_t since = arrived[i] - came;
        if ((ahead < dropout && ahead > -misorder && (ahead > 0 || since < silence)) ||
            (step > 0 && (off < 0 ? -off : off) <= room + step && (ahead > 0 || since < 0))) {
            extended[i] = highest + ahead;
            count[i] = current;
            candidate = -1;
            if (ahead > 0) highest += ahead, number = sequence[i], stamp = timestamp[i], came = arrived[i];
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
        highest = extended[i], number = sequence[i], stamp = timestamp[i], came = arrived[i], candidate = -1;
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

/* As timing.changes_plainly: the packets that are fresh and have a clock, when they came, and by how much their transit
 * changed. Returns how many they are; `largest` is the largest size of a change. */
int64_t rb_transit(int64_t n, const int64_t *arrived, const uint32_t *timestamp, const uint8_t *payload_type,
                   const uint8_t *fresh, const double *clock, int64_t *rows, double *arrived_ms, double *change,
                   double *largest) {
    int64_t m = 0;
    double before = 0, most = 0;
    uint32_t stamp = 0;
    for (int64_t i = 0; i < n; i++) {
        double rate = clock[payload_type[i]];
        if (!fresh[i] || rate <= 0) continue;
        rows[m] = i;
        arrived_ms[m] = (double)(arrived[i] - arrived[0]) / 1e6;
        change[m] = 0;
        if (m && rate == before)
            change[m] = arrived_ms[m] - arrived_ms[m - 1] - (int32_t)(timestamp[i] - stamp) * (1000.0 / rate);
        if (fabs(change[m]) > most) most = fabs(change[m]);
        before = rate, stamp = timestamp[i];
        m++;
    }
    *largest = most;
    return m;
}

/* As timing.wireshark_plainly: largest and mean jitter, largest and mean delta; `clock` is in kHz by payload type. */
void rb_wireshark(int64_t n, const int64_t *arrived, const uint32_t *timestamp, const uint8_t *payload_type,
                  const uint8_t *marker, const double *clock, const uint8_t *noise, double *out) {
    int64_t came = n ? arrived[0] : 0;
    uint32_t stamp = n ? timestamp[0] : 0;
    double jitter = 0;
    out[0] = out[1] = out[2] = out[3] = 0;
    for (int64_t i = 1; i < n; i++) {
        if ((int32_t)(timestamp[i] - timestamp[0]) < 0) continue;
        double rate = clock[payload_type[i]], delta = (double)(arrived[i] - came) / 1e6;
        int counts = !(marker[i] || noise[payload_type[i]] || noise[payload_type[i - 1]]);
        came = arrived[i];
        if (rate > 0) {
            jitter += (fabs(delta - (int32_t)(timestamp[i] - stamp) / rate) - jitter) / 16;
            stamp = timestamp[i];
            if (counts) {
                if (jitter > out[0]) out[0] = jitter;
                out[1] += (jitter - out[1]) / (double)i;
            }
        }
        if (counts) {
            if (delta > out[2]) out[2] = delta;
            out[3] += (delta - out[3]) / (double)i;
        }
    }
}

/* As intervals.sums_plainly: how many of m values are in each group, their sum and their largest, from 0 on. */
void rb_sums(int64_t m, const int64_t *of, const double *values, int64_t *count, double *sum, double *largest) {
    for (int64_t i = 0; i < m; i++) {
        int64_t group = of[i];
        count[group]++;
        sum[group] += values[i];
        if (values[i] > largest[group]) largest[group] = values[i];
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

/* Captures ---------------------------------------------------------------------------------------------------- */

static inline uint32_t le32(const uint8_t *at) {
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

static inline uint32_t be16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }

static inline uint32_t either32(const uint8_t *at, int32_t big) { return big ? be32(at) : le32(at); }

/* As pcap.walk: records of the classic format from `at` on, at most `most`, whose headers have `header` octets. Where
 * it stopped and why come back in `state` int64[3]: position, reason (0 no more whole ones here, 1 one that is not
 * plausible), seconds of the last. */
int64_t rb_pcap_walk(const uint8_t *data, int64_t size, int64_t at, int32_t big, int64_t header,
                     int64_t per_second, uint32_t largest, int32_t strict, int64_t trusted, int64_t most,
                     int64_t *offset, uint32_t *captured, uint32_t *original, int64_t *at_ns, int64_t *state) {
    int64_t n = 0, last = state[2], unit = 1000000000 / per_second;
    state[1] = 0;
    for (; n < most && at + header <= size; n++) {
        const uint8_t *head = data + at;
        int64_t seconds = either32(head, big), fraction = either32(head + 4, big);
        uint32_t there = either32(head + 8, big), whole = either32(head + 12, big);
        int64_t apart = last < 0 ? 0 : seconds - last;
        int odd = there > whole || fraction >= per_second || apart > 3600 || apart < -3600;
        if (there > largest || (odd && strict && at != trusted)) {
            state[1] = 1;
            break;
        }
        if (at + header + (int64_t)there > size) break;
        offset[n] = at + header;
        captured[n] = there;
        original[n] = whole;
        at_ns[n] = seconds * 1000000000 + fraction * unit;
        last = seconds;
        at += header + (int64_t)there;
    }
    state[0] = at;
    state[2] = last;
    return n;
}

/* As pcapng.walk: packets of the next generation's format from `at` on, at most `most`; blocks of other kinds are
 * passed over. `state` int64[2]: position, reason (0 no more whole ones here, 1 not plausible, 2 a section or an
 * interface begins). */
int64_t rb_pcapng_walk(const uint8_t *data, int64_t size, int64_t at, int32_t big, uint32_t largest,
                       uint32_t largest_packet, uint32_t simple_limit, int64_t most, int64_t *offset, uint32_t *captured,
                       uint32_t *original, uint32_t *interface, uint64_t *ticks, int64_t *state) {
    int64_t n = 0;
    state[1] = 0;
    while (n < most && at + 12 <= size) {
        const uint8_t *block = data + at;
        uint32_t kind = either32(block, big), length = either32(block + 4, big), there, head;
        if (kind == 0x0A0D0D0A || kind == 1) {
            state[1] = 2;
            break;
        }
        int packet = kind == 6 || kind == 3 || kind == 2;
        head = kind == 3 ? 12 : 28;
        if (length < 12 || length & 3 || length > (packet ? largest_packet : largest) ||
            (packet && length < head + 4)) {
            state[1] = 1;
            break;
        }
        if (at + (int64_t)length > size) break;
        if (either32(block + length - 4, big) != length) {
            state[1] = 1;
            break;
        }
        if (packet) {
            uint32_t room = length - head - 4;
            if (kind == 3) {
                original[n] = either32(block + 8, big);
                there = original[n];
                if (simple_limit && there > simple_limit) there = simple_limit;
                interface[n] = 0;
                ticks[n] = UINT64_MAX;
            } else {
                interface[n] = kind == 6 ? either32(block + 8, big)
                               : big     ? be16(block + 8)
                                         : (uint32_t)(block[8] | block[9] << 8);
                ticks[n] = (uint64_t)either32(block + 12, big) << 32 | either32(block + 16, big);
                there = either32(block + 20, big);
                original[n] = either32(block + 24, big);
            }
            captured[n] = there > room ? room : there;
            offset[n] = at + head;
            n++;
        }
        at += length;
    }
    state[0] = at;
    return n;
}

struct row {
    int64_t arrived_ns;
    float power;
    uint32_t timestamp;
    uint16_t sequence, payload_bytes, wire_bytes, ip_id, clipped;
    uint8_t payload_type, marker, dscp, ttl;
    uint16_t unused;
};

enum { SORT, RTP, FLOW, COUNT, OTHER };

static inline int token(uint8_t octet) { return octet > 32 && octet < 127; }

/* Squares of a payload's samples and, from bit 48 on, how many are at the end of the scale. */
static inline uint64_t loudness(const uint8_t *payload, int64_t size, const uint64_t *table) {
    uint64_t a = 0, b = 0, c = 0, d = 0;
    int64_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t eight;
        memcpy(&eight, payload + i, 8);
        a += table[eight & 255] + table[eight >> 32 & 255];
        b += table[eight >> 8 & 255] + table[eight >> 40 & 255];
        c += table[eight >> 16 & 255] + table[eight >> 48 & 255];
        d += table[eight >> 24 & 255] + table[eight >> 56];
    }
    for (; i < size; i++) a += table[payload[i]];
    return a + b + c + d;
}

/* Whether `length` octets, of which `there` are here, are RTP; if so the row is filled. */
static int rtp(const uint8_t *packet, int64_t there, int64_t length, const uint64_t *squares, struct row *row) {
    uint8_t type = packet[1] & 127;
    if (there < 12 || packet[0] >> 6 != 2 || (packet[1] >= 192 && packet[1] <= 223) || (type >= 72 && type <= 76))
        return 0;
    int64_t start = 12 + 4 * (packet[0] & 15), end = length;
    if (packet[0] & 16 && start + 4 <= there) start += 4 + 4 * (int64_t)be16(packet + start + 2);
    if (packet[0] & 32 && there == length) {
        if (!packet[length - 1]) return 0;
        end -= packet[length - 1];
    }
    if (start > end) return 0;
    row->timestamp = be32(packet + 4);
    row->sequence = (uint16_t)be16(packet + 2);
    row->payload_bytes = (uint16_t)(end - start);
    row->payload_type = type;
    row->marker = packet[1] >> 7;
    row->power = NAN;
    row->clipped = 0;
    row->unused = 0;
    if ((type == 0 || type == 8) && start < end && end <= there) {
        uint64_t sum = loudness(packet + start, end - start, squares + (type ? 256 : 0));
        row->clipped = (uint16_t)(sum >> 48);
        row->power = (float)((double)(sum & 0xFFFFFFFFFFFF) / (67108864.0 * (double)(end - start)));
    }
    return 1;
}

/* What a UDP payload is; RTP in a TURN channel is RTP. */
static int datagram(const uint8_t *payload, int64_t there, int64_t length, const uint64_t *squares,
                    struct row *row) {
    uint8_t first = there > 0 ? payload[0] : 0;
    if (there < 4) return FLOW;
    if (first >> 6 == 2) {
        if (payload[1] >= 192 && payload[1] <= 223) return SORT;
        return rtp(payload, there, length, squares, row) ? RTP : FLOW;
    }
    if (token(first) && token(payload[1]) && token(payload[2])) return SORT;
    if (first < 4 && there >= 8 && be32(payload + 4) == 0x2112A442) return SORT;
    if (first >= 20 && first <= 26 && payload[1] == 0xFE) return SORT;
    if (first >= 64 && first < 80 && there >= 16 && 4 + (int64_t)be16(payload + 2) <= length) {
        int64_t inner = be16(payload + 2);
        int kind = payload[4] >> 6 == 2
                       ? datagram(payload + 4, there - 4 < inner ? there - 4 : inner, inner, squares, row)
                       : SORT;
        return kind == RTP ? RTP : SORT;
    }
    return FLOW;
}

/* As plain_rtp.sift: the way of each of n frames; rows and keys of those that are RTP, keys and lengths of the
 * datagrams that are counted, one after another. `found` int64[2] is how many there are of each. */
void rb_sift(const uint8_t *data, int64_t n, const int64_t *offset, const uint32_t *captured,
             const uint32_t *original, const uint16_t *link, const int64_t *at_ns, const uint8_t *ports,
             const uint64_t *squares, uint8_t *way, struct row *rows, uint8_t *keys, uint8_t *flow_keys,
             uint16_t *flow_octets, int64_t *found) {
    int64_t streams = 0, flows = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *frame = data + offset[i];
        int64_t size = captured[i], at = -1;
        uint32_t type = 0;
        way[i] = SORT;
        switch (link[i]) {
        case 1:
            if (size >= 14) type = be16(frame + 12), at = 14;
            break;
        case 113:
            if (size >= 16) type = be16(frame + 14), at = 16;
            break;
        case 276:
            if (size >= 20) type = be16(frame), at = 20;
            break;
        case 9:
        case 50:
            if (size >= 4 && be16(frame) == 0xFF03) type = be16(frame + 2), at = 4;
            type = type == 0x21 ? 0x0800 : type == 0x57 ? 0x86DD : 0;
            break;
        case 0:
        case 108:
            if (size >= 5) type = frame[4] >> 4 == 4 ? 0x0800 : frame[4] >> 4 == 6 ? 0x86DD : 0, at = 4;
            break;
        case 12:
        case 14:
        case 101:
        case 228:
        case 229:
            if (size >= 1) type = frame[0] >> 4 == 4 ? 0x0800 : frame[0] >> 4 == 6 ? 0x86DD : 0, at = 0;
            break;
        }
        for (int tags = 0; at > 0 && tags < 4 && (type == 0x8100 || type == 0x88A8 || type == 0x9100); tags++) {
            if (size < at + 4) break;
            type = be16(frame + at + 2);
            at += 4;
        }
        if (type == 0x0806) {
            way[i] = OTHER;
            continue;
        }
        if (at < 0 || (type != 0x0800 && type != 0x86DD)) continue;
        const uint8_t *ip = frame + at;
        int64_t left = size - at, udp_at, udp_room;
        uint32_t wire, dscp, ttl, id;
        if (type == 0x0800) {
            if (left < 28 || ip[0] >> 4 != 4 || ip[9] != 17 || be16(ip + 6) & 0x3FFF) continue;
            udp_at = 4 * (ip[0] & 15);
            wire = be16(ip + 2);
            if (!wire) wire = (uint32_t)(original[i] - at > 65535 ? 65535 : original[i] - at);
            udp_room = (int64_t)wire - udp_at;
            dscp = ip[1] >> 2, ttl = ip[8], id = be16(ip + 4);
            if (udp_at < 20) continue;
        } else {
            if (left < 48 || ip[0] >> 4 != 6 || ip[6] != 17) continue;
            udp_at = 40;
            udp_room = be16(ip + 4);
            wire = (uint32_t)(udp_room + 40 > 65535 ? 65535 : udp_room + 40);
            dscp = be16(ip) >> 6 & 63, ttl = ip[7], id = 0;
        }
        if (left < udp_at + 8 || udp_room < 8) continue;
        const uint8_t *udp = ip + udp_at;
        int64_t length = be16(udp + 4), there = left - udp_at;
        if (length < 8 || length > udp_room) continue;
        if (there > length) there = length;
        uint8_t rule = ports[be16(udp)] | ports[be16(udp + 2)];
        struct row *row = rows + streams;
        int kind = rule & 1 ? SORT : rule & 2 ? COUNT : datagram(udp + 8, there - 8, length - 8, squares, row);
        way[i] = (uint8_t)kind;
        if (kind == SORT) continue;
        uint8_t *key = kind == RTP ? keys + 40 * streams : flow_keys + 40 * flows;
        if (type == 0x0800) {
            memset(key, 0, 10);
            key[10] = key[11] = 255;
            memcpy(key + 12, ip + 12, 4);
            memcpy(key + 16, key, 12);
            memcpy(key + 28, ip + 16, 4);
        } else {
            memcpy(key, ip + 8, 32);
        }
        memcpy(key + 32, udp, 4);
        if (kind == RTP) {
            memcpy(key + 36, udp[8] >> 6 == 2 ? udp + 16 : udp + 20, 4);
            row->arrived_ns = at_ns[i];
            row->wire_bytes = (uint16_t)wire;
            row->ip_id = (uint16_t)id;
            row->dscp = (uint8_t)dscp;
            row->ttl = (uint8_t)ttl;
            streams++;
        } else {
            memset(key + 36, 0, 4);
            flow_octets[flows++] = (uint16_t)(length - 8);
        }
    }
    found[0] = streams;
    found[1] = flows;
}

/* The number of each of n keys of 40 octets in a table that grows: `slots` int32[mask + 1], -1 where free, has
 * numbers of rows of `known`, of which there are `*count`. Stops when half of the slots are taken, or no row is
 * free; returns how many keys it has numbered. */
int64_t rb_number(const uint8_t *keys, int64_t n, uint64_t seed, int32_t *slots, uint64_t mask, uint8_t *known,
                  int64_t room, int64_t *count, int32_t *number) {
    int64_t i;
    for (i = 0; i < n; i++) {
        const uint8_t *key = keys + 40 * i;
        uint64_t hash = seed, word;
        for (int j = 0; j < 5; j++) {
            memcpy(&word, key + 8 * j, 8);
            /* Both halves of the product, so that high bits of the key reach the low ones of the slot. */
            unsigned __int128 product = (unsigned __int128)(hash ^ word) * 0x9E3779B97F4A7C15u;
            hash = (uint64_t)product ^ (uint64_t)(product >> 64);
        }
        uint64_t slot = hash & mask;
        while (slots[slot] >= 0 && memcmp(known + 40 * (int64_t)slots[slot], key, 40)) slot = (slot + 1) & mask;
        if (slots[slot] < 0) {
            if (*count >= room || 2 * (uint64_t)*count > mask) break;
            memcpy(known + 40 * *count, key, 40);
            slots[slot] = (int32_t)(*count)++;
        }
        number[i] = slots[slot];
    }
    return i;
}
