"""Fakes shipped for tests, ours and those of users."""
