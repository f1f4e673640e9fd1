"""The catalogue as a whole: what it covers, its words, and its table in docs."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from modelight.engine import catalog
from modelight.engine.catalog import table
from modelight.phrases import effects, findings, notes, phrase
from modelight.protocol import Clause

ENGINE = Path(catalog.__file__).parent
HANDLED_ELSEWHERE = {"TransformerEncoderLayer", "TransformerEncoder", "_SpectralNorm"}


def classes_of_torch_that_read_their_flag() -> Iterator[type]:
    for found in pkgutil.iter_modules(nn.modules.__path__, "torch.nn.modules."):
        for kind in vars(importlib.import_module(found.name)).values():
            if isinstance(kind, type) and issubclass(kind, nn.Module) and kind.__module__ == found.name:
                functions = [value for name, value in vars(kind).items() if name not in ("train", "__init__")]
                names = [getattr(function, "__code__", None) for function in functions]
                if any(code is not None and "training" in code.co_names for code in names):
                    yield kind


def test_every_class_of_torch_that_reads_its_flag_has_an_entry() -> None:
    everything = [entry for entry in catalog.ENTRIES if not entry.matches(nn.Linear)]
    readers = list(classes_of_torch_that_read_their_flag())
    assert nn.Dropout in readers
    unknown = {kind.__name__ for kind in readers if not any(entry.matches(kind) for entry in everything)}
    assert unknown <= HANDLED_ELSEWHERE


def ids_in_the_code() -> set[str]:
    text = "\n".join(path.read_text() for path in ENGINE.glob("*.py"))
    text += "".join(
        (ENGINE.parent / "modules" / name).read_text() for name in ("policy.py", "structure.py", "rows.py", "listen.py")
    )
    return set(re.findall(r'(?:Clause|say)\(\s*"([a-z-]+)"', text))


def test_every_id_has_a_phrase() -> None:
    ids = ids_in_the_code()
    assert {"running-stats", "drops-between-layers", "untouched-statistics", "unregistered"} <= ids
    assert ids <= set(effects.PHRASES) | set(notes.PHRASES)


def test_no_id_stands_in_two_tables() -> None:
    tables = (set(effects.PHRASES), set(notes.PHRASES), set(findings.PHRASES))
    assert sum(map(len, tables)) == len(set().union(*tables))


@pytest.mark.parametrize(
    ("layer", "train", "eval_"),
    [
        (nn.Dropout(0.5), "drops 50\u00a0%", "passes through"),
        (nn.BatchNorm2d(3), "batch stats · updates", "running stats"),
        (nn.Linear(1, 1), "no effect", "no effect"),
        (nn.Sequential(nn.Dropout(0.5)), "1 layer reacts", "1 layer reacts"),
        (nn.Sequential(nn.Dropout(0.5), nn.RReLU()), "2 layers react", "2 layers react"),
        (nn.Dropout(0.0), "drops nothing, p = 0", "drops nothing, p = 0"),
    ],
)
def test_the_words_a_person_reads(layer: nn.Module, train: str, eval_: str) -> None:
    assert [phrase(clause) for clause in catalog.describe(layer.train()).effect] == [train]
    assert [phrase(clause) for clause in catalog.describe(layer.eval()).effect] == [eval_]


def test_a_class_that_only_names_a_layer_of_torch_has_its_effect() -> None:
    class Head(nn.Linear):
        pass

    class Block(nn.Sequential):
        pass

    assert catalog.describe(Head(1, 1)).effect == catalog.describe(Block(nn.ReLU())).effect == [Clause("no-effect")]


def test_a_container_with_unknown_children_claims_nothing() -> None:
    class Mine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x)

    assert catalog.describe(Mine()).effect == [Clause("no-effect-known")]


def test_the_table_in_docs_is_what_the_code_says() -> None:
    assert table.DOCUMENT.read_text(encoding="utf-8") == table.markdown()
