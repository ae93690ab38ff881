"""Streams: what the packets of one RTP stream say by themselves, whole and per ten seconds."""
