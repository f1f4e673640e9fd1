"""Programs of torch.export: their weights are a checkpoint, and the mode that was baked in is told module by module."""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from modelight.engine import inspect
from modelight.engine.errors import EngineError
from modelight.engine.loading import baked as baked_forms
from modelight.engine.loading import checkpoint, whole
from tests.engine.checkpoints import ids, layer, small

PICTURES = (torch.rand(2, 3, 8, 8),)


class Mixed(nn.Module):
    """Everything whose form an exported graph may hold, and what has none."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True)
        self.lstm = nn.LSTM(8, 8, 2, dropout=0.2, batch_first=True)
        self.tracked = nn.InstanceNorm1d(8, track_running_stats=True)
        self.untracked = nn.Sequential(nn.InstanceNorm1d(8), nn.BatchNorm1d(8, track_running_stats=False))
        self.never = nn.Dropout(0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.lstm(self.attention(x, x, x, need_weights=False)[0])[0].transpose(1, 2)
        return nn.functional.dropout(self.never(self.untracked(self.tracked(x))))


def saved(path: Path, model: nn.Module, args: tuple[Any, ...] = PICTURES, decomposed: bool = False) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(model, args)
        torch.export.save(program.run_decompositions() if decomposed else program, path)
    return path


def baked(facts: Any) -> dict[str, str]:
    """Module path → the note on its mode."""
    found = {one.path: [note.id for note in one.notes if note.id.startswith("mode-baked")] for one in facts.layers}
    return {path: notes[0] for path, notes in found.items() if notes}


@pytest.mark.parametrize("decomposed", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_weights_kinds_and_baked_modes_are_read(tmp_path: Path, training: bool, decomposed: bool) -> None:
    model = small().train(training)
    facts = inspect.inspect(saved(tmp_path / "net.pt2", model, decomposed=decomposed), deep=True)

    state = model.state_dict()
    assert (facts.format, {one.name for one in facts.tensors}) == ("torch.export", set(state))
    for one in facts.tensors:
        assert one.stats is not None and one.stats.mean == pytest.approx(float(state[one.name].double().mean()))
        assert not one.role_guessed
    assert facts.parameters == sum(value.numel() for value in model.parameters())
    assert layer(facts, "norm").kind.values == {"type": "BatchNorm2d"}
    mode = "mode-baked-train" if training else "mode-baked-eval"
    # Decomposed in eval, a dropout is gone from the graph.
    dropout = {} if decomposed and not training else {"drop": mode}
    assert baked(facts) == {"norm": mode, **dropout}
    (note,) = (note for note in facts.notes if note.id == "modes-baked")
    count = len(dropout) + 1
    assert note.values == {"train": count if training else 0, "eval": 0 if training else count}
    assert not facts.has_flags and "no-training-flags" not in ids(facts.notes)


def test_the_form_of_each_operator_is_told_where_it_has_one(tmp_path: Path) -> None:
    args = (torch.rand(2, 4, 8),)
    always = "mode-baked-train"  # F.dropout is on by default, whatever the mode
    assert baked(inspect.inspect(saved(tmp_path / "eval.pt2", Mixed().eval(), args))) == {
        "": always,
        "lstm": "mode-baked-eval",
        "tracked": "mode-baked-eval",
    }
    assert baked(inspect.inspect(saved(tmp_path / "train.pt2", Mixed().train(), args))) == dict.fromkeys(
        ["", "attention", "lstm", "tracked"], "mode-baked-train"
    )


def test_a_program_without_modes_is_told_so(tmp_path: Path) -> None:
    facts = inspect.inspect(saved(tmp_path / "net.pt2", nn.Linear(2, 2), (torch.ones(1, 2),)))
    assert "modes-none" in ids(facts.notes)


def test_its_weights_load_into_the_model_that_it_was_exported_from(tmp_path: Path) -> None:
    model = small().eval()
    path = saved(tmp_path / "net.pt2", model)
    other = small()
    nn.init.zeros_(other.conv.weight)
    report = checkpoint.load_into(other, path)
    assert torch.equal(other.conv.weight, model.conv.weight)
    assert (report.loaded, report.missing, report.unexpected) == (len(model.state_dict()), [], [])
    assert next(note.values for note in report.notes if note.id == "modes-baked") == {"train": 0, "eval": 2}


def test_it_is_no_model_and_that_is_told(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.pt2", small())
    assert whole.find(str(path), "") == path
    with pytest.raises(EngineError, match=r"its mode was baked in .* this file can be its checkpoint"):
        whole.load(path)


def test_several_programs_in_one_file_are_told_apart(tmp_path: Path) -> None:
    from torch.export.pt2_archive._package import package_pt2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        programs = {name: torch.export.export(small().train(name == "b"), PICTURES) for name in ("a", "b")}
        package_pt2(str(tmp_path / "two.pt2"), exported_programs=programs)
    first = inspect.inspect(tmp_path / "two.pt2")
    other = inspect.inspect(tmp_path / "two.pt2", key="b")
    assert [one.key for one in first.state_dicts] == ["a", "b"]
    assert set(baked(first).values()) == {"mode-baked-eval"} and set(baked(other).values()) == {"mode-baked-train"}


def test_archives_from_before_torch_2_8_are_read(tmp_path: Path) -> None:
    """Laid out as torch.export.save did then; the program itself is of the same schema."""
    model = small().eval()
    saved(tmp_path / "new.pt2", model)
    torch.save(model.state_dict(), tmp_path / "state.pt")
    with zipfile.ZipFile(tmp_path / "new.pt2") as new, zipfile.ZipFile(tmp_path / "old.pt2", "w") as old:
        program = next(name for name in new.namelist() if name.endswith("models/model.json"))
        old.writestr("old/serialized_exported_program.json", new.read(program))
        old.writestr("old/serialized_state_dict.pt", (tmp_path / "state.pt").read_bytes())
        old.writestr("old/version", "8.1")
    facts = inspect.inspect(tmp_path / "old.pt2")
    assert baked(facts) == {"norm": "mode-baked-eval", "drop": "mode-baked-eval"}
    assert facts.parameters == sum(value.numel() for value in model.parameters())


@pytest.mark.parametrize(
    ("field", "value"),
    [("sizes", [{"as_int": 10**12}]), ("strides", [{"as_int": 10**9}]), ("storage_offset", {"as_int": -4})],
)
def test_a_tensor_that_reaches_beyond_its_bytes_is_refused(tmp_path: Path, field: str, value: Any) -> None:
    saved(tmp_path / "net.pt2", nn.Linear(2, 2), (torch.ones(1, 2),))
    with zipfile.ZipFile(tmp_path / "net.pt2") as sound, zipfile.ZipFile(tmp_path / "bad.pt2", "w") as bad:
        for entry in sound.infolist():
            content = sound.read(entry)
            if entry.filename.endswith("weights_config.json"):
                config = json.loads(content)
                config["config"]["bias"]["tensor_meta"][field] = value
                content = json.dumps(config).encode()
            bad.writestr(entry.filename, content)
    with pytest.raises(EngineError, match=r"not a program as torch\.export writes it"):
        checkpoint.read(tmp_path / "bad.pt2")


def test_one_that_was_compressed_anew_holds_the_same_values(tmp_path: Path) -> None:
    model = small().eval()
    saved(tmp_path / "net.pt2", model)
    with (
        zipfile.ZipFile(tmp_path / "net.pt2") as stored,
        zipfile.ZipFile(tmp_path / "packed.pt2", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in stored.infolist():
            packed.writestr(entry.filename, stored.read(entry))
    read = checkpoint.read(tmp_path / "packed.pt2").tensors
    assert all(torch.equal(read[name], value) for name, value in model.state_dict().items())


def test_compiled_code_without_a_program_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "aoti.pt2", "w") as archive:
        archive.writestr("aoti/archive_format", "pt2")
        archive.writestr("aoti/.data/version", "3\n")
        archive.writestr("aoti/data/aotinductor/model/model.so", b"\x7fELF")
    with pytest.raises(EngineError, match="compiled code of AOTInductor"):
        checkpoint.read(tmp_path / "aoti.pt2")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("training", [False, True])
def test_flags_of_a_traced_file_are_said_to_be_idle_and_its_baked_mode_is_shown(tmp_path: Path, training: bool) -> None:
    model = small().train(training)
    torch.jit.trace(model, PICTURES, check_trace=False).save(str(tmp_path / "traced.pt"))
    facts = inspect.inspect(tmp_path / "traced.pt")
    mode = "mode-baked-train" if training else "mode-baked-eval"
    assert facts.has_flags and baked(facts) == {"norm": mode, "drop": mode}
    (idle,) = (note for note in facts.notes if note.id == "flags-idle")
    assert idle.values == {"train": 2 if training else 0, "eval": 0 if training else 2}

    loaded = torch.jit.load(tmp_path / "traced.pt").train(not training)
    torch.manual_seed(0)
    one = loaded(*PICTURES)
    loaded.train(training)
    torch.manual_seed(0)
    assert torch.equal(one, loaded(*PICTURES))  # which is what "idle" says


@pytest.mark.filterwarnings("ignore")
def test_flags_of_a_scripted_file_are_not_idle_unless_nothing_reads_them(tmp_path: Path) -> None:
    torch.jit.script(small()).save(str(tmp_path / "scripted.pt"))
    torch.jit.script(nn.Sequential(nn.Linear(2, 2), nn.ReLU())).save(str(tmp_path / "plain.pt"))
    scripted, plain = (inspect.inspect(tmp_path / name) for name in ("scripted.pt", "plain.pt"))
    assert not {"flags-idle", "flags-idle-no-modes"} & ids(scripted.notes) and baked(scripted) == {}
    assert "flags-idle-no-modes" in ids(plain.notes)


@pytest.mark.filterwarnings("ignore")
def test_what_is_baked_into_one_module_of_a_trace_leaves_out_its_children(tmp_path: Path) -> None:
    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Dropout()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.dropout(self.inner(x), 0.1, True)

    torch.jit.trace(Around().eval(), torch.ones(3), check_trace=False).save(str(tmp_path / "traced.pt"))
    loaded = torch.jit.load(tmp_path / "traced.pt")
    assert baked_forms.of_one(loaded) == baked_forms.Baked(train=1)
    assert baked_forms.of_one(loaded.inner) == baked_forms.Baked(eval=1)
    assert baked_forms.total(baked_forms.of_script(loaded)) == baked_forms.Baked(1, 1)
