"""Queues: callers wait with music, in the order of arrival, and come to the next free agent."""
