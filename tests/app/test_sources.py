"""Inputs as written on the command line."""

from __future__ import annotations

import pytest

from modelight import sources
from modelight.protocol import Example, FromFile, FromFunction, Images, Noise


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("example", Example()),
        ("example@0,2-4", Example((0, 2, 3, 4))),
        ("noise", Noise()),
        ("noise:8", Noise(samples=8)),
        ("noise:8:3x32x32", Noise(samples=8, shape=(3, 32, 32))),
        ("uniform:2", Noise("uniform", samples=2)),
        ("tokens:2:16", Noise("tokens", (16,), 2)),
        ("data.npz", FromFile("data.npz")),
        ("folder/data.npz:images@0-1", FromFile("folder/data.npz", "images", (0, 1))),
        (r"C:\x\data.safetensors", FromFile(r"C:\x\data.safetensors")),
        ("cat.png", Images(("cat.png",), (224, 224))),
        ("cat@2x.png", Images(("cat@2x.png",), (224, 224))),
        ("me@home/data.npz", FromFile("me@home/data.npz")),
        ("me@home/data.npz:x@1", FromFile("me@home/data.npz", "x", (1,))),
        ("run@3/inputs.py:make", FromFunction("run@3/inputs.py:make")),
        ("inputs.py:make", FromFunction("inputs.py:make")),
        ("package.module:make@3", FromFunction("package.module:make", (3,))),
    ],
)
def test_each_form(text: str, source: object) -> None:
    assert sources.parse([text]) == [source]


def test_pictures_beside_each_other_become_one_source() -> None:
    options = sources.ImageOptions((8, 8), 1, (0.5,), (0.25,))
    got = sources.parse(["a.png", "b.jpg", "noise", "c.png"], options)
    assert [type(source).__name__ for source in got] == ["Images", "Noise", "Images"]
    assert got[0] == Images(("a.png", "b.jpg"), (8, 8), 1, (0.5,), (0.25,))


@pytest.mark.parametrize(
    "text",
    [
        *("what", "noise:x", "noise:2:3xq", "noise:0", "noise:-2", "noise:2:3x0", "noise:2:3x4:5", "noise:2@0"),
        *("example@a", "example@", "example@-1", "example@5-2", "example@0-9999999999", "data.txt", "cat.png@1"),
    ],
)
def test_what_is_not_understood_is_said(text: str) -> None:
    with pytest.raises(sources.SourceError):
        sources.parse([text])


def test_summary_names_what_and_how_many() -> None:
    got = sources.summary([Example((0, 1)), Noise(samples=4), FromFile("a/b.npz"), FromFunction("x/f.py:make")])
    assert got == "example: 2 + noise: 4 + b.npz + f.py:make"
