"""ML130, ML140 to ML142 and ML160, and that every finding has its words and its page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from modelight.engine import findings
from modelight.engine.errors import Cancelled
from modelight.engine.findings import design
from modelight.engine.modules.rows import Rows
from modelight.phrases import findings as words
from modelight.protocol import AskFindings, Clause
from modelight.sample_models import hidden_dropout
from tests.engine.looking import digits, fed, found, ids, look

ROOT = Path(__file__).resolve().parents[2]


def vectors() -> torch.Tensor:
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(0))


# --------------------------------------------------------------------------------------------------------- ML130, 160


def test_gradients_that_are_on_are_said_with_what_autograd_keeps() -> None:
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh()).eval()
    (finding,) = look(model, vectors(), grad_mode="enabled")
    assert (finding.id, finding.severity) == ("ML130", "info")
    # Tanh keeps its output: 6 float32 values of one sample.
    assert finding.values["kept"] == 24
    assert words.title(finding) == "Gradients are on"


def test_gradients_off_in_eval_are_not_worth_a_word() -> None:
    assert look(nn.Linear(6, 2).eval(), vectors()) == []
    frozen = nn.Linear(6, 2).eval().requires_grad_(False)
    assert look(frozen, vectors(), grad_mode="enabled") == []


def test_inference_tensors_are_told_from_plain_ones() -> None:
    (finding,) = look(nn.Linear(6, 2).eval(), vectors(), grad_mode="inference_mode")
    assert (finding.id, finding.severity) == ("ML160", "info")


# -------------------------------------------------------------------------------------------------------------- ML140


def test_modules_in_a_plain_list_are_found() -> None:
    finding = found("ML140", look(hidden_dropout.build(), hidden_dropout.example_input()))
    assert (finding.module, finding.values["attribute"]) == ("plain_list", "layers")
    assert (finding.values["count"], finding.values["sensitive"]) == (2, 1)
    assert finding.remedies[0].python == ["self.layers = nn.ModuleList(self.layers)"]
    assert "plain_list.layers[0], plain_list.layers[1]" in words.body(finding)


def test_a_module_list_is_no_plain_list() -> None:
    model = hidden_dropout.build()
    inner = model.get_submodule("plain_list")
    inner.layers = nn.ModuleList(inner.layers)
    assert "ML140" not in ids(look(model, hidden_dropout.example_input()))


# --------------------------------------------------------------------------------------------------------- ML141, 142


class Stubborn(nn.Module):
    """A ``train()`` that ignores its argument."""

    calls = 0

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def train(self, mode: bool = True) -> Stubborn:
        type(self).calls += 1
        super().train(True)
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.drop(x)
        return y


def test_asked_for_eval_and_got_train() -> None:
    model = nn.Sequential(nn.Linear(6, 6), Stubborn()).eval()
    calls = Stubborn.calls
    among = look(model, vectors())
    finding = found("ML142", among)
    assert (finding.module, finding.values["first"], finding.values["type"]) == ("1", "1.drop", "Stubborn")
    assert finding.remedies[0].python[1] == "    module.training = False"
    overridden = found("ML141", among)
    assert overridden.module == "1"
    assert re.fullmatch(rf"{re.escape(__file__)}:\d+", str(overridden.values["source"]))
    assert Stubborn.calls == calls, "train() was called although nobody asked"


def test_train_below_an_eval_root_without_an_override_is_a_choice() -> None:
    model = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5)).eval()
    model[1].train()
    assert not {"ML141", "ML142"} & set(ids(look(model, vectors())))


class Trainer(nn.Linear):
    """A ``train()`` that means something else altogether."""

    def train(self, epochs: int = 10) -> Trainer:  # type: ignore[override]
        for _ in range(epochs):
            raise AssertionError("a training run was started")
        return self


class Careful(nn.Linear):
    """A ``train()`` that hands its argument on."""

    def train(self, mode: bool = True) -> Careful:
        super().train(mode)
        self.weight.requires_grad_(False)
        return self


class Passes(nn.Linear):
    """The same without naming the argument."""

    def train(self, *args: bool) -> Passes:
        super().train(*args)
        return self


@pytest.mark.parametrize(("kind", "found_"), [(Trainer, True), (Stubborn, True), (Careful, False), (Passes, False)])
def test_a_train_of_its_own_is_read_and_not_called(kind: type[nn.Module], found_: bool) -> None:
    assert design.keeps_mode(kind) is found_


def test_a_train_that_starts_a_training_run_is_never_called() -> None:
    finding = found("ML141", look(nn.Sequential(Trainer(6, 2)), vectors()))
    assert (finding.module, finding.severity) == ("0", "warning")


# ---------------------------------------------------------------------------------------------------------- the table


def test_a_model_that_cannot_run_is_still_looked_at() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [nn.Dropout(0.5)]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no")

    assert ids(look(Broken(), vectors())) == ["ML140"]


def test_looking_can_be_stopped() -> None:
    model = digits()
    inputs, info = fed(torch.zeros(2, 1, 8, 8))
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 40

    with pytest.raises(Cancelled):
        findings.look(model, inputs, info, Rows(model), AskFindings(id=1, grad_mode="no_grad"), should_stop=stop)
    assert len(asked) < 60


def test_progress_goes_from_rule_to_rule() -> None:
    told: list[tuple[Clause, float | None]] = []
    model = nn.Linear(6, 2).eval()
    inputs, info = fed(vectors())
    command = AskFindings(id=1, grad_mode="no_grad")
    findings.look(model, inputs, info, Rows(model), command, progress=lambda what, share: told.append((what, share)))
    assert [clause.values["rule"] for clause, _ in told] == [rule.id for rule in findings.RULES]


def test_a_long_input_is_looked_at_in_part() -> None:
    sizes: list[int] = []

    class Sees(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sizes.append(len(x))
            return x.sum(1, keepdim=True)

    look(Sees().eval(), torch.randn(500, 6), batch=100)
    assert max(sizes) == 32


def test_every_rule_has_its_words_and_its_page() -> None:
    for rule in findings.RULES:
        assert any(key.startswith(f"{rule.id}.title") for key in words.PHRASES), rule.id
        page = (ROOT / "docs" / "findings" / f"{rule.id}.md").read_text(encoding="utf-8")
        assert page.startswith(f"# {rule.id} {rule.name}\n"), rule.id
        for part in ("## What it means", "## How it was found", "## The cure"):
            assert part in page, (rule.id, part)


def test_every_page_belongs_to_a_rule() -> None:
    index = (ROOT / "docs" / "findings" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\[(ML\d+)\]\((ML\d+)\.md\) \| ([a-z0-9-]+) \|", index) == [
        (rule.id, rule.id, rule.name) for rule in findings.RULES
    ]
    pages = {path.stem for path in (ROOT / "docs" / "findings").glob("ML*.md")}
    assert pages == {rule.id for rule in findings.RULES}


def test_every_sentence_that_the_rules_name_exists() -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "app/engine/findings").glob("*.py"))
    named = set(re.findall(r'f?"(ML\d{3}\.[a-z.]+[a-z])"', source))
    assert named
    assert named - words.PHRASES.keys() == set()
