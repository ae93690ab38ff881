"""Trunks: whether the other side can be reached, and calls to and from it."""
