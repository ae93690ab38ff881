"""The media engine: decodes, mixes and encodes calls as columns on a 20 ms clock, in a process of its own."""
