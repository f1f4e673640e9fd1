"""``modelight.check``: the report as text, as JSON and as an exit status, with every cure tried."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from torch import nn

from modelight.engine import check as checking
from modelight.engine.check import check
from modelight.engine.errors import EngineError
from modelight.engine.loading import opening
from modelight.protocol import Open
from modelight.sample_models import digits_cnn, hidden_dropout, tagger_lstm
from tests.engine.looking import digits


def test_the_incident_is_named_with_its_layer_and_its_cure_is_tried() -> None:
    model = digits()
    before = copy.deepcopy(model.state_dict())
    report = check(model, digits_cnn.example_input())
    text = report.text()
    assert report.status == 1
    assert "CRITICAL ML101 output-ignores-input at pool" in text
    assert "They stop differing at pool: in train, features.8 normalises a single sample by itself." in text
    assert "  Cure:\n      model.eval()\n  Tried: with this, the finding is gone." in text
    assert text.startswith("DigitsCNN: 14 modules in train, 0 in eval, as it is now.\nRun on 8 samples, one at a time")
    assert text.endswith("Findings: 1 critical, 2 warnings, 1 for information.")
    assert all(one.cured for one in report.checked if one.finding.id in ("ML101", "ML110", "ML120"))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())


def test_a_cure_that_does_not_help_is_not_called_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from modelight.engine.findings import inputs as rule

    real = rule.set_eval
    monkeypatch.setattr(rule, "set_eval", lambda rows, paths: real(rows, ["drop"]))
    report = check(digits(), digits_cnn.example_input())
    assert [one.cured for one in report.checked if one.finding.id == "ML101"] == [False]
    assert "Tried: with this, the finding is still there." in report.text()


def test_json_is_one_object_with_the_figures() -> None:
    told = json.loads(check(digits(), digits_cnn.example_input()).json())
    assert told["model"] == "DigitsCNN"
    assert told["modes"] == {"train": 14, "eval": 0}
    first = told["findings"][0]
    assert (first["id"], first["severity"], first["module"]) == ("ML101", "critical", "pool")
    assert first["evidence"]["culprit"] == "features.8"
    assert first["message"].startswith("Output ignores the input: 8 inputs all give class 0 at 0.55 ± 0.02.")
    assert first["remedy"] == {"id": "set-eval", "paths": [""], "python": ["model.eval()"], "verified": True}
    assert {finding["id"] for finding in told["findings"]} == {"ML101", "ML110", "ML120", "ML130"}


def test_json_knows_no_nan() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).eval()
    model[1].running_mean.fill_(float("nan"))
    report = check(model, torch.randn(4, 3))
    told = json.loads(report.json(), parse_constant=pytest.fail)
    assert told["findings"][0]["id"] == "ML115"


def test_a_clean_model_passes() -> None:
    report = check(digits().eval(), digits_cnn.example_input())
    assert (report.status, report.findings) == (0, [])
    assert report.text().endswith("Nothing remarkable.")


def test_information_is_no_failure() -> None:
    report = check(digits().eval(), digits_cnn.example_input(), grad_mode="enabled")
    assert [finding.id for finding in report.findings] == ["ML130"]
    assert report.status == 0


def test_what_is_wanted_can_be_allowed() -> None:
    model, given = tagger_lstm.build(), tagger_lstm.example_input()
    assert check(model, **given).status == 1
    report = check(model, allow=["ML120", "ML999"], **given)
    assert report.status == 0
    assert report.allowed == ["ML120"]
    assert "Found and allowed: ML120." in report.text()


def test_code_to_edit_is_shown_but_not_tried() -> None:
    report = check(hidden_dropout.build(), hidden_dropout.example_input())
    assert report.status == 1
    assert {one.cured for one in report.checked} == {None}
    assert "      self.layers = nn.ModuleList(self.layers)" in report.text()


def test_a_model_that_cannot_run_is_no_clean_model() -> None:
    with pytest.raises(EngineError, match="RuntimeError: mat1 and mat2"):
        check(nn.Linear(3, 2), torch.randn(2, 4))


def test_one_value_per_channel_is_a_finding_and_no_failure_to_look() -> None:
    report = check(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), torch.randn(4, 3))
    assert [one.finding.id for one in report.checked] == ["ML170"]
    assert report.checked[0].cured
    assert report.status == 1


def test_an_opened_model_is_checked_on_its_example() -> None:
    model = opening.open_model(Open(id=1, spec="modelight.sample_models.digits_cnn:build"))
    assert model.example is not None
    inputs, info = model.example
    report = checking.report(model.module, inputs, info, name=model.name, checkpoint_buffers=model.checkpoint_buffers)
    first = report.text().splitlines()[:2]
    assert first == [
        "digits_cnn: 14 modules in train, 0 in eval, as its own code hands it over.",
        "Run on 8 samples of its example_input(), one at a time, under no_grad, seed 0.",
    ]
    assert report.checked[0].finding.id == "ML101"
