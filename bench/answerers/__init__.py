"""Programs that answer every call at once and nothing else: ours and its peers, for `python -m bench sip`."""
