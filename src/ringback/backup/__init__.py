"""Backups: everything that is kept, sealed in one file, without the keys of what may still be deleted."""
