"""What the system may know, keep and show: privacy by type, roles, retention."""
