"""``python -m benchmarks``: what observing costs."""

from __future__ import annotations

from benchmarks.observe import main

main()
