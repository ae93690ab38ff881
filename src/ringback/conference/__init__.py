"""Meetings: rooms, roles, admission, and the way in by phone."""
