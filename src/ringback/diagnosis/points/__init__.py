"""Several capture points: the same stream seen in more than one place, and what happened between them."""
