"""Many runs that answer a question. Each leaves no trace; each can be stopped between forwards, and within one."""

from __future__ import annotations

from modelight.engine.experiments.flips import Flip, Flips, flips, sensitive_rows
from modelight.engine.experiments.same import same_answer
from modelight.engine.experiments.spread import spread_curve
from modelight.engine.experiments.trials import Trials, all_flags

__all__ = ["Flip", "Flips", "Trials", "all_flags", "flips", "same_answer", "sensitive_rows", "spread_curve"]
