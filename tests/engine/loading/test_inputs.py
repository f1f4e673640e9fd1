"""Inputs: every kind of source, joined along the samples, adapted to the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from modelight.engine.batches import Inputs
from modelight.engine.errors import EngineError
from modelight.engine.loading import inputs
from modelight.engine.loading.opening import OpenModel, open_model
from modelight.engine.loading.pieces import piece_of
from modelight.protocol import (
    Clause,
    Example,
    FromFile,
    FromFunction,
    Images,
    InputInfo,
    InputTensor,
    Noise,
    Open,
    Source,
)


class Digits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x).mean((2, 3))


class Keyword(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 4)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.embedding(input_ids) * attention_mask[..., None]


def opened(module: nn.Module, example: Any = None, labels: tuple[int | None, ...] = (), **fields: Any) -> OpenModel:
    offered = None if example is None else piece_of(example, labels)
    model = OpenModel(module, "net", None, None, {}, (), torch.device("cpu"), offered)
    return replace(model, **fields)


def prepared(model: OpenModel, *sources: Source, directory: Path | str = "") -> tuple[Inputs, InputInfo]:
    return inputs.prepare(list(sources), model, directory=str(directory))


def refusal(model: OpenModel, *sources: Source, directory: Path | str = "") -> str:
    with pytest.raises(EngineError) as caught:
        prepared(model, *sources, directory=directory)
    assert caught.value.kind == "input"
    return str(caught.value)


DIGITS = torch.arange(8 * 64, dtype=torch.float32).reshape(8, 1, 8, 8)


def test_eight_digits_and_four_noise_are_joined() -> None:
    model = opened(Digits(), DIGITS, (0, 1) * 4, classes=("zero", "one"))
    given, info = prepared(model, Example(), Noise(samples=4, seed=3))
    assert torch.equal(given.args[0][:8], DIGITS)
    expected = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    assert torch.equal(given.args[0][8:], expected)
    assert info.captions == ["zero", "one"] * 4 + ["noise"] * 4
    assert info.is_noise == [False] * 8 + [True] * 4
    assert given.labels == tuple(info.labels) == (0, 1) * 4 + (None,) * 4
    assert info.tensors == [InputTensor("[0]", (12, 1, 8, 8), "float32")]
    assert (given.samples, info.samples, info.splittable) == (12, 12, True)
    assert [len(batch.args[0]) for batch in given.batches(5)] == [5, 5, 2]


def test_noise_may_come_first_and_still_takes_its_shape_from_the_others() -> None:
    given, info = prepared(opened(Digits(), DIGITS), Noise(samples=2), Example(samples=(1,)))
    assert given.args[0].shape == (3, 1, 8, 8)
    assert info.captions == ["noise", "noise", "#1"]
    assert torch.equal(given.args[0][2], DIGITS[1])


def test_a_subset_keeps_its_order_and_labels() -> None:
    given, info = prepared(opened(Digits(), DIGITS, tuple(range(8))), Example(samples=(5, 0)))
    assert torch.equal(given.args[0], DIGITS[[5, 0]])
    assert given.labels == (5, 0)
    assert info.captions == ["5", "0"]


@pytest.mark.parametrize("chosen", [(8,), (-1,), ()])
def test_samples_that_do_not_exist_are_told(chosen: tuple[int, ...]) -> None:
    assert "holds 8 samples, 0 to 7" in refusal(opened(Digits(), DIGITS), Example(samples=chosen))


def test_pictures_share_one_scale_taken_from_real_samples() -> None:
    _, info = prepared(
        opened(Digits(), DIGITS), Example(samples=(0, 7)), Noise(samples=1, distribution="constant", low=1e9)
    )
    assert info.thumbnails is not None
    pictures = info.thumbnails.numpy()
    assert pictures.shape == (3, 8, 8) and pictures.dtype == np.uint8
    assert (pictures[0, 0, 0], pictures[1, 7, 7]) == (0, 255)
    assert (pictures[2] == 255).all()
    assert pictures[0].max() == round(63 / 511 * 255)


def test_large_colour_pictures_are_made_small() -> None:
    _, info = prepared(opened(nn.Conv2d(3, 1, 3), torch.rand(2, 3, 200, 400)), Example())
    assert info.thumbnails is not None and info.thumbnails.shape == (2, 48, 96, 3)


@pytest.mark.parametrize("shape", [(4, 16), (4, 5, 16), (4, 2, 8, 8), (4, 1, 2, 2)])
def test_what_is_no_picture_gets_none(shape: tuple[int, ...]) -> None:
    assert prepared(opened(Digits(), torch.rand(shape)), Example())[1].thumbnails is None


def test_shapes_that_do_not_fit_together_are_both_named() -> None:
    sentence = refusal(opened(Digits(), DIGITS), Example(), Noise(shape=(1, 9, 9)))
    assert "(1, 8, 8)" in sentence and "(1, 9, 9)" in sentence


def test_different_arguments_cannot_be_joined(tmp_path: Path) -> None:
    torch.save(torch.zeros(2, 5, dtype=torch.long), tmp_path / "ids.pt")
    example = {"input_ids": torch.zeros(2, 5, dtype=torch.long), "attention_mask": torch.ones(2, 5, dtype=torch.long)}
    sentence = refusal(opened(Keyword(), example), Example(), FromFile(str(tmp_path / "ids.pt")))
    assert "one gives input_ids, attention_mask, another 1 positional" in sentence


def test_keyword_examples_give_keyword_noise_with_their_masks() -> None:
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    example = {"input_ids": torch.randint(0, 11, (2, 5)), "attention_mask": mask}
    given, info = prepared(opened(Keyword(), example), Example(), Noise(samples=3))
    assert given.args == ()
    assert given.kwargs["input_ids"].dtype == torch.long
    assert int(given.kwargs["input_ids"].min()) >= 0 and int(given.kwargs["input_ids"].max()) < 11
    assert torch.equal(given.kwargs["attention_mask"], mask[[0, 1, 0, 1, 0]])
    assert Clause("noise-kept", {"names": ["attention_mask"]}) in info.notes
    assert Clause("noise-tokens", {"low": 0, "high": 10}) in info.notes
    assert [tensor.name for tensor in info.tensors] == ["input_ids", "attention_mask"]
    Keyword()(**given.kwargs)


def test_tuples_are_positional_arguments_and_shared_tensors_are_given_whole() -> None:
    example = (torch.rand(4, 3), torch.rand(7, 2))
    given, _ = prepared(opened(Digits(), example), Example(samples=(0, 2)), Example(samples=(1,)))
    assert given.args[0].shape == (3, 3)
    assert torch.equal(given.args[1], example[1])


def test_a_list_of_images_is_one_whole_and_never_cut() -> None:
    images = [torch.rand(3, 8, 8), torch.rand(3, 9, 7)]
    given, info = prepared(opened(Digits(), images), Example())
    assert (given.splittable, given.samples, info.splittable, info.captions) == (False, 1, False, ["#0"])
    assert [batch.args[0] is given.args[0] for batch in given.batches(1)] == [True]
    assert "cannot be joined" in refusal(opened(Digits(), images), Example(), Example())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_follow_the_model_and_integers_stay(dtype: torch.dtype) -> None:
    model = opened(nn.Linear(3, 2).to(dtype), (torch.rand(2, 3), torch.ones(2, dtype=torch.int32)))
    given, info = prepared(model, Example(), Noise(samples=1))
    assert [value.dtype for value in given.args] == [dtype, torch.int32]
    assert info.notes[0] == Clause("input-dtype", {"source": "float32", "target": str(dtype).removeprefix("torch.")})


def test_no_source_and_no_example_are_told() -> None:
    assert "No input is chosen" in refusal(opened(Digits()))
    assert "offers no example_input()" in refusal(opened(Digits()), Example())


# ------------------------------------------------------------------------------------------------------------- files


def save(content: Any, path: Path) -> None:
    if path.suffix == ".pt":
        torch.save(content, path)
    elif path.suffix == ".safetensors":
        save_file(content if isinstance(content, dict) else {"x": content}, path)
    elif path.suffix == ".npz":
        arrays: Mapping[str, Any] = content if isinstance(content, dict) else {"x": content}
        np.savez(path, **{name: value.numpy() for name, value in arrays.items()})
    else:
        np.save(path, content.numpy())


@pytest.mark.parametrize("suffix", [".pt", ".npy", ".npz", ".safetensors"])
def test_tensor_files_are_read_whole_or_in_part(tmp_path: Path, suffix: str) -> None:
    save(DIGITS, tmp_path / f"digits{suffix}")
    given, info = prepared(opened(Digits()), FromFile(f"digits{suffix}", samples=(3, 1)), directory=tmp_path)
    assert torch.equal(given.args[0], DIGITS[[3, 1]])
    assert info.captions == ["digits #3", "digits #1"]


@pytest.mark.parametrize("suffix", [".pt", ".npz", ".safetensors"])
@pytest.mark.parametrize("name", ["labels", "label", "y", "target", "targets"])
def test_labels_and_keyword_arguments_are_known_by_their_names(tmp_path: Path, suffix: str, name: str) -> None:
    labels = torch.tensor([2, 0, 1])
    content = {"input_ids": torch.arange(6).reshape(3, 2), "attention_mask": torch.ones(3, 2), name: labels}
    save(content, tmp_path / f"a{suffix}")
    given, info = prepared(opened(Keyword()), FromFile(f"a{suffix}", samples=(0, 2)), directory=tmp_path)
    assert set(given.kwargs) == {"input_ids", "attention_mask"}
    assert info.labels == [2, 1]
    save({"whatever": DIGITS[:3], name: labels}, tmp_path / f"b{suffix}")
    given, info = prepared(opened(Digits()), FromFile(f"b{suffix}"), directory=tmp_path)
    assert torch.equal(given.args[0], DIGITS[:3])
    assert info.labels == [2, 0, 1]


def test_one_tensor_under_the_first_arguments_name_joins_with_positional_ones(tmp_path: Path) -> None:
    save({"x": DIGITS}, tmp_path / "a.npz")
    given, _ = prepared(opened(Digits(), DIGITS), Example(), FromFile(str(tmp_path / "a.npz")))
    assert given.args[0].shape == (16, 1, 8, 8)
    save({"attention_mask": torch.ones(2, 3)}, tmp_path / "b.npz")
    given, _ = prepared(opened(Keyword()), FromFile(str(tmp_path / "b.npz")))
    assert list(given.kwargs) == ["attention_mask"]


def test_what_is_named_like_labels_but_is_none_is_told(tmp_path: Path) -> None:
    save({"images": DIGITS, "y": torch.rand(8, 2)}, tmp_path / "a.npz")
    _, info = prepared(opened(Digits()), FromFile(str(tmp_path / "a.npz")))
    assert info.labels == [None] * 8
    assert info.notes == [Clause("labels-not-classes", {"name": "y", "shape": "8 × 2", "dtype": "float32"})]


def test_a_key_chooses_among_several_tensors(tmp_path: Path) -> None:
    save({"a": DIGITS, "b": DIGITS + 1, "y": torch.arange(8)}, tmp_path / "a.npz")
    assert "several tensors (a, b)" in refusal(opened(Digits()), FromFile(str(tmp_path / "a.npz")))
    given, _ = prepared(opened(Digits()), FromFile(str(tmp_path / "a.npz"), key="b"))
    assert torch.equal(given.args[0], DIGITS + 1)
    assert given.labels == tuple(range(8))
    assert "has no “c”; it has a, b, y" in refusal(opened(Digits()), FromFile(str(tmp_path / "a.npz"), key="c"))


def test_a_saved_list_of_images_is_one_whole(tmp_path: Path) -> None:
    torch.save([torch.ones(3, 4, 4), torch.ones(3, 5, 5)], tmp_path / "images.pt")
    given, info = prepared(opened(Digits()), FromFile(str(tmp_path / "images.pt")))
    assert (given.splittable, [tuple(image.shape) for image in given.args[0]]) == (False, [(3, 4, 4), (3, 5, 5)])
    assert info.captions == ["images"]


def test_other_byte_orders_and_negative_strides_are_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(6, dtype=">f4").reshape(2, 3)[:, ::-1])
    given, _ = prepared(opened(nn.Linear(3, 1)), FromFile(str(tmp_path / "a.npy")))
    assert given.args[0].tolist() == [[2, 1, 0], [5, 4, 3]]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none.pt", "There is no file"),
        ("a.csv", "no tensor file"),
        ("text.pt", "cannot be read"),
        ("object.npy", "cannot be read"),
        ("words.npy", "not numbers"),
        ("code.pt", "pickled objects are never read"),
        ("number.pt", "holds a int, not tensors"),
    ],
)
def test_files_that_hold_no_tensors_are_told(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "a.csv").write_text("1,2")
    (tmp_path / "text.pt").write_text("hello")
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "words.npy", np.array(["a"]))
    torch.save(nn.Linear(1, 1), tmp_path / "code.pt")
    torch.save(3, tmp_path / "number.pt")
    assert words in refusal(opened(Digits()), FromFile(name), directory=tmp_path)


# --------------------------------------------------------------------------------------------- pictures and functions


def test_pictures_are_resized_scaled_and_normalised(tmp_path: Path) -> None:
    Image.new("RGB", (10, 6), (255, 0, 51)).save(tmp_path / "red.png")
    Image.new("L", (3, 3), 51).save(tmp_path / "grey.png")
    source = Images(("red.png", "grey.png"), size=(4, 5), mean=(0.5, 0.0, 0.2), std=(0.5, 1.0, 0.1))
    given, info = prepared(opened(nn.Conv2d(3, 1, 1)), source, directory=tmp_path)
    assert given.args[0].shape == (2, 3, 4, 5)
    assert torch.allclose(given.args[0][0, :, 2, 3], torch.tensor([1.0, 0.0, 0.0]), atol=1e-6)
    assert torch.allclose(given.args[0][1, :, 0, 0], torch.tensor([-0.6, 0.2, 0.0]), atol=1e-6)
    assert info.captions == ["red", "grey"]
    grey, _ = prepared(opened(Digits()), Images(("red.png",), size=(8, 8), channels=1), directory=tmp_path)
    assert grey.args[0].shape == (1, 1, 8, 8)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Images((), (4, 4)), "No picture"),
        (Images(("none.png",), (4, 4)), "There is no file"),
        (Images(("text.png",), (4, 4)), "cannot be read as a picture"),
        (Images(("ok.png",), (0, 4)), "cannot be resized"),
        (Images(("ok.png",), (4, 4), channels=2), "1, 3 or 4 channels"),
        (Images(("ok.png",), (4, 4), mean=(0.0, 0.0)), "one mean, or one for each of 3"),
        (Images(("ok.png",), (4, 4), std=(0.0,)), "no std of 0"),
    ],
)
def test_mistakes_with_pictures_are_told(tmp_path: Path, source: Images, words: str) -> None:
    (tmp_path / "text.png").write_text("hello")
    Image.new("RGB", (2, 2)).save(tmp_path / "ok.png")
    assert words in refusal(opened(Digits()), source, directory=tmp_path)


FUNCTIONS = """
import torch
def tensor(): return torch.ones(3, 1, 8, 8)
def pair(n=2): return torch.ones(n, 3), torch.zeros(n)
def keywords(): return {"input_ids": torch.zeros(2, 4, dtype=torch.long), "attention_mask": torch.ones(2, 4)}
def images(): return [torch.ones(3, 4, 4), torch.ones(3, 5, 5)]
def fails(): raise KeyError("scan")
DATA = torch.full((2, 1, 8, 8), 4.0)
"""


@pytest.mark.parametrize(
    ("name", "names", "samples"),
    [
        ("tensor", ["[0]"], 3),
        ("pair", ["[0]", "[1]"], 2),
        ("pair(n=5)", ["[0]", "[1]"], 5),
        ("keywords", ["input_ids", "attention_mask"], 2),
        ("images", ["[0][0]", "[0][1]"], 1),
        ("DATA", ["[0]"], 2),
    ],
)
def test_functions_of_a_file_give_inputs(tmp_path: Path, name: str, names: list[str], samples: int) -> None:
    (tmp_path / "net_functions.py").write_text(FUNCTIONS)
    given, info = prepared(opened(Digits()), FromFunction(f"net_functions.py:{name}"), directory=tmp_path)
    assert [tensor.name for tensor in info.tensors] == names
    assert given.samples == samples


def test_functions_that_fail_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "net_functions.py").write_text(FUNCTIONS)
    sentence = refusal(opened(Digits()), FromFunction("net_functions.py:fails"), directory=tmp_path)
    assert "failed: KeyError: 'scan' (net_functions.py:7)" in sentence
    assert "did you mean tensor" in refusal(
        opened(Digits()), FromFunction("net_functions.py:tensr"), directory=tmp_path
    )


def test_nodes_with_their_edges_are_one_whole() -> None:
    nodes, edges = torch.randn(10, 4), torch.randint(0, 10, (2, 30))
    assert not piece_of((nodes, edges)).splittable
    assert not piece_of({"x": nodes, "edge_index": edges}).splittable
    assert piece_of((nodes, edges.T)).splittable, "thirty rows of two are no edge list of this form"
    assert piece_of((nodes[:2], torch.randint(0, 2, (2, 30)))).splittable, "two samples with thirty tokens each"


def test_a_files_own_captions_stand_before_the_labels() -> None:
    model = open_model(Open(id=0, spec="modelight.sample_models.digits_cnn:build"))
    assert model.example is not None
    _, info = model.example
    assert info.captions == list("41830765")
    assert info.labels == [0, 1] * 4
