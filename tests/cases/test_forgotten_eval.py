"""no_grad() or inference_mode() taken for eval()."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import modelight
from modelight.engine.modules.rows import Rows
from modelight.phrases import findings as words
from modelight.phrases import phrase
from modelight.present.tree import tree_states
from modelight.protocol import Clause
from tests.engine.looking import found, ids, look, trained


def blobs(samples: int = 12) -> torch.Tensor:
    """Pictures of one bright quarter, each brighter than the one before."""
    generator = torch.Generator().manual_seed(3)
    images = 0.3 * torch.randn(samples, 1, 12, 12, generator=generator)
    images[::2, :, :6, :6] += torch.linspace(1, 3, len(images[::2])).reshape(-1, 1, 1, 1)
    return images


class Classifier(nn.Module):
    """Averages right after a normalisation, as the incident's model did."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU())
        self.mix = nn.Conv2d(6, 10, 3)
        self.norm = nn.BatchNorm2d(10)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(0.4)
        self.head = nn.Linear(10, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.average(self.norm(self.mix(self.stem(x))))
        scores: torch.Tensor = self.head(self.drop(x.flatten(1)))
        return scores


@pytest.fixture(scope="module")
def fitted() -> nn.Module:
    """In train, as its constructor and the training loop left it."""
    torch.manual_seed(1)
    model, images = Classifier(), blobs(32)
    labels = torch.arange(len(images)) % 2
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(120):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return trained(model, images, passes=20).train()


# ------------------------------------------------------------------------------------------------------- the incident


@pytest.mark.parametrize("grad_mode", ["no_grad", "inference_mode"])
def test_the_incident_one_answer_for_every_input(fitted: nn.Module, grad_mode: str) -> None:
    noise = torch.rand(4, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    images = torch.cat([blobs(6), noise])
    among = look(fitted, images, noise=4, grad_mode=grad_mode)  # type: ignore[arg-type]
    finding = among[0]
    assert (finding.id, finding.severity, finding.module) == ("ML101", "critical", "average")
    values = finding.values
    assert (values["inputs"], values["noise"], values["culprit"]) == (10, 4, "norm")
    # The flip experiment: the same weights in eval do tell the inputs apart.
    assert float(str(values["eval_high"])) - float(str(values["eval_low"])) > 0.8
    assert float(str(values["std"])) < 0.05
    assert finding.remedies[0].python == ["model.eval()"]
    assert finding.curve is not None and finding.curve.collapse is not None


def test_the_incident_is_not_seen_in_eval_nor_in_a_batch(fitted: nn.Module) -> None:
    assert "ML101" not in ids(look(fitted, blobs(8), batch=8))
    assert look(copy.deepcopy(fitted).eval(), blobs(8)) == []


# --------------------------------------------------------------------------------- pytorch/vision#2079, pytorch#124998


@pytest.fixture
def fed_once() -> nn.Module:
    """Two normalisations that have seen pictures as they should be."""
    torch.manual_seed(2)
    model = nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(256, 2)),
    )
    return trained(model, blobs(), passes=20).train()


def test_train_mode_forwards_without_an_optimizer_would_change_later_results(fed_once: nn.Module) -> None:
    before = copy.deepcopy(fed_once.state_dict())
    seen = modelight.observe(fed_once, 5 * blobs(4))
    assert (seen.ledger.parameters, seen.ledger.buffers) == (0, 6)
    assert {entry.name for entry in seen.ledger.entries} == {
        f"{layer}.{name}" for layer in (1, 4) for name in ("running_mean", "running_var", "num_batches_tracked")
    }
    assert all(torch.equal(value, before[name]) for name, value in fed_once.state_dict().items())
    said = words.body(found("ML110", look(fed_once, 5 * blobs(4), batch=4)))
    assert said == "6 buffers would have moved in this run. They were put back."
    # It is true: the same forwards without anybody watching move what eval answers.
    bare = copy.deepcopy(fed_once)
    with torch.no_grad():
        for _ in range(20):
            bare(5 * blobs(4))
        moved = (bare.eval()(blobs(4)) - copy.deepcopy(fed_once).eval()(blobs(4))).abs().max()
    assert moved > 0.1


def test_in_eval_nothing_would_change(fed_once: nn.Module) -> None:
    seen = modelight.observe(fed_once.eval(), blobs(4))
    assert (seen.ledger.parameters, seen.ledger.buffers, seen.ledger.entries) == (0, 0, [])


# ------------------------------------------------------------------------------------------- ethos-ares#20, trl#155


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(16, 16), nn.Linear(16, 16)
        self.drop_first, self.drop_second = nn.Dropout(0.1), nn.Dropout(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.drop_first(self.first(x))
        y: torch.Tensor = x + self.drop_second(self.second(x).relu())
        return y


def test_gradients_are_off_and_fourteen_modules_drop() -> None:
    torch.manual_seed(0)
    model, tensor = nn.Sequential(*[Block() for _ in range(7)], nn.Linear(16, 4)), torch.randn(4, 16)
    among = look(model, tensor, grad_mode="inference_mode")
    off, on = found("ML130", among), found("ML120", among)
    assert (off.values["modules"], off.severity) == (14, "info")
    assert (on.values["modules"], on.module, on.severity) == (14, "0.drop_first", "warning")
    assert on.values["observed"] == pytest.approx(0.1, abs=0.02)
    assert words.title(off) == "Gradients are off"
    assert words.body(off) == (
        "inference_mode stops neither dropout nor batch statistics: 14 modules act as in training."
    )
    assert not {"ML120", "ML130"} & set(ids(look(model.eval(), tensor, grad_mode="no_grad")))


# --------------------------------------------------------------- segmentation_models.pytorch#128, TRADES#3, batch-mates


def test_a_single_sample_is_another_one_in_company(fitted: nn.Module) -> None:
    model = copy.deepcopy(fitted).eval()
    model.get_submodule("norm").train()
    finding = found("ML150", look(model, blobs(6), batch=6))
    assert (finding.module, finding.values["mates"]) == ("norm", 5)
    assert finding.remedies[0].paths == ["norm"]
    assert words.body(finding).endswith("It is norm that first mixes them.")
    model.eval()
    assert "ML150" not in ids(look(model, blobs(6), batch=6))


# ----------------------------------------------------------------------------------------------- mmsegmentation#2150


class Pyramid(nn.Module):
    """A branch that averages each picture to one value per channel before it normalises."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.branch(x)
        return y.expand(-1, -1, *x.shape[2:])


def test_more_than_one_value_per_channel_is_asked_for_by_name_and_cured() -> None:
    model, images = nn.Sequential(Pyramid(), nn.Conv2d(4, 2, 1)), torch.randn(4, 3, 6, 6)
    report = modelight.check(model, images)
    (finding,) = report.findings
    assert (finding.id, finding.severity, finding.module) == ("ML170", "critical", "0.branch.2")
    assert "Expected more than 1 value per channel" in words.body(finding)
    assert report.checked[0].cured
    assert "ML170" not in ids(look(model, images, batch=4))
    assert "ML170" not in ids(look(model.eval(), images))


def test_where_one_value_per_channel_may_come_it_is_said_before_the_run() -> None:
    for training, batch, said in ((True, 1, True), (False, 1, False), (True, 2, False)):
        rows = Rows(nn.Sequential(nn.BatchNorm1d(4), nn.BatchNorm2d(4)).train(training))
        shown = tree_states(rows.states(), rows.rows, batch)
        assert ("raises with one sample" in shown[1].remark) == said
        assert "raises" not in shown[2].remark


# ---------------------------------------------------------------------------------------------------------- a belief


def test_no_sentence_says_that_no_grad_switches_layers_to_eval() -> None:
    said = phrase(Clause("ML130.off", {"grad_mode": "no_grad", "modules": 2}))
    assert said.startswith("no_grad stops neither dropout nor batch statistics")
