"""The composition root: the only place where the parts are joined."""
