"""What a file offers to be opened, by its syntax alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelight.callables import callables

CODE = """
import torch
from torch import nn

raise SystemExit("nothing of this is run")

class Config:
    pass

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()

class Net(nn.Module):
    def __init__(self, width=3, *more, depth=2, **others):
        super().__init__()

class _Hidden(nn.Module):
    pass

class Sized(nn.Module):
    def __init__(self, *, width):
        super().__init__()

def train(data):
    pass

def make(width=2):
    return Net(width)

async def later():
    return Net()

def build():
    return Net()

model = Net().eval()
net: nn.Module = Net()
log = print("no model")
"""


def test_what_needs_no_argument_is_offered_and_build_comes_first(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(CODE)
    assert callables(tmp_path / "nets.py") == ["build", "Net", "Config", "make", "model", "net"]


@pytest.mark.parametrize(
    "content",
    [b"def f(:", b"\x00\x01", b"\xff\xfe", b"(" * 5000 + b")" * 5000, b"x = 1"],
    ids=["syntax", "binary", "no-text", "deep", "nothing"],
)
def test_a_file_that_offers_nothing_raises_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "nets.py").write_bytes(content)
    assert callables(tmp_path / "nets.py") == []


def test_neither_a_folder_nor_a_file_that_is_missing_or_huge_offers_anything(tmp_path: Path) -> None:
    huge = tmp_path / "huge.py"
    huge.write_text("def build(): pass\n" + "#" * 5_000_000)
    assert callables(huge) == callables(tmp_path) == callables(tmp_path / "missing.py") == []
