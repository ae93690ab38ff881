"""Causes: from what was measured to why a call was bad, each with what speaks for and against it."""
