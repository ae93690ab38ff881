"""Start a media worker: `python -m ringback.media.worker --fd N --bind 127.0.0.1 --ports 20000-29999`."""

from __future__ import annotations

import os

# One thread does all: BLAS threads would fight with the workers on the other cores. Before NumPy is imported.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from ringback.media.worker.process import main  # noqa: E402

if __name__ == "__main__":
    main()
