"""Voicemail: a message from whoever calls to the ear of whose mailbox it is, and to nobody else's."""
