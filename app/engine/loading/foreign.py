"""Files that people take for checkpoints, and what to say of them."""

from __future__ import annotations

from collections.abc import Iterable

_STARTS = (
    (b"GGUF", "is a GGUF file, made for llama.cpp: transformers can convert it to a torch checkpoint"),
    (b"\x89HDF", "is an HDF5 file, as Keras writes them: it holds no torch checkpoint"),
    (b"\x1f\x8b", "is compressed with gzip: unpack it first"),
    (b"BZh", "is compressed with bzip2: unpack it first"),
    (b"\xfd7zXZ\0", "is compressed with xz: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd: unpack it first"),
    (b"7z\xbc\xaf", "is a 7-Zip archive: unpack it first"),
    (b"Rar!", "is a RAR archive: unpack it first"),
    (b"version https://git-lfs", "is only a pointer of Git LFS: run git lfs pull to fetch the file itself"),
    (b"\x93NUMPY", "is an array of numpy, not a checkpoint: it can be opened as an input"),
)
_LATER = ((b"TFL3", "is a model of TensorFlow Lite"), (b"ET12", "is a program of ExecuTorch"))
"""What stands at the fifth byte."""
_PAGES = (b"<!doctype", b"<html", b"<?xml", b"<error")
_SHOWN = 48
_NAMED = 4


def told(head: bytes) -> str:
    """What a file is that begins so, as the end of a sentence; empty for what is not known."""
    for start, words in _STARTS:
        if head.startswith(start):
            return words
    for mark, words in _LATER:
        if head[4:8] == mark:
            return f"{words}: it holds no torch checkpoint"
    if head.lstrip().lower().startswith(_PAGES):
        return "is a web page, not a checkpoint: the download went to a page instead of the file"
    return _text(head)


def archive(names: Iterable[str]) -> str:
    """The same for an archive that holds these files."""
    files = [name for name in names if not name.endswith("/")]
    if files and all(name.endswith(".npy") for name in files):
        return "it holds arrays of numpy, and can be opened as an input"
    if any(name.endswith(".data/extern_modules") for name in files):
        return "torch.package did, and it holds code of its author, which is not read here"
    more = " …" if len(files) > _NAMED else ""
    return f"unpack it first, it holds {', '.join(files[:_NAMED])}{more}" if files else "it holds nothing"


def _text(head: bytes) -> str:
    """Of a message that was saved in place of the file, its beginning says most."""
    try:
        text = head.decode("utf-8", "strict" if len(head) < 512 else "ignore")
    except UnicodeDecodeError:
        return ""
    line = text.strip().partition("\n")[0].strip()
    if not line or not all(sign.isprintable() or sign.isspace() for sign in text):
        return ""
    return f"is a text, not a checkpoint: it begins with “{line[:_SHOWN]}{'…' if len(line) > _SHOWN else ''}”"
