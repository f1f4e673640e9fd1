"""The input's editor, opened on what the session feeds the model now."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QWidget

from modelight.phrases import phrase
from modelight.present.inputs import source_rows, sources_of
from modelight.protocol import InputInfo, Noise
from modelight.session import Session
from modelight.widgets.input_editor import InputEditor
from modelight.widgets.input_rows import KINDS
from modelight.widgets.numbers import shape


def edit_input(session: Session, parent: QWidget) -> None:
    """Let the person edit the input; on accept the session takes it."""
    editor = make_editor(session, parent)
    editor.accepted.connect(lambda: session.set_input(sources_of(editor.value())))
    editor.open()


def make_editor(session: Session, parent: QWidget) -> InputEditor:
    """The editor, filled with the present sources and what is known of the tensors they give."""
    has_example = session.model is not None and session.model.input is not None
    editor = InputEditor([kind for kind in KINDS if kind != "example" or has_example], parent)
    info = session.input
    editor.setValue(source_rows(info.sources if info is not None else [Noise()]))
    if info is not None:
        editor.set_note(describe(info))
    return editor


def describe(info: InputInfo) -> str:
    """What the model gets now: every tensor with its shape and dtype, and how the shape was found."""
    several = len(info.tensors) > 1
    tensors = "; ".join(
        f"{tensor.name}: {shape(tensor.shape)}, {tensor.dtype}"
        if tensor.name and (several or not tensor.name.startswith("["))
        else f"{shape(tensor.shape)} {tensor.dtype}"
        for tensor in info.tensors
    )
    now = QCoreApplication.translate("InputDialog", "The model now gets {tensors}.").format(tensors=tensors)
    return " ".join([now, *(phrase(note) for note in info.notes)])
