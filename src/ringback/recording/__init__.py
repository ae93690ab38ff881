"""Recording by policy: who is told, who consents, what is recorded, and when it stops."""
