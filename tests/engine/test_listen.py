"""Listening: every read and write of a flag in the user's code is heard, and nothing is left behind."""

from __future__ import annotations

import copy
import io
import pickle
import threading
from pathlib import Path

import pytest
import torch
from torch import nn

import modelight
from modelight.engine.modules import listen
from modelight.engine.modules.rows import Rows


def line_of(source: str) -> str:
    name, line = source.rsplit(":", 1)
    assert name == __file__
    return Path(name).read_text(encoding="utf-8").splitlines()[int(line) - 1].strip()


class Reader(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if self.training else x


class Helped(nn.Module):
    """Reads through a helper, where the class's own code says nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return helper(self, x)


def helper(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return nn.functional.dropout(x, 0.5, training=module.training)


def left_no_trace() -> bool:
    return "training" not in nn.Module.__dict__ and "training" in nn.Linear(1, 1).__dict__


def test_reads_are_heard_with_module_and_line() -> None:
    model = nn.Sequential(nn.Linear(2, 2), Reader(), nn.Dropout(), Helped(), nn.BatchNorm1d(2))
    with listen.flag_reads(Rows(model)) as heard:
        model(torch.ones(3, 2))
        model(torch.ones(3, 2))
    assert [(read.path, line_of(read.source), read.count) for read in heard.reads] == [
        ("1", "return x * 2 if self.training else x", 2),
        ("3", "return nn.functional.dropout(x, 0.5, training=module.training)", 2),
    ]
    assert left_no_trace()


def test_packages_whose_name_begins_like_torch_are_heard() -> None:
    filename = str(Path(torch.__file__).parent) + "vision/models/inception.py"
    names: dict[str, type[nn.Module]] = {"nn": nn}  # type: ignore[dict-item]
    exec(
        compile("class Net(nn.Module):\n    def forward(self):\n        return self.training", filename, "exec"), names
    )
    model = names["Net"]()
    with listen.flag_reads(Rows(model)) as heard:
        model()
    assert [read.source for read in heard.reads] == [f"{filename}:3"]


def test_the_output_is_that_of_a_bare_run() -> None:
    model = nn.Sequential(nn.Linear(8, 8), Reader(), nn.Dropout(0.5), Helped(), nn.BatchNorm1d(8), nn.RReLU())
    x = torch.randn(4, 8)
    twin = copy.deepcopy(model)
    torch.manual_seed(1)
    bare = twin(x)
    torch.manual_seed(1)
    with listen.flag_reads(Rows(model)):
        observed = model(x)
    assert torch.equal(bare, observed)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(model.buffers(), twin.buffers(), strict=True))


def test_writes_are_heard_with_the_line_that_caused_them() -> None:
    model = nn.Sequential(nn.Sequential(nn.Dropout()), Reader())
    with listen.flag_reads(Rows(model)) as heard:
        model.eval()
        model[1].training = True
    assert [(write.path, write.training) for write in heard.writes] == [
        ("", False),
        ("0", False),
        ("0.0", False),
        ("1", False),
        ("1", True),
    ]
    assert {line_of(write.source) for write in heard.writes} == {"model.eval()", "model[1].training = True"}
    assert model.training is False and model[1].training is True


def test_nothing_is_left_behind_after_an_exception() -> None:
    model = Reader()
    with pytest.raises(RuntimeError, match="in the middle"), listen.flag_reads(Rows(model)):
        model(torch.ones(1))
        raise RuntimeError("in the middle")
    assert left_no_trace()
    with pytest.raises(AttributeError):
        _ = nn.Module.training


def test_dictionaries_pickles_and_copies_see_what_they_always_saw() -> None:
    model = nn.Sequential(Reader())
    plain = io.BytesIO()
    torch.save(model.state_dict(), plain)
    with listen.flag_reads(Rows(model)):
        assert vars(model)["training"] is True and "training" in model.__dict__
        assert copy.deepcopy(model).training is True
        again = pickle.loads(pickle.dumps(model))
        assert again.training is True and again[0].training is True
        assert hasattr(model, "training") and "training" in dir(model)
        assert getattr(model, "missing", None) is None
        assert nn.Linear(2, 2).training is True  # modules made during the run
        del model.training
        assert not hasattr(model, "training")
        model.training = False
    assert model.__dict__["training"] is False


def test_listeners_may_be_nested_and_each_hears_its_own_time() -> None:
    model = Reader()
    rows = Rows(model)
    with listen.flag_reads(rows) as outer:
        model(torch.ones(1))
        with listen.flag_reads(rows) as inner:
            model(torch.ones(1))
        model(torch.ones(1))
    assert [read.count for read in outer.reads] == [3] and [read.count for read in inner.reads] == [1]
    assert left_no_trace()


def test_beyond_the_budget_nothing_is_touched_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "_BUDGET", listen._installed + 1)
    model = Reader()
    for deaf in (False, True):
        with listen.flag_reads(Rows(model)) as heard:
            assert left_no_trace() == deaf
            model(torch.ones(1))
        assert (heard.deaf is not None) == deaf and (heard.reads == []) == deaf


def test_reads_of_modules_in_plain_lists_are_heard_by_their_place() -> None:
    model = nn.Module()
    model.layers = [Reader()]
    with listen.flag_reads(Rows(model)) as heard:
        model.layers[0](torch.ones(1))
    assert [read.path for read in heard.reads] == ["layers[0]"]


def test_modules_of_another_model_are_not_heard() -> None:
    with listen.flag_reads(Rows(Reader())) as heard:
        Reader()(torch.ones(1))
    assert heard.reads == [] and heard.writes == []


def test_reads_of_other_threads_are_heard() -> None:
    model = Reader()
    with listen.flag_reads(Rows(model)) as heard:
        thread = threading.Thread(target=model, args=(torch.ones(1),))
        thread.start()
        thread.join()
    assert [read.count for read in heard.reads] == [1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_compiled_parts_run_as_written_while_they_are_observed() -> None:
    compiled = torch.compile(nn.Sequential(Reader(), nn.Dropout(0.5)), backend="eager")
    called = nn.Sequential(Reader())
    called.compile(backend="eager")
    model = nn.Sequential(compiled, called)
    with torch.no_grad():
        model(torch.ones(9))  # compiled by now
    seen = modelight.observe(model, torch.ones(9), seed=0)
    assert {read.path for read in seen.flag_reads} == {"0._orig_mod.0", "1.0"}
    assert [drop.path for drop in seen.dropouts] == ["0._orig_mod.1"]
    assert seen.dropouts[0].dropped is not None and all(one.called for one in seen.modules.values())


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_script_goes_on_while_others_are_heard() -> None:
    script = torch.jit.script(nn.Sequential(nn.Dropout()))
    with listen.flag_reads(Rows(script)):  # their flag lives in C++, and goes on working
        assert script.training is True and torch.equal(script.eval()(torch.ones(9)), torch.ones(9))
    assert script.training is False


def test_a_model_compiled_before_still_gives_its_answer() -> None:
    model = torch.compile(Reader(), backend="eager")
    x = torch.ones(2)
    assert torch.equal(model(x), 2 * x)
    late = torch.compile(Reader(), backend="eager")
    with listen.flag_reads(Rows(model)):
        assert torch.equal(model(x), 2 * x)
        assert torch.equal(late(x), 2 * x)  # compiled while somebody listens
    assert torch.equal(model.eval()(x), x) and torch.equal(late.eval()(x), x)
    assert left_no_trace()
