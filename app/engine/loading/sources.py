"""Importing the user's code: by module name, or a file under its own stem so that siblings, pickle and spawn work."""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.machinery
import importlib.util
import sys
import sysconfig
import tokenize
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from modelight.engine.errors import EngineError, told
from modelight.engine.loading.paths import located

_ENGINE = Path(__file__).parents[1]
_ALIAS = "modelight_user_"
_STANDARD = sysconfig.get_path("stdlib")
_user_modules: set[str] = set()
"""Names of modules that user code brought in from the user's folders: forgotten before the next file is imported."""
_folders: list[str] = []
"""What this loader put on the import path for the last import."""


def import_module(name: str, directory: str = "", *, beside: bool = False) -> ModuleType:
    """Import an installed module, or one in ``directory``, which is read anew.

    Args:
        beside: leave what was imported before in place: a model that came from it is still open.

    Raises:
        EngineError: kind ``spec`` if there is no such module, ``import`` if its code failed.
    """
    _begin([str(Path(directory or ".").resolve())], beside)
    with _importing(name):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            raise EngineError(_no_module(name, error.name, directory), kind="spec") from error


def import_file(path: str, directory: str = "", *, beside: bool = False) -> ModuleType:
    """Import a Python file anew, under its stem; its folder and ``directory`` come first on the import path.

    A file of a package that uses relative imports is imported under its full package name. A stem that an installed
    or loaded module already has is not taken from it: such a file gets a name of its own.

    Args:
        beside: leave what was imported before in place: a model that came from it is still open. Its own file is then
            not run again.

    Raises:
        EngineError: kind ``spec`` if there is no such file, ``import`` if its code failed.
    """
    file = _find(path, directory)
    package = _package_root(file) if _has_relative_imports(file) else None
    _begin([str(package or file.parent), str(Path(directory or ".").resolve())], beside)
    loaded = sys.modules.get(file.stem)
    if beside and file.stem in _user_modules and getattr(loaded, "__file__", None) == str(file):
        assert loaded is not None
        return loaded
    if package is not None:
        with _importing(str(file)):
            return importlib.import_module(".".join(file.relative_to(package).with_suffix("").parts))
    return _execute(file)


def _find(path: str, directory: str) -> Path:
    try:
        file = located(path, directory).resolve()
        is_file, is_folder = file.is_file(), file.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        raise EngineError(f"“{path}” is not a path that can be read: {error}.", kind="spec") from error
    if is_file:
        return file
    if is_folder:
        raise EngineError(f"{path} is a folder: name the .py file in it that builds the model.", kind="spec")
    names = [entry.name for entry in file.parent.glob("*.py")] if file.parent.is_dir() else []
    near = difflib.get_close_matches(file.name, names, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "check the path."
    raise EngineError(f"There is no file {file}; {hint}", kind="spec")


def _execute(file: Path) -> ModuleType:
    name = file.stem if _is_free(file) else f"{_ALIAS}{file.stem}"
    # Named outright, so that a file without the .py suffix runs as well.
    loader = importlib.machinery.SourceFileLoader(name, str(file))
    found = importlib.util.spec_from_loader(name, loader)
    assert found is not None  # a loader given by hand always yields a spec
    module = importlib.util.module_from_spec(found)
    try:
        with _importing(str(file)):
            sys.modules[name] = module
            # Compiled here: the cached bytecode of a file that was edited twice in one second would be an old one.
            exec(loader.source_to_code(loader.get_data(str(file)), str(file)), vars(module))
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _is_free(file: Path) -> bool:
    """Whether importing the file under its stem takes the name from nothing else."""
    stem = file.stem
    if not stem.isidentifier() or stem in sys.modules or stem in sys.stdlib_module_names:
        return False
    try:
        found = importlib.util.find_spec(stem)
    except (ImportError, ValueError):
        return True
    return found is None or found.origin is None or Path(found.origin) == file


def _has_relative_imports(file: Path) -> bool:
    try:
        with tokenize.open(file) as stream:
            tree = ast.parse(stream.read())
    except (SyntaxError, ValueError, UnicodeDecodeError, RecursionError):
        return False  # the import itself says what is wrong
    return any(isinstance(node, ast.ImportFrom) and node.level > 0 for node in ast.walk(tree))


def _package_root(file: Path) -> Path | None:
    """The folder that holds the outermost package of the file; None where the file lies in no package."""
    folder = file.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return None if folder == file.parent else folder


@contextmanager
def on_path(*folders: str) -> Iterator[None]:
    """Import from these folders, as a pickle does that names its classes."""
    _begin([str(Path(folder or ".").resolve()) for folder in folders], beside=False)
    before = set(sys.modules)
    try:
        yield
    finally:
        _remember_since(before)


def _begin(folders: list[str], beside: bool) -> None:
    """Put the folders first on the import path; unless ``beside``, in place of the last import, which is forgotten."""
    if not beside:
        for name in _user_modules:
            sys.modules.pop(name, None)
        _user_modules.clear()
    for folder in _folders:
        if folder in sys.path:
            sys.path.remove(folder)  # the first one, which is ours
    _folders[:] = dict.fromkeys([*folders, *(_folders if beside else [])])
    sys.path[:0] = _folders
    importlib.invalidate_caches()


def _remember_since(before: set[str]) -> None:
    _user_modules.update(name for name in set(sys.modules) - before if _is_users(name))


@contextmanager
def _importing(what: str) -> Iterator[None]:
    """Remember which modules of the user come in, and phrase what goes wrong."""
    before = set(sys.modules)
    try:
        yield
    except EngineError:
        raise
    except SystemExit as error:
        raise EngineError(
            f"{what} called sys.exit({error.code if error.code is not None else ''}) while it was imported: put what "
            'runs the program under if __name__ == "__main__".',
            kind="import",
        ) from error
    except ModuleNotFoundError as error:
        raise EngineError(
            f"{what} imports “{error.name}”, which is not installed in this Python ({sys.executable}){place(error)}.",
            kind="import",
        ) from error
    except KeyboardInterrupt:
        raise  # in a terminal it is the person's own
    except BaseException as error:
        raise EngineError(f"{what} could not be imported: {told(error)}{place(error)}.", kind="import") from error
    finally:
        _remember_since(before)


def _is_users(name: str) -> bool:
    """Whether a module lies in the folders that were put on the path, and not in an environment inside them."""
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None or name.partition(".")[0] == "modelight":
        return False
    path = Path(file)
    if "site-packages" in path.parts or "dist-packages" in path.parts:
        return False
    return any(path.is_relative_to(folder) for folder in _folders)


def place(error: BaseException) -> str:
    """`` (file.py:12)``: the innermost place of an error in the user's code, else in a library, or nothing."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_of_interest(frame.filename)]
    chosen = [frame for frame in frames if not _is_library(frame.filename)] or frames
    return f" ({Path(chosen[-1].filename).name}:{chosen[-1].lineno})" if chosen else ""


def _is_library(file: str) -> bool:
    """Python's own modules and installed packages: what failed there was mostly asked for by the user's code."""
    path = Path(file)
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    return bool(installed) or path.is_relative_to(_STANDARD) or file.startswith("<")


def _is_of_interest(file: str) -> bool:
    """Not this loader's own frames, nor those of the import machinery."""
    return "importlib" not in file and not Path(file).is_relative_to(_ENGINE)


def _no_module(name: str, missing: str, directory: str) -> str:
    here = Path(directory or ".").resolve()
    if (here / f"{name.replace('.', '/')}.py").is_file():
        return f"{name} cannot be imported from {here}; name the file instead: {name.replace('.', '/')}.py:…"
    parent = missing.rpartition(".")[0]
    near = difflib.get_close_matches(missing, list(sys.modules) if not parent else _submodules(parent), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "install it, or name a .py file."
    return f"There is no module named “{missing}” in this Python or in {here}; {hint}"


def _submodules(package: str) -> list[str]:
    import pkgutil

    path = getattr(sys.modules.get(package), "__path__", [])
    return [f"{package}.{entry.name}" for entry in pkgutil.iter_modules(path)]
