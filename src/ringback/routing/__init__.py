"""Where a dialled number goes."""
