"""Calls: legs, bridging two of them, and what happens in between."""
