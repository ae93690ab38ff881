"""Constants of identity that the SIP edge, the store and the web must agree on."""

SIP_REALM = "ringback"
"""The digest realm (RFC 7616): stored HA1 values are bound to it, so it never changes."""
