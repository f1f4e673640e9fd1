"""Every format through the session and the real model process, as the window uses them."""

from __future__ import annotations

import json
import random
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pytestqt.qtbot import QtBot
from safetensors.torch import save_file

from modelight import protocol as p
from modelight.checkpoint_window import inspect
from modelight.client import Client
from modelight.session import Session
from modelight.setup import Setup
from tests.engine.loading.mutated import Mutator, originals
from tests.process.conftest import PATIENCE, Notes, open_and_settle

CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
        self.tied = nn.Linear(4, 4)
        self.tied.weight = self.body[0].weight
    def forward(self, x):
        return self.tied(self.body(x))

def example_input():
    return torch.ones(3, 4)
"""
KEYS = [*(f"body.{name}" for name in ("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"))]
State = dict[str, torch.Tensor]


def state() -> State:
    torch.manual_seed(0)
    shapes = {name: (4, 4) if name == "body.0.weight" else (4,) for name in KEYS}
    tensors = {name: torch.rand(shape) for name, shape in shapes.items()}
    return {**tensors, "body.1.num_batches_tracked": torch.tensor(5), "tied.bias": torch.rand(4)}


def legacy(folder: Path) -> Path:
    torch.save(state(), folder / "legacy.pt", _use_new_zipfile_serialization=False)
    return folder / "legacy.pt"


def of_a_gpu(folder: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:1")
        torch.save(state(), folder / "gpu.pt")
    return folder / "gpu.pt"


def halves(folder: Path) -> Path:
    torch.save(
        {name: value.half() if value.is_floating_point() else value for name, value in state().items()}, folder / "h"
    )
    return folder / "h"


def quantised(folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weight = torch.quantize_per_tensor(state()["body.0.weight"], 0.1, 0, torch.qint8)
        torch.save({**state(), "body.0.weight": weight}, folder / "q.pt")
    return folder / "q.pt"


def shards(folder: Path) -> Path:
    (folder / "shards").mkdir()
    names = list(state())
    for number, part in enumerate((names[:3], names[3:])):
        save_file({name: state()[name] for name in part}, folder / "shards" / f"{number}.safetensors")
    index = {name: f"{int(place > 2)}.safetensors" for place, name in enumerate(names)}
    (folder / "shards" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    return folder / "shards"


def numbered(folder: Path) -> Path:
    (folder / "numbered").mkdir()
    names = list(state())
    for number, part in enumerate((names[:3], names[3:]), start=1):
        save_file({name: state()[name] for name in part}, folder / "numbered" / f"model-{number}-of-2.safetensors")
    return folder / "numbered"


def compressed(folder: Path) -> Path:
    torch.save(state(), folder / "stored.pt")
    with (
        zipfile.ZipFile(folder / "stored.pt") as stored,
        zipfile.ZipFile(folder / "compressed.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in stored.infolist():
            packed.writestr(entry.filename, stored.read(entry))
    return folder / "compressed.pt"


def arrays(folder: Path) -> Path:
    torch.save([{"epoch": 3}, {name: value.numpy() for name, value in state().items()}], folder / "arrays.pt")
    return folder / "arrays.pt"


def distributed(folder: Path) -> Path:
    import torch.distributed.checkpoint as dcp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save({"model": state()}, checkpoint_id=str(folder / "dcp"), no_dist=True)
    return folder / "dcp"


def lightning(folder: Path) -> Path:
    content = {"state_dict": {f"net.{name}": value for name, value in state().items()}, "hyper_parameters": {"lr": 0.1}}
    torch.save({**content, "pytorch-lightning_version": "2.6"}, folder / "a.ckpt")
    return folder / "a.ckpt"


MAKERS: list[tuple[Callable[[Path], Path], str, str]] = [
    (legacy, "torch legacy", ""),
    (of_a_gpu, "torch zip", ""),
    (halves, "torch zip", "dtype-converted"),
    (quantised, "torch zip", "dtype-converted"),
    (shards, "safetensors, 2 shards", ""),
    (numbered, "safetensors, 2 shards", ""),
    (compressed, "torch zip", ""),
    (arrays, "torch zip", ""),
    (distributed, "torch distributed", ""),
    (lightning, "torch zip", "checkpoint-says"),
]


def test_every_format_is_loaded_into_the_open_model(
    qtbot: QtBot, session: Session, notes: Notes, tmp_path: Path
) -> None:
    (tmp_path / "net_for_formats.py").write_text(CODE)
    open_and_settle(qtbot, session, Setup(f"{tmp_path}/net_for_formats.py:Net", directory=str(tmp_path), batch=3))
    for make, format_, note in MAKERS:
        path = make(tmp_path)
        with qtbot.waitSignal(session.opened, timeout=PATIENCE):
            session.load_checkpoint(str(path))
        report = session.model.report if session.model is not None else None
        assert report is not None and notes.problems == [], make.__name__
        assert (report.format, report.loaded, report.missing, report.mismatched) == (format_, 8, [], []), make.__name__
        said = [clause.id for clause in report.notes]
        assert "weights-tied" in said, make.__name__  # the file has the shared weight once, the model twice
        assert not note or note in said, make.__name__


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_script_shows_its_flags_flips_them_and_says_what_is_unseen(
    qtbot: QtBot, session: Session, notes: Notes, tmp_path: Path
) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 64), torch.nn.Dropout(0.5))
    net[1].eval()
    torch.jit.script(net).save(str(tmp_path / "scripted.pt"))
    setup = Setup(str(tmp_path / "scripted.pt"), sources=[p.Noise(shape=(4,), samples=2)], directory=str(tmp_path))
    open_and_settle(qtbot, session, setup)
    assert notes.problems == [] and session.setup is not None
    assert session.setup.flags == {"": True, "0": True, "1": False}

    def zeros() -> float:
        frame = notes.frames[-1]
        assert isinstance(frame, p.Frame) and frame.outputs[0].values is not None
        return float((frame.outputs[0].values.numpy() == 0).mean())

    assert zeros() == 0
    with qtbot.waitSignal(session.cycle.settled, timeout=PATIENCE):
        session.set_mode("1", True)
    assert 0.2 < zeros() < 0.8
    frame = notes.frames[-1]
    assert isinstance(frame, p.Frame)
    inside = [capture for capture in frame.modules if capture.row > 0]
    assert all(capture.unseen is not None and capture.unseen.id == "inside-script" for capture in inside)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_frozen_script_has_no_flags_and_that_is_shown(
    qtbot: QtBot, session: Session, notes: Notes, tmp_path: Path
) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5)).eval()
    torch.jit.freeze(torch.jit.script(net)).save(str(tmp_path / "frozen.pt"))
    setup = Setup(str(tmp_path / "frozen.pt"), sources=[p.Noise(shape=(4,), samples=2)], directory=str(tmp_path))
    open_and_settle(qtbot, session, setup)
    assert notes.problems == [] and session.setup is not None and session.model is not None
    assert session.setup.flags == {} and [state.training for state in session.states] == [None]
    assert "frozen-script" in {note.id for row in session.model.rows for note in row.notes}


@pytest.mark.filterwarnings("ignore")
def test_mutated_files_at_the_real_process_end_in_facts_or_a_sentence(qtbot: QtBot, tmp_path: Path) -> None:
    """A sample of what tests/engine/loading/test_fuzz.py throws, with scripts: torch reads those in compiled code."""
    trace = tmp_path / "was-run"
    made = originals(tmp_path, trace)
    torch.jit.script(torch.nn.Sequential(torch.nn.Linear(2, 2))).save(str(tmp_path / "scripted.pt"))
    mutator = Mutator(
        {**made, "script": tmp_path / "scripted.pt"}, tmp_path / "mutated", seed=random.Random(4).getrandbits(32)
    )
    session = Session(Client())
    ends: list[str] = []
    session.problem.connect(lambda problem: ends.append(problem.sentence))
    session.consent_needed.connect(lambda consent: ends.append(consent.sentence))
    try:
        for number in range(180):
            kind, path = mutator.next(number)
            inspect(session, str(path), lambda facts, _: ends.append(f"{len(facts.tensors)} tensors"))
            qtbot.waitUntil(lambda: len(ends) > number, timeout=PATIENCE)  # noqa: B023
            assert len(ends) == number + 1 and len(ends[-1]) > 8, (kind, ends[-1])
    finally:
        session.close()
    assert not trace.exists()
    read = sum(end.endswith("tensors") for end in ends)
    assert 0 < read < 120
