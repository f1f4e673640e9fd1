"""MODEL as people write it, and every mistake they make in it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from torch import nn

from modelight.engine.errors import EngineError
from modelight.engine.loading import sources, spec
from modelight.engine.loading.opening import build


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self, width=2, act="relu", sizes=()):
        super().__init__()
        self.width, self.act, self.sizes = width, act, sizes
def build(): return Net(7)
model = Net(9)
WIDTH = 3
"""


def failure(text: str, folder: Path) -> EngineError:
    with pytest.raises(EngineError) as caught:
        build(spec.resolve(spec.parse(text), str(folder)))
    return caught.value


@pytest.mark.parametrize(
    ("text", "file", "module", "attribute", "args", "kwargs"),
    [
        ("pkg.models:resnet18(num_classes=10)", "", "pkg.models", "resnet18", (), {"num_classes": 10}),
        ("m.py:Net(32, act='relu', sizes=[1,2])", "m.py", "", "Net", (32,), {"act": "relu", "sizes": [1, 2]}),
        ("C:\\x\\m.py:Net", "C:\\x\\m.py", "", "Net", (), {}),
        ("C:/x y/m.py:Net({'a:b': -1})", "C:/x y/m.py", "", "Net", ({"a:b": -1},), {}),
        (
            "transformers:BertModel.from_pretrained('a/b:c')",
            "",
            "transformers",
            "BertModel.from_pretrained",
            ("a/b:c",),
            {},
        ),
        ("copy (2)/m.py:Net((1, None), b=True)", "copy (2)/m.py", "", "Net", ((1, None),), {"b": True}),
        ("m:f", "", "m", "f", (), {}),
        ("模型.py:网络", "模型.py", "", "网络", (), {}),
    ],
)
def test_is_taken_apart(text: str, file: str, module: str, attribute: str, args: object, kwargs: object) -> None:
    parsed = spec.parse(text)
    assert (parsed.file, parsed.module, parsed.attribute) == (file, module, attribute)
    assert (parsed.args, parsed.kwargs) == (args, kwargs)


def test_has_a_short_name() -> None:
    assert spec.parse("a/b/digits_cnn.py:build").name == "digits_cnn"
    assert spec.parse("C:\\x\\m.py:Net").name == "m"
    assert spec.parse("pkg.digits_cnn:build").name == "digits_cnn"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "No model is named"),
        ("m.py", "for example m.py:Net"),
        ("models", "package.module:callable"),
        ("weights.pt", "checkpoint, which holds weights but no code"),
        ("weights.safetensors:Net", "checkpoint, which holds weights but no code"),
        ("m.py:", "not the name of a callable"),
        ("m.py:1abc", "not the name of a callable"),
        ("m.py:Net(", "not the name of a callable"),
        ("m.py:Net(1))", "not a call that Python can read"),
        ("m.py:Net(width)", "The argument width"),
        ("m.py:Net(__import__('os').system('true'))", "is not a literal"),
        ("m.py:Net(**{'a': 1})", "uses **"),
        ("m.py:Net(*[1])", "is not a literal"),
        ("m.py:f()()", "must name one callable"),
        ("my-models:Net", "neither a module name nor a .py file"),
    ],
)
def test_mistakes_in_the_text_end_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(EngineError) as caught:
        spec.parse(text)
    assert caught.value.kind == "spec"
    assert words in str(caught.value)


def test_builds_from_classes_functions_instances_and_dotted_names(tmp_path: Path) -> None:
    write(tmp_path, "net_kinds.py", NET + "class Zoo:\n    @staticmethod\n    def small(): return Net(1)\n")
    widths = {}
    for text in ("Net", "Net(5)", "build", "model", "Zoo.small()"):
        widths[text] = build(spec.resolve(spec.parse(f"net_kinds.py:{text}"), str(tmp_path))).width
    assert widths == {"Net": 2, "Net(5)": 5, "build": 7, "model": 9, "Zoo.small()": 1}


def test_names_near_matches_and_what_the_file_offers(tmp_path: Path) -> None:
    write(tmp_path, "net_offers.py", NET)
    error = failure("net_offers.py:Nett", tmp_path)
    assert error.kind == "spec"
    assert str(error) == "net_offers.py has no “Nett”; did you mean Net? It offers model, Net, build."
    assert "It offers model, Net, build." in str(failure("net_offers.py:zzz", tmp_path))


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("net_err.py:WIDTH", "spec", "WIDTH is a int, which builds no model; net_err.py offers model, Net, build"),
        ("net_err.py:model(1)", "spec", "leave the parentheses out"),
        ("net_err.py:Net(depth=1)", "build", "Its arguments are Net(width=2, act='relu', sizes=())"),
        ("net_er.py:Net", "spec", "did you mean net_err.py"),
        ("elsewhere/net.py:Net", "spec", "There is no file"),
        ("no_such_module_here:Net", "spec", "There is no module named “no_such_module_here”"),
        ("torch.nnn:Linear", "spec", "did you mean torch.nn"),
        ("bad_return.py:pair", "build", "returned 2 things, a model among them"),
        ("bad_return.py:nothing", "build", "returned nothing, not a torch.nn.Module"),
        ("bad_return.py:fails", "build", "ValueError: no width (bad_return.py:5)"),
        ("bad_return.py:leaves", "build", "called sys.exit()"),
        ("needs.py:Net", "import", "imports “not_installed_here”, which is not installed in this Python"),
        ("broken.py:Net", "import", "SyntaxError"),
        ("quits.py:Net", "import", "called sys.exit(3) while it was imported"),
        ("raises.py:Net", "import", "RuntimeError: no data (raises.py:2)"),
    ],
)
def test_mistakes_end_in_a_sentence_that_says_what_to_do(tmp_path: Path, text: str, kind: str, words: str) -> None:
    write(tmp_path, "net_err.py", NET)
    write(
        tmp_path,
        "bad_return.py",
        "import sys\nfrom torch import nn\ndef pair(): return nn.Linear(1, 1), 1\ndef nothing(): pass\n"
        "def fails(): raise ValueError('no width')\ndef leaves(): sys.exit()\n",
    )
    write(tmp_path, "needs.py", "import not_installed_here\n")
    write(tmp_path, "broken.py", "def f(:\n")
    write(tmp_path, "quits.py", "import sys\nsys.exit(3)\n")
    write(tmp_path, "raises.py", "x = 1\nraise RuntimeError('no data')\n")
    error = failure(text, tmp_path)
    assert error.kind == kind
    assert words in str(error)
    assert kind == "spec" or error.__cause__ is not None or "returned" in words


def test_siblings_of_a_file_are_importable(tmp_path: Path) -> None:
    write(tmp_path, "work/net_sibling.py", "from layers_of_it import Net\n")
    write(tmp_path, "work/layers_of_it.py", NET)
    assert spec.resolve(spec.parse("work/net_sibling.py:Net"), str(tmp_path)).target.__module__ == "layers_of_it"


def test_a_file_of_a_package_may_import_relatively(tmp_path: Path) -> None:
    write(tmp_path, "pack_rel/__init__.py", "")
    write(tmp_path, "pack_rel/sub/__init__.py", "")
    write(tmp_path, "pack_rel/layers.py", NET)
    write(tmp_path, "pack_rel/sub/net.py", "from ..layers import Net\n")
    found = spec.resolve(spec.parse("pack_rel/sub/net.py:Net"), str(tmp_path))
    assert found.source.__name__ == "pack_rel.sub.net"


def test_a_file_named_like_a_standard_module_takes_nothing_from_it(tmp_path: Path) -> None:
    import random

    write(tmp_path, "random.py", NET)
    found = spec.resolve(spec.parse("random.py:Net"), str(tmp_path))
    assert found.target().width == 2
    assert sys.modules["random"] is random
    assert sys.modules[found.source.__name__] is found.source


def test_two_files_of_one_name_and_their_siblings_are_not_mixed_up(tmp_path: Path) -> None:
    for name, width in (("one", 1), ("two", 2)):
        write(tmp_path, f"{name}/model_twice.py", "from width_twice import W\n" + NET + "def small(): return Net(W)\n")
        write(tmp_path, f"{name}/width_twice.py", f"W = {width}\n")
    for name, width in (("one", 1), ("two", 2), ("one", 1)):
        resolved = spec.resolve(spec.parse(f"{name}/model_twice.py:small"), str(tmp_path))
        assert build(resolved).width == width
        assert sys.modules["model_twice"] is resolved.source


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    path = write(tmp_path, "net_anew.py", NET)
    assert build(spec.resolve(spec.parse("net_anew.py:build"), str(tmp_path))).width == 7
    path.write_text(NET.replace("Net(7)", "Net(70)"))
    assert build(spec.resolve(spec.parse("net_anew.py:build"), str(tmp_path))).width == 70


def test_an_edit_of_equal_length_in_the_same_second_is_seen(tmp_path: Path) -> None:
    for width in ("1", "2", "3"):
        write(tmp_path, "net_quick.py", NET.replace("Net(7)", f"Net({width})"))
        assert build(spec.resolve(spec.parse("net_quick.py:build"), str(tmp_path))).width == int(width)


def test_a_module_of_the_users_directory_is_read_anew_too(tmp_path: Path) -> None:
    for width in (1, 22):
        write(tmp_path, "package_anew/__init__.py", "")
        write(tmp_path, "package_anew/nets.py", NET.replace("Net(7)", f"Net({width})"))
        assert build(spec.resolve(spec.parse("package_anew.nets:build"), str(tmp_path))).width == width


def test_beside_an_open_model_its_modules_stay(tmp_path: Path) -> None:
    write(tmp_path, "one/net_stays.py", NET)
    write(tmp_path, "one/later_sibling.py", "VALUE = 5\n")
    write(tmp_path, "two/other_inputs.py", "from helper_of_it import f\n")
    write(tmp_path, "two/helper_of_it.py", "def f(): return 1\n")
    model = spec.resolve(spec.parse("one/net_stays.py:Net"), str(tmp_path))
    other = spec.resolve(spec.parse("two/other_inputs.py:f"), str(tmp_path), beside=True)
    again = spec.resolve(spec.parse("one/net_stays.py:build"), str(tmp_path), beside=True)
    assert other.target() == 1
    assert again.source is model.source is sys.modules["net_stays"]
    assert str(tmp_path / "one") in sys.path  # siblings that the model imports later are found
    assert isinstance(again.target(), model.target)


def test_modules_are_pickled_under_a_name_that_can_be_imported(tmp_path: Path) -> None:
    import pickle

    write(tmp_path, "net_pickled.py", NET)
    module = build(spec.resolve(spec.parse("net_pickled.py:Net(4)"), str(tmp_path)))
    assert pickle.loads(pickle.dumps(module)).width == 4


def test_a_failed_import_leaves_no_half_module(tmp_path: Path) -> None:
    write(tmp_path, "half_module.py", "x = 1\nraise RuntimeError\n")
    failure("half_module.py:Net", tmp_path)
    assert "half_module" not in sys.modules


def test_only_the_last_folders_stay_on_the_import_path(tmp_path: Path) -> None:
    write(tmp_path, "one/net_path.py", NET)
    write(tmp_path, "two/net_path.py", NET)
    sources.import_file("one/net_path.py", str(tmp_path))
    first = list(sys.path)
    sources.import_file("two/net_path.py", str(tmp_path))
    assert first[:2] == [str(tmp_path / "one"), str(tmp_path)]
    assert sys.path == [str(tmp_path / "two"), str(tmp_path), *first[2:]]


def test_an_installed_module_needs_no_directory() -> None:
    assert isinstance(build(spec.resolve(spec.parse("torch.nn:Linear(3, 2)"))), nn.Linear)
