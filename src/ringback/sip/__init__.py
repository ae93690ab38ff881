"""SIP without I/O: messages, transactions, dialogs, sessions (RFC 3261).

Start at `endpoint.Endpoint`: it takes messages (`parse.parse_message`, `parse.StreamFramer`) and time, and
returns `effects`. Calls are `session.InviteSession`. Below it, each usable alone:

- `message`, `headers`, `uri`: messages as values; `encode`, `make_response`
- `flow`: where a message came from or goes to
- `transaction`: the four machines as tables, and the layer that matches messages to them
- `dialog`, `session` (with `incoming`, `outgoing`, `renegotiation`): calls
- `acceptance`: what is refused before the application sees it
- `agent`: what sessions share; `timers`: the letters of RFC 3261 and the queue of what is due
- `digest`, `registration`: who may call, and where they are; `challenged`: who we are to others
"""
