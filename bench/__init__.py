"""Speed and size, measured on the machine at hand: `make bench`."""
