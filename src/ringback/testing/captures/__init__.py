"""Captures of bad calls whose cause is known, made from models of the causes."""

from ringback.testing.captures.labelled import LabelledCapture, StreamTruth
from ringback.testing.captures.lookalikes import PAIRS, make_pair
from ringback.testing.captures.make import LABELS, make

__all__ = ["LABELS", "PAIRS", "LabelledCapture", "StreamTruth", "make", "make_pair"]
