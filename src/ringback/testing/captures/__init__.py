"""Captures of bad calls whose cause is known, made from models of the causes."""

from ringback.testing.captures.labelled import LabelledCapture, StreamTruth
from ringback.testing.captures.make import LABELS, make

__all__ = ["LABELS", "LabelledCapture", "StreamTruth", "make"]
