"""The catalogue as a page: ``python -m modelight.engine.catalog.table`` writes ``docs/catalogue.md``."""

from __future__ import annotations

import sys
from pathlib import Path

from modelight.engine.catalog import ENTRIES

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "catalogue.md"

_HEAD = """# What the layers do in train and in eval

Written from the code by `python -m modelight.engine.catalog.table`; a test keeps it up to date. Entries are tried from
the top; the first that knows the module speaks.

| kind | layers | what it does | what a forward writes |
|---|---|---|---|
"""

_FOOT = """
What no entry knows:

- A module with children tells how many layers below it react.
- A class whose own code reads `self.training` "reads its training flag at file:line": its mode matters, how is its own
  business. Where the same statement names a dropout, the preset *MC dropout* switches it on too.
- `TransformerEncoderLayer` in eval, without gradients, may take a fused path that skips its children, dropouts in train
  included.
- Other classes of `torch.nn` have no effect; others' classes that do not read the flag have "no effect known". A run
  listens to every read of the flag and adds what it hears.
- Scripted modules tell from their TorchScript whether they read the flag. Frozen scripts have none.
- `F.dropout(x)` and `F.scaled_dot_product_attention(dropout_p=…)` drop whatever the flag: only a run shows them.
"""


def markdown() -> str:
    """The page."""
    rows = [f"| {entry.kind} | {entry.of} | {entry.facts} | {entry.changes or '–'} |" for entry in ENTRIES]
    return _HEAD + "\n".join(rows) + "\n" + _FOOT


def main() -> None:
    """Write the page to the path given, or to ``docs/`` of a checkout."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENT
    target.write_text(markdown(), encoding="utf-8")


if __name__ == "__main__":
    main()
