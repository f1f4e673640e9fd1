"""What all tests share: no display, one torch thread, the person's own settings untouched."""

from __future__ import annotations

import os

# Before Qt or torch is imported by anything.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["QT_SCALE_FACTOR"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
