"""The asyncio side of agents: sockets, the media thread, and what programs hold in their hands."""
