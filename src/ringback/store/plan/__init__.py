"""How calls go, as people set it up: frozen values by kind, and `Plan`, the snapshot of them all."""
