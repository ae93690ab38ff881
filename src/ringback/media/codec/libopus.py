"""The C interface of libopus, loaded at run time through cffi's ABI mode: no compiler is needed."""

from __future__ import annotations

from functools import cache
from typing import Any

import cffi

SONAMES = ("libopus.so.0", "libopus.0.dylib", "libopus.so")

APPLICATION_VOIP = 2048
APPLICATION_AUDIO = 2049
SET_BITRATE = 4002
SET_MAX_BANDWIDTH = 4004
SET_COMPLEXITY = 4010
SET_INBAND_FEC = 4012
SET_PACKET_LOSS_PERC = 4014
SET_DTX = 4016
SET_SIGNAL = 4024
RESET_STATE = 4028
SET_FORCE_MODE = 11002
MODE_AUTO = -1000
MODE_TRANSFORM = 1002
SIGNAL_VOICE = 3001
BANDWIDTH_NARROW = 1101
BANDWIDTH_MEDIUM = 1102
BANDWIDTH_WIDE = 1103
BANDWIDTH_SUPERWIDE = 1104
BANDWIDTH_FULL = 1105
MAX_FRAMES = 48
MAX_PACKET_MS = 120

ffi = cffi.FFI()
ffi.cdef(
    """
    typedef struct OpusEncoder OpusEncoder;
    typedef struct OpusDecoder OpusDecoder;
    const char *opus_get_version_string(void);
    const char *opus_strerror(int error);
    int opus_encoder_get_size(int channels);
    int opus_decoder_get_size(int channels);
    OpusEncoder *opus_encoder_create(int32_t rate, int channels, int application, int *error);
    void opus_encoder_destroy(OpusEncoder *encoder);
    int opus_encoder_ctl(OpusEncoder *encoder, int request, ...);
    int32_t opus_encode_float(OpusEncoder *encoder, const float *pcm, int frame_size,
                              unsigned char *data, int32_t max_data_bytes);
    OpusDecoder *opus_decoder_create(int32_t rate, int channels, int *error);
    void opus_decoder_destroy(OpusDecoder *decoder);
    int opus_decoder_ctl(OpusDecoder *decoder, int request, ...);
    int opus_decode_float(OpusDecoder *decoder, const unsigned char *data, int32_t len,
                          float *pcm, int frame_size, int decode_fec);
    typedef struct OpusRepacketizer OpusRepacketizer;
    OpusRepacketizer *opus_repacketizer_create(void);
    void opus_repacketizer_destroy(OpusRepacketizer *repacketizer);
    int opus_repacketizer_cat(OpusRepacketizer *repacketizer, const unsigned char *data, int32_t len);
    int32_t opus_repacketizer_out(OpusRepacketizer *repacketizer, unsigned char *data, int32_t maxlen);
    int opus_packet_get_nb_samples(const unsigned char *packet, int32_t len, int32_t rate);
    int opus_packet_parse(const unsigned char *data, int32_t len, unsigned char *out_toc,
                          const unsigned char *frames[48], int16_t size[48], int *payload_offset);
    """
)


@cache
def library() -> Any | None:
    """The loaded library, or None where it is not installed."""
    for soname in SONAMES:
        try:
            return ffi.dlopen(soname)
        except OSError:
            continue
    return None
