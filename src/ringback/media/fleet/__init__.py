"""What the control process knows of its media workers: which legs they have, and how to go on without one."""
