"""The only SQL: people, extensions, meetings, tokens."""
