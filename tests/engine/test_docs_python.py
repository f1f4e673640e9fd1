"""The examples of docs/python.md run, and what their comments say is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    torch.manual_seed(0)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 5
    script = tmp_path_factory.mktemp("docs") / "page.py"  # a file, so that sources have lines
    script.write_text("\n".join(blocks), encoding="utf-8")
    found: dict[str, Any] = {"__name__": "page"}
    exec(compile(script.read_text(encoding="utf-8"), str(script), "exec"), found)
    return found


def test_what_the_comments_say(names: dict[str, Any]) -> None:
    seen = names["seen"]
    assert [clause.id for clause in names["norm"].effect] == ["batch-stats-updates"]
    layer = seen.dropouts[0]
    assert (layer.path, layer.p, layer.follows_flag) == ("features.3", 0.4, True)
    assert re.fullmatch(r".*page\.py:\d+", layer.source) and layer.dropped.shape == (6, 8)
    assert layer.already_zero > 0
    assert (names["bn"].uses, names["bn"].updates) == ("batch", True)
    changes = {entry.name: entry.max_change for entry in seen.ledger.entries if entry.kind == "buffer"}
    assert changes["features.1.num_batches_tracked"] == 1.0 and len(changes) == 3
    assert seen.random and seen.autograd.kept == 0


def test_every_name_that_the_package_offers_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in ("observe", "snapshot", "eval_mode", "train_mode", "called", "max_change", "flag_reads", "source"):
        assert name in text
