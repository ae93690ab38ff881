"""Signalling: SIP messages of a capture made into calls: who, when, how long, with what media, and how it
ended."""
