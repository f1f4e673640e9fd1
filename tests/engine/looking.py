"""How the tests of experiments and findings feed a model."""

from __future__ import annotations

import torch
from torch import nn

from modelight.engine import findings
from modelight.engine.batches import Inputs
from modelight.engine.modules.rows import Rows
from modelight.protocol import AskFindings, Example, Finding, GradMode, InputInfo, InputTensor
from modelight.sample_models import digits_cnn


def digits() -> nn.Module:
    """The incident's model with its trained weights, in train as its constructor leaves it."""
    model = digits_cnn.build()
    assert digits_cnn.CHECKPOINT is not None
    model.load_state_dict(torch.load(digits_cnn.CHECKPOINT, weights_only=True))
    return model


def fed(tensor: torch.Tensor, *, noise: int = 0, labels: list[int] | None = None) -> tuple[Inputs, InputInfo]:
    """One positional tensor, its last ``noise`` samples counted as noise."""
    samples = len(tensor)
    known: list[int | None] = [*(labels or []), *[None] * (samples - len(labels or []))]
    info = InputInfo(
        sources=[Example()],
        tensors=[InputTensor("[0]", tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))],
        samples=samples,
        captions=[str(index) for index in range(samples)],
        is_noise=[index >= samples - noise for index in range(samples)],
        labels=known,
        classes=[],
    )
    return Inputs((tensor,), {}, samples, labels=tuple(known)), info


def look(
    model: nn.Module,
    tensor: torch.Tensor,
    *,
    noise: int = 0,
    batch: int = 1,
    grad_mode: GradMode = "no_grad",
    seed: int = 0,
    buffers: dict[str, torch.Tensor] | None = None,
) -> list[Finding]:
    """All findings in the state the model is in."""
    inputs, info = fed(tensor, noise=noise)
    command = AskFindings(id=1, grad_mode=grad_mode, batch=batch, seed=seed)
    return findings.look(model, inputs, info, Rows(model), command, checkpoint_buffers=buffers)


def found(id_: str, among: list[Finding]) -> Finding:
    """The only finding with this id."""
    (finding,) = [finding for finding in among if finding.id == id_]
    return finding


def ids(among: list[Finding]) -> list[str]:
    return [finding.id for finding in among]


def trained(model: nn.Module, tensor: torch.Tensor, passes: int = 60) -> nn.Module:
    """The model in eval, with running statistics learned from ``tensor``."""
    model.train()
    with torch.no_grad():
        for _ in range(passes):
            model(tensor)
    return model.eval()
