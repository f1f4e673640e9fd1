"""ML110 to ML117 and ML170: running statistics. Each finding with its module and figures, and where it is silent."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from modelight.phrases import findings as words
from modelight.sample_models import mixed_frozen, norm_zoo
from tests.engine.looking import found, ids, look, trained


def signal(samples: int = 6, shift: float = 0.0, scale: float = 1.0) -> torch.Tensor:
    return shift + scale * torch.randn(samples, 3, 20, generator=torch.Generator().manual_seed(0))


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.BatchNorm1d(4), nn.Flatten(), nn.Linear(72, 2)
    )


def norm(model: nn.Module, path: str) -> nn.BatchNorm1d:
    layer = model.get_submodule(path)
    assert isinstance(layer, nn.BatchNorm1d)
    return layer


# --------------------------------------------------------------------------------------------------------- ML110, 111


def test_layers_in_train_use_the_batch_and_would_move_buffers() -> None:
    model = small()
    before = norm(model, "1").running_mean
    assert before is not None
    held = before.clone()
    finding = found("ML110", look(model, signal(), batch=3))
    assert (finding.module, finding.severity) == ("1", "warning")
    assert (finding.values["layers"], finding.values["buffers"]) == (2, 6)
    assert finding.remedies[0].id == "freeze-statistics"
    assert finding.remedies[0].paths == ["1", "3"]
    assert words.title(finding) == "2 layers use this batch’s statistics"
    assert words.body(finding) == "6 buffers would have moved in this run. They were put back."
    assert torch.equal(before, held)


def python_of(model: nn.Module) -> list[str]:
    return found("ML110", look(model, signal())).remedies[0].python


def test_the_cure_is_told_by_path_or_by_class() -> None:
    one = nn.Sequential(nn.BatchNorm1d(3))
    assert python_of(one) == ['model.get_submodule("0").eval()']
    two = nn.Sequential(*[nn.BatchNorm1d(3) for _ in range(2)])
    assert python_of(two) == ['for path in ("0", "1"):', "    model.get_submodule(path).eval()"]
    many = nn.Sequential(*[nn.BatchNorm1d(3) for _ in range(5)])
    by_class = ["for module in model.modules():", "    if isinstance(module, nn.BatchNorm1d):", "        module.eval()"]
    assert python_of(many) == by_class
    many[2].eval()
    assert python_of(many) == by_class


def test_the_cure_by_class_would_reach_no_other_module() -> None:
    class Own(nn.BatchNorm1d):
        pass

    model = nn.Sequential(*[nn.BatchNorm1d(3) for _ in range(5)], Own(3))
    assert python_of(model)[0].startswith("for path in ")
    unused = nn.Sequential(*[nn.BatchNorm1d(3) for _ in range(5)])
    unused[0].spare = nn.BatchNorm1d(3)
    assert python_of(unused)[0].startswith("for path in ")


def test_a_layer_without_buffers_moves_none() -> None:
    model = nn.Sequential(nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4, momentum=0.0))
    norm(model, "1").track_running_stats = False
    finding = found("ML110", look(model, signal()))
    assert finding.values["buffers"] == 0
    assert words.body(finding) == "No buffer moves: nothing is learned from these batches."


def test_eval_uses_no_batch() -> None:
    assert "ML110" not in ids(look(trained(small(), signal()), signal()))


def test_the_frozen_backbone_still_moves() -> None:
    finding = found("ML111", look(mixed_frozen.build(), mixed_frozen.example_input()))
    assert (finding.module, finding.values["layers"], finding.values["buffers"]) == ("backbone.4", 1, 3)
    assert finding.remedies[0].paths == ["backbone.4"]


def test_layers_that_train_are_not_called_frozen() -> None:
    model = mixed_frozen.build()
    model.get_submodule("backbone.4").requires_grad_(True)
    assert "ML111" not in ids(look(model, mixed_frozen.example_input()))


# -------------------------------------------------------------------------------------------------------------- ML112


def test_statistics_that_left_the_checkpoint_are_found() -> None:
    model = trained(small(), signal())
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    layer = norm(model, "3")
    assert layer.running_mean is not None
    assert layer.running_var is not None
    layer.running_mean[2] += 2 * layer.running_var[2].sqrt()
    finding = found("ML112", look(model, signal(), buffers=buffers))
    assert (finding.module, finding.values["layers"], finding.values["buffers"]) == ("3", 1, 1)
    assert finding.values["deviations"] == pytest.approx(2.0, rel=1e-4)
    assert finding.remedies[0].id == "restore-checkpoint"


def test_statistics_as_loaded_are_not_remarkable() -> None:
    model = trained(small(), signal())
    assert look(model, signal(), buffers=dict(model.named_buffers())) == []
    assert "ML112" not in ids(look(small(), signal(), buffers=dict(small().named_buffers())))


def test_statistics_that_were_nan_when_loaded_have_not_left() -> None:
    model = trained(small(), signal())
    layer = norm(model, "3")
    assert layer.running_mean is not None
    layer.running_mean[1] = float("nan")
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    assert "ML112" not in ids(look(model, signal(), buffers=buffers))


# -------------------------------------------------------------------------------------------------------------- ML114


def test_pictures_from_0_to_255_do_not_match_statistics_from_0_to_1() -> None:
    model = trained(small(), signal(shift=0.5, scale=0.2))
    wrong = 255 * signal(shift=0.5, scale=0.2)
    finding = found("ML114", look(model, wrong))
    assert finding.module == "1"
    fed = model[0](wrong).detach().double()
    layer = norm(model, "1")
    assert layer.running_mean is not None
    assert layer.running_var is not None
    drift = (fed.mean((0, 2)) - layer.running_mean).abs() / layer.running_var.double().sqrt()
    assert finding.values["largest"] == pytest.approx(float(drift.max()), rel=1e-3)


def test_inputs_like_those_learned_from_match_in_any_mode() -> None:
    model = trained(small(), signal())
    assert "ML114" not in ids(look(model, signal()))
    assert "ML114" not in ids(look(model.train(), signal()))


def test_noise_is_not_expected_to_match() -> None:
    model = trained(small(), signal(shift=0.5, scale=0.2))
    assert "ML114" not in ids(look(model, 255 * signal(), noise=6))


# --------------------------------------------------------------------------------------------------------- ML115, 116


def _spoil(name: str, value: float) -> Callable[[nn.BatchNorm1d], None]:
    def spoil(layer: nn.BatchNorm1d) -> None:
        getattr(layer, name)[1] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_spoil("running_mean", float("nan")), "1 value of running_mean is NaN."),
        (_spoil("running_var", float("inf")), "1 value of running_var is infinite."),
        (_spoil("running_var", 0.0), "The running variance is 0 in 1 of 4 channels."),
        (_spoil("running_var", -1.0), "The running variance is negative in 1 of 4 channels."),
    ],
)
def test_broken_statistics_are_critical_where_they_are_used(
    spoil: Callable[[nn.BatchNorm1d], None], sentence: str
) -> None:
    model = trained(small(), signal())
    spoil(norm(model, "3"))
    finding = found("ML115", look(model, signal()))
    assert (finding.module, finding.severity) == ("3", "critical")
    assert words.body(finding).startswith(sentence)
    hidden = found("ML115", look(model.train(), signal()))
    assert hidden.severity == "warning"
    assert words.body(hidden).endswith("Train hides it: in eval the layer will normalise with them.")


def test_untouched_statistics_are_found_where_they_are_used() -> None:
    finding = found("ML116", look(small().eval(), signal()))
    assert (finding.module, finding.values["layers"]) == ("1", 2)
    assert "ML116" not in ids(look(small(), signal()))
    assert "ML116" not in ids(look(trained(small(), signal()), signal()))


def test_the_counter_of_instance_norm_says_nothing() -> None:
    zoo = norm_zoo.build()
    trained(zoo, norm_zoo.example_input(), passes=2)
    assert "one.instance_tracked" not in str(found("ML116", look(zoo, norm_zoo.example_input())).values["first"])


# -------------------------------------------------------------------------------------------------------------- ML117


def test_an_embedding_with_a_largest_norm_rewrites_its_weights_in_eval() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(10, 4, max_norm=0.1), nn.Flatten(), nn.Linear(12, 2)).eval()
    finding = found("ML117", look(model, torch.arange(9).reshape(3, 3)))
    assert (finding.module, finding.values["first"]) == ("0", "0.weight")


class Counter(nn.Module):
    """Counts its forwards whatever the mode."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += 1
        return x


def test_a_buffer_that_moves_in_eval_is_found_and_put_back() -> None:
    model = nn.Sequential(nn.Linear(3, 2), Counter()).eval()
    assert found("ML117", look(model, torch.randn(4, 3))).module == "1"
    assert float(model[1].seen) == 0


def test_statistics_that_move_in_train_alone_do_not_move_in_eval() -> None:
    assert "ML117" not in ids(look(small(), signal()))


def test_the_vectors_of_spectral_norm_move_in_train() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(40, 30)), nn.BatchNorm1d(30))
    among = look(model.train(), torch.randn(6, 40), batch=3)
    finding = found("ML118", among)
    assert (finding.module, finding.values["tensors"]) == ("0.parametrizations.weight.0", 2)
    assert not {"ML117", "ML118"} & set(ids(look(model.eval(), torch.randn(6, 40))))
    assert "ML118" not in ids(look(small(), signal()))


# -------------------------------------------------------------------------------------------------------------- ML170


def test_one_value_per_channel_is_said_with_the_layer() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 2))
    finding = found("ML170", look(model, torch.randn(5, 3), batch=2))
    assert (finding.module, finding.severity) == ("2", "critical")
    assert "more than 1 value per channel" in words.body(finding)
    assert "ML170" not in ids(look(model, torch.randn(4, 3), batch=2))
    assert "ML170" not in ids(look(model.eval(), torch.randn(5, 3)))
