"""Captures of bad calls whose cause is known, made from models of the causes.

`make("radio", seed=7, severity=0.3).pcap` is the file of a call on a fading radio link.
"""

from ringback.testing.captures.labelled import LabelledCapture, StreamTruth
from ringback.testing.captures.lookalikes import PAIRS, make_pair
from ringback.testing.captures.make import LABELS, make

__all__ = ["LABELS", "PAIRS", "LabelledCapture", "StreamTruth", "make", "make_pair"]
