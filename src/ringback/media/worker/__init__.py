"""The media worker: the process around the engine, with its clock, its sockets and its control channel."""
