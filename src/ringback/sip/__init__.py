"""SIP without I/O: messages, transactions, dialogs, sessions (RFC 3261)."""
