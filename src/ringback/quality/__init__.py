"""Audio truth: what was heard, measured from decoded audio."""
