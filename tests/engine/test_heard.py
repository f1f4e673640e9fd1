"""What a run shows is said in the tree from then on."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from modelight.engine.batches import Inputs
from modelight.engine.modules import heard
from modelight.engine.modules.rows import Rows
from modelight.engine.observing import runner
from modelight.phrases import phrase
from modelight.protocol import Run


def doubled(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return x * 2 if module.training else x


class Helped(nn.Module):
    """Reads its flag in a helper, where its own code says nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return doubled(self, x)


class Always(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(x, 0.25)


def test_a_flag_read_by_a_helper_and_a_dropout_that_is_always_on() -> None:
    model = nn.Sequential(nn.Sequential(Helped(), Always()), nn.Dropout(0.5)).eval()
    rows = Rows(model)
    assert [phrase(state.effect[0]) for state in rows.states()][:4] == [
        "1 layer reacts",
        "no effect",
        "no effect known",
        "no effect known",
    ]
    inputs = Inputs((torch.ones(4, 8),), samples=4)
    frame = runner.run(model, inputs, Run(id=1, grad_mode="no_grad"), rows=rows)
    changed = {rows.paths[state.index]: state for state in rows.hear(heard.of(rows, frame.reads, frame.dropouts))}
    assert set(changed) == {"", "0", "0.0", "0.1"}
    assert [phrase(clause) for clause in changed[""].effect] == ["2 layers react"]
    assert [phrase(clause) for clause in changed["0"].effect] == ["1 layer reacts"]
    assert changed["0.0"].effect[-1].id == "reads-flag"
    always = changed["0.1"].effect[-1]
    assert always.id == "drops-always" and always.values["p"] == 0.25
    assert str(always.values["source"]).startswith(str(Path(__file__)))
    assert rows.hear(heard.of(rows, frame.reads, frame.dropouts)) == []
