"""The only sockets: SIP transports, certificates, the link to media workers."""
