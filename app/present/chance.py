"""What chance allows: exact binomial intervals without scipy."""

from __future__ import annotations

import math

import numpy as np


def binomial_band(draws: int, p: float, outside: float = 0.05) -> tuple[float, float]:
    """The shares between which a binomial count / ``draws`` lies with probability ≥ 1 − ``outside``, equal tails.

    The quantiles are exact (sum of the probability mass, from its recurrence around the mode), whatever ``draws`` is:
    beyond eight standard deviations there is less than 1e−14 to sum.
    """
    if draws <= 0 or p <= 0 or p >= 1:
        level = min(max(p, 0.0), 1.0)
        return level, level
    middle = math.floor((draws + 1) * p)
    reach = math.ceil(8 * math.sqrt(draws * p * (1 - p))) + 8
    low, high = max(0, middle - reach), min(draws, middle + reach)
    counts = np.arange(low, high + 1, dtype=np.float64)
    ratios = np.log((draws - counts[:-1]) / (counts[:-1] + 1)) + math.log(p / (1 - p))
    log_mass = np.concatenate([[0.0], np.cumsum(ratios)])
    mass = np.exp(log_mass - log_mass.max())
    below = np.cumsum(mass) / mass.sum()
    lower = counts[int(np.searchsorted(below, outside / 2))]
    upper = counts[int(np.searchsorted(below, 1 - outside / 2))]
    return float(lower) / draws, float(upper) / draws
