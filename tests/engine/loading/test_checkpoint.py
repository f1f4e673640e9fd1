"""Checkpoints as training scripts write them: wrapped, prefixed, incomplete, of other dtypes and formats."""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from modelight.engine.errors import EngineError
from modelight.engine.loading import checkpoint, matching, unwrap
from modelight.protocol import Clause, LoadReport


class Net(nn.Module):
    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self.head = nn.Linear(4, classes)


def trained(classes: int = 2) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    state = Net(classes).state_dict()
    state["features.1.running_mean"].normal_()
    state["features.1.num_batches_tracked"].fill_(7)
    return dict(state)


def note(report: LoadReport, name: str) -> dict[str, Any]:
    return next(clause.values for clause in report.notes if clause.id == name)


def loaded(net: nn.Module, content: Any, path: Path, **options: Any) -> LoadReport:
    torch.save(content, path)
    return checkpoint.load_into(net, path, **options)


def assert_holds(net: nn.Module, state: dict[str, torch.Tensor]) -> None:
    for name, value in net.state_dict().items():
        assert torch.equal(value, state[name]), name


def prefixed(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".th", ".model", ".tar"])
@pytest.mark.parametrize("zipped", [True, False])
def test_reads_torch_files_by_content_whatever_their_name(tmp_path: Path, suffix: str, zipped: bool) -> None:
    net, state, path = Net(), trained(), tmp_path / f"net{suffix}"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    report = checkpoint.load_into(net, path)
    assert_holds(net, state)
    assert report.format == ("torch zip" if zipped else "torch legacy")
    assert (report.loaded, report.missing, report.unexpected, report.mismatched, report.notes) == (9, [], [], [], [])


def test_reads_safetensors(tmp_path: Path) -> None:
    net, state = Net(), trained()
    save_file(state, tmp_path / "net.safetensors", metadata={"epoch": "3"})
    report = checkpoint.load_into(net, tmp_path / "net.safetensors")
    assert_holds(net, state)
    assert (report.format, report.loaded) == ("safetensors", 9)
    assert checkpoint.read(tmp_path / "net.safetensors").metadata == {"epoch": "3"}


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "net", "weights", "my_own_name"])
def test_unwraps_what_training_scripts_write(tmp_path: Path, wrapper: str) -> None:
    net, state = Net(), trained()
    optimizer = torch.optim.Adam(Net().parameters())
    content = {"epoch": 3, wrapper: state, "optimizer_state_dict": optimizer.state_dict(), "args": {"lr": 0.1}}
    report = loaded(net, content, tmp_path / "a.pt")
    assert_holds(net, state)
    assert (report.wrapper, report.loaded, report.unexpected) == (wrapper, 9, [])


def test_unwraps_nested_wrappers(tmp_path: Path) -> None:
    net, state = Net(), trained()
    assert loaded(net, {"checkpoint": {"model": state}}, tmp_path / "a.pt").wrapper == "checkpoint.model"
    assert_holds(net, state)


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "module.model.", "never_heard.of_it."])
def test_takes_prefixes_off_that_match(tmp_path: Path, prefix: str) -> None:
    net, state = Net(), trained()
    report = loaded(net, prefixed(state, prefix), tmp_path / "a.pt")
    assert_holds(net, state)
    assert (report.prefix, report.loaded, report.missing, report.unexpected) == (prefix, 9, [], [])


def test_a_lightning_checkpoint_beside_its_loss(tmp_path: Path) -> None:
    net, state = Net(), trained()
    content = {
        "pytorch-lightning_version": "2.4.0",
        "state_dict": {**prefixed(state, "model."), "loss.weight": torch.ones(2)},
        "hyper_parameters": {"classes": 2},
        "callbacks": {},
    }
    report = loaded(net, content, tmp_path / "a.ckpt")
    assert_holds(net, state)
    assert (report.prefix, report.unexpected) == ("model.", ["loss.weight"])
    facts = note(report, "checkpoint-says")["facts"]
    assert facts == ["pytorch-lightning_version 2.4.0", "hyper_parameters.classes 2"]


def test_arguments_of_a_training_script_are_told(tmp_path: Path) -> None:
    content = {"model": trained(), "args": argparse.Namespace(lr=0.1, arch="net", layers=[1, 2]), "epoch": 3}
    report = loaded(Net(), content, tmp_path / "a.pt")
    assert note(report, "checkpoint-says") == {"facts": ["epoch 3", "args.lr 0.1", "args.arch net"]}


def test_the_flags_of_a_whole_model_are_told_not_taken(tmp_path: Path) -> None:
    net, saved = nn.Sequential(nn.Linear(2, 2), nn.Dropout()), nn.Sequential(nn.Linear(2, 2), nn.Dropout()).eval()
    saved[1].train()
    report = loaded(net, saved, tmp_path / "a.pt", trust=True)
    assert report.notes == [Clause("flags-not-taken", {"train": 1, "eval": 2})]
    assert net.training and net[0].training
    assert torch.equal(net[0].weight, saved[0].weight)


def test_a_part_of_the_model_finds_its_place(tmp_path: Path) -> None:
    net, state = nn.ModuleDict({"backbone": Net(), "neck": nn.Linear(2, 2)}), trained()
    report = loaded(net, state, tmp_path / "a.pt")
    assert_holds(net["backbone"], state)
    assert report.missing == ["neck.weight", "neck.bias"]
    assert note(report, "prefix-added") == {"prefix": "backbone."}


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_names_of_wrappers_inside_paths_are_passed_over(tmp_path: Path) -> None:
    net, state = Net(), trained()
    inner = {name.replace("features.", "features._orig_mod."): value for name, value in state.items()}
    report = loaded(net, prefixed(inner, "module."), tmp_path / "a.pt")
    assert_holds(net, state)
    assert (report.prefix, report.missing, report.unexpected) == ("module.", [], [])
    assert Clause("wrapper-names-passed-over") in report.notes
    compiled = Net()
    compiled.features = torch.compile(compiled.features)  # type: ignore[assignment]
    assert loaded(compiled, state, tmp_path / "a.pt").missing == []


def test_reports_missing_unexpected_and_mismatched_and_loads_the_rest(tmp_path: Path) -> None:
    net, state = Net(classes=3), trained(classes=2)
    before = net.head.weight.detach().clone()
    del state["features.0.bias"]
    report = loaded(net, {**state, "extra.weight": torch.ones(1)}, tmp_path / "a.pt")
    assert report.missing == ["features.0.bias"]
    assert report.unexpected == ["extra.weight"]
    assert report.mismatched == [("head.weight", (2, 4), (3, 4)), ("head.bias", (2,), (3,))]
    assert report.loaded == 6
    assert torch.equal(net.head.weight, before)
    assert torch.equal(net.features[1].running_mean, state["features.1.running_mean"])  # type: ignore[arg-type]


@pytest.mark.parametrize("versions", [True, False])
def test_missing_counters_are_told_apart_from_missing_statistics(tmp_path: Path, versions: bool) -> None:
    """With and without the version numbers of a state dict: without, batch norm fills in its counter in silence."""
    full = Net().state_dict()
    state = OrderedDict((name, value) for name, value in full.items() if "tracked" not in name)
    if versions:
        state._metadata = full._metadata  # type: ignore[attr-defined]
    report = loaded(Net(), state, tmp_path / "a.pt")
    assert report.missing == ["features.1.num_batches_tracked"]
    assert report.notes == [Clause("counters-missing", {"count": 1})]
    for name in ("running_mean", "running_var"):
        del state[f"features.1.{name}"]
    report = loaded(Net(), state, tmp_path / "a.pt")
    assert report.notes == [Clause("statistics-missing", {"count": 2, "first": "features.1.running_mean"})]


def test_a_lost_counter_is_told_beside_the_lost_statistics_of_another_layer(tmp_path: Path) -> None:
    net = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2))
    state = net.state_dict()
    for name in ("0.running_mean", "0.running_var", "0.num_batches_tracked", "1.num_batches_tracked"):
        del state[name]
    assert loaded(net, state, tmp_path / "a.pt").notes == [
        Clause("statistics-missing", {"count": 2, "first": "0.running_mean"}),
        Clause("counters-missing", {"count": 1}),
    ]


def test_half_precision_is_converted_and_told(tmp_path: Path) -> None:
    net, state = Net(), trained()
    half = {name: value.bfloat16() if value.is_floating_point() else value for name, value in state.items()}
    report = loaded(net, half, tmp_path / "a.pt")
    assert note(report, "dtype-converted") == {"count": 8, "source": "bfloat16", "target": "float32"}
    assert net.head.weight.dtype == torch.float32
    assert torch.equal(net.head.weight, half["head.weight"].float())


def test_tied_weights_saved_once_are_not_missing(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(5, 3)
            self.decoder = nn.Linear(3, 5, bias=False)
            self.decoder.weight = self.embedding.weight

    report = loaded(Tied(), {"embedding.weight": torch.ones(5, 3)}, tmp_path / "a.pt")
    assert (report.loaded, report.missing) == (1, [])
    assert note(report, "weights-tied") == {"names": ["decoder.weight"], "count": 1}


def test_of_several_state_dicts_the_likeliest_is_taken_or_the_one_asked_for(tmp_path: Path) -> None:
    state, averaged = trained(), {name: value + 1 for name, value in trained().items()}
    net = Net()
    report = loaded(net, {"model_ema": averaged, "model": state}, tmp_path / "a.pt")
    assert_holds(net, state)
    assert note(report, "other-state-dicts") == {"taken": "model", "others": ["model_ema"]}
    checkpoint.load_into(net, tmp_path / "a.pt", key="model_ema")
    assert_holds(net, averaged)
    with pytest.raises(EngineError, match="it holds: model, model_ema"):
        checkpoint.load_into(net, tmp_path / "a.pt", key="generator")


def test_where_prefixes_rival_the_models_own_is_taken_and_the_others_named(tmp_path: Path) -> None:
    state, averaged = trained(), {name: value + 1 for name, value in trained().items()}
    net = Net()
    report = loaded(net, prefixed(averaged, "ema.") | prefixed(state, "model."), tmp_path / "a.pt")
    assert_holds(net, state)
    assert note(report, "prefix-rivals") == {"taken": "model.", "others": ["ema."]}


def test_old_weight_norm_names_are_renamed_by_torch_and_not_reported(tmp_path: Path) -> None:
    net = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)))
    old = {"0.bias": torch.ones(2), "0.weight_g": torch.full((2, 1), 2.0), "0.weight_v": torch.ones(2, 3)}
    report = loaded(net, old, tmp_path / "a.pt")
    assert (report.missing, report.unexpected) == ([], [])
    assert torch.allclose(net[0].weight.norm(dim=1), torch.tensor(2.0))  # type: ignore[operator]


def test_lazy_layers_take_the_checkpoints_shapes(tmp_path: Path) -> None:
    net = nn.Sequential(nn.LazyLinear(2), nn.LazyBatchNorm1d())
    state = nn.Sequential(nn.Linear(5, 2), nn.BatchNorm1d(2)).state_dict()
    report = loaded(net, dict(state), tmp_path / "a.pt")
    assert (report.missing, report.mismatched) == ([], [])
    assert net[0].weight.shape == (2, 5)


def test_nothing_that_fits_is_an_error_with_both_names_or_shapes(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"it holds alien\.weight …, the model has features\.0\.weight") as caught:
        loaded(Net(), {"alien.weight": torch.ones(2)}, tmp_path / "a.pt")
    assert caught.value.kind == "checkpoint"
    with pytest.raises(EngineError, match=r"weight is \(9, 9\) there and \(2, 2\) in the model"):
        loaded(nn.Linear(2, 2, bias=False), {"weight": torch.ones(9, 9)}, tmp_path / "a.pt")


def test_loading_code_of_the_model_that_fails_is_told(tmp_path: Path) -> None:
    class Refusing(nn.Linear):
        def _load_from_state_dict(self, *args: Any) -> None:
            raise KeyError("scale")

    with pytest.raises(EngineError, match=r"The model's own code failed while it loaded a\.pt.*scale") as caught:
        loaded(Refusing(2, 2), nn.Linear(2, 2).state_dict(), tmp_path / "a.pt")
    assert caught.value.kind == "checkpoint"


def shards(folder: Path, state: dict[str, torch.Tensor], kind: str) -> Path:
    names = list(state)
    weight_map = {}
    for number, part in enumerate((names[:3], names[3:]), start=1):
        file = f"model-0000{number}-of-00002.{kind}"
        tensors = {name: state[name] for name in part}
        if kind == "safetensors":
            save_file(tensors, folder / file)
        else:
            torch.save(tensors, folder / file)
        weight_map |= dict.fromkeys(part, file)
    index = folder / f"model.{kind}.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return index


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
@pytest.mark.parametrize("whole_folder", [True, False])
def test_reads_shards_by_their_index_or_folder(tmp_path: Path, kind: str, whole_folder: bool) -> None:
    net, state = Net(), trained()
    index = shards(tmp_path, state, kind)
    report = checkpoint.load_into(net, tmp_path if whole_folder else index)
    assert_holds(net, state)
    assert report.loaded == 9
    assert report.format.endswith(", 2 shards")


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    index = shards(tmp_path, trained(), "safetensors")
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(EngineError, match=r"names the shard model-00002-of-00002\.safetensors, which is missing"):
        checkpoint.read(index)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_weights_inside_torchscript_are_read(tmp_path: Path) -> None:
    net, donor = nn.Sequential(nn.Linear(3, 2), nn.Dropout()), nn.Sequential(nn.Linear(3, 2), nn.Dropout())
    torch.jit.save(torch.jit.trace(donor.eval(), torch.ones(1, 3)), tmp_path / "net.pt")
    report = checkpoint.load_into(net, tmp_path / "net.pt")
    assert report.format == "TorchScript"
    assert torch.equal(net[0].weight, donor[0].weight)


def test_in_a_folder_safetensors_win_and_several_are_named(tmp_path: Path) -> None:
    state = trained()
    torch.save({name: value + 1 for name, value in state.items()}, tmp_path / "pytorch_model.bin")
    save_file(state, tmp_path / "model.safetensors")
    net = Net()
    assert checkpoint.load_into(net, tmp_path).path.endswith("model.safetensors")
    assert_holds(net, state)
    (tmp_path / "model.safetensors").rename(tmp_path / "a.pth")
    (tmp_path / "pytorch_model.bin").rename(tmp_path / "b.pth")
    with pytest.raises(EngineError, match=r"several checkpoints: name one of a\.pth, b\.pth"):
        checkpoint.read(tmp_path)


def test_weights_beside_a_configuration_are_found(tmp_path: Path) -> None:
    net, state = Net(), trained()
    report = loaded(net, {**state, "config": {"classes": 2}}, tmp_path / "a.pt")
    assert_holds(net, state)
    assert (report.loaded, report.unexpected) == (9, [])


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_saved_on_a_gpu_are_read_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    net, state = Net(), trained()
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:3")
        torch.save(state, tmp_path / "gpu.pt", _use_new_zipfile_serialization=zipped)
    assert b"cuda:3" in (tmp_path / "gpu.pt").read_bytes()
    assert checkpoint.load_into(net, tmp_path / "gpu.pt").loaded == 9
    assert_holds(net, state)


def test_eight_bit_floats_are_converted(tmp_path: Path) -> None:
    net, state = Net(), trained()
    small = {name: value.to(torch.float8_e4m3fn) if value.dim() > 1 else value for name, value in state.items()}
    save_file(small, tmp_path / "a.safetensors")
    report = checkpoint.load_into(net, tmp_path / "a.safetensors")
    assert note(report, "dtype-converted") == {"count": 2, "source": "float8_e4m3fn", "target": "float32"}
    assert torch.equal(net.head.weight, small["head.weight"].float())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*[Qq]uantiz:UserWarning")
def test_quantised_tensors_are_read_and_do_not_enter_a_float_model_unsaid(tmp_path: Path) -> None:
    weight = torch.quantize_per_tensor(torch.tensor([[0.5, -0.5]]), 0.25, 0, torch.qint8)
    torch.save({"weight": weight, "bias": torch.ones(1)}, tmp_path / "a.pt")
    assert checkpoint.read(tmp_path / "a.pt").tensors["weight"].dtype == torch.qint8
    net = nn.Linear(2, 1)
    report = checkpoint.load_into(net, tmp_path / "a.pt")
    assert net.weight.tolist() == [[0.5, -0.5]]
    assert note(report, "dtype-converted") == {"count": 1, "source": "qint8", "target": "float32"}


PARTS = st.text("abcxyz_0123456789", min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(prefix=st.lists(PARTS, max_size=3), wrapper=st.lists(PARTS, max_size=2), seed=st.integers(0, 99))
def test_any_prefix_and_wrapper_come_off_and_every_tensor_finds_its_place(
    prefix: list[str], wrapper: list[str], seed: int
) -> None:
    torch.manual_seed(seed)
    state = {name: torch.rand_like(value.float()) for name, value in Net().state_dict().items()}
    content: Any = prefixed(state, "".join(f"{part}." for part in prefix))
    for part in wrapper:
        content = {part: content, "epoch": 3}
    found = unwrap.candidates(content)
    assert [candidate.key for candidate in found] == [".".join(reversed(wrapper))]
    alignment = matching.align(found[0].tensors, Net().state_dict())
    assert alignment.removed == "".join(f"{part}." for part in prefix)
    assert set(alignment.keys.values()) == set(state)
    assert all(found[0].tensors[theirs] is state[ours] for theirs, ours in alignment.keys.items())


def test_buffers_of_a_module_below_itself_are_copied_once_per_path() -> None:
    """``named_buffers(remove_duplicate=False)`` of such a model never ends."""
    model = nn.Sequential(nn.BatchNorm1d(3))
    model[0].parent = model
    copied = checkpoint.copy_buffers(model)
    assert {"0.running_mean", "0.running_var", "0.num_batches_tracked"} <= copied.keys()


def test_a_path_as_python_3_13_writes_it_needs_no_consent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class PosixPath:
        def __reduce__(self) -> tuple[type, tuple[str, ...]]:
            return PosixPath, ("runs", "7")

    PosixPath.__module__, PosixPath.__qualname__ = "pathlib._local", "PosixPath"
    with monkeypatch.context() as patch:
        newer = types.ModuleType("pathlib._local")
        newer.PosixPath = PosixPath
        patch.setitem(sys.modules, "pathlib._local", newer)
        patch.setattr(pathlib, "_local", newer, raising=False)
        torch.save({"model": trained(), "out": PosixPath()}, tmp_path / "a.pt")
    report = checkpoint.load_into(Net(), tmp_path / "a.pt")
    assert (report.missing, report.unexpected) == ([], [])
