"""Ringback: a self-hosted voice system that proves itself."""

__version__ = "0.1.0"
