"""One run, observed and undone: guard, probes, masks, norms, outputs, ledger."""
