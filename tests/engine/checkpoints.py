"""What the tests of checkpoints looked at by themselves share."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from modelight.protocol import CheckpointFacts, CheckpointLayer, CheckpointTensor, Clause


def small() -> nn.Sequential:
    """A small network whose statistics have seen data."""
    torch.manual_seed(0)
    model = nn.Sequential(
        OrderedDict(conv=nn.Conv2d(3, 8, 3), norm=nn.BatchNorm2d(8), drop=nn.Dropout(0.5), head=nn.Conv2d(8, 2, 1))
    )
    model(torch.randn(4, 3, 8, 8))
    return model


def layer(facts: CheckpointFacts, path: str) -> CheckpointLayer:
    return next(one for one in facts.layers if one.path == path)


def tensor(facts: CheckpointFacts, name: str) -> CheckpointTensor:
    return next(one for one in facts.tensors if one.name == name)


def ids(clauses: list[Clause]) -> set[str]:
    return {clause.id for clause in clauses}
