"""RTP and RTCP as columns, and SRTP (RFC 3550, RFC 3711)."""
