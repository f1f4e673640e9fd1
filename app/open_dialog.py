"""*Open model*: which file or package, which callable in it, with which checkpoint, on which device."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from modelight.callables import callables
from modelight.setup import Setup
from modelight.widgets.buttons import Button, ComboBox
from modelight.widgets.labels import label
from modelight.widgets.sections import row

CHECKPOINTS = "*.safetensors *.pt *.pth *.th *.bin *.ckpt *.tar *.model *.pkl *.pt2 *.index.json"
WHOLE = (
    ".pt",
    ".pth",
    ".th",
    ".bin",
    ".ckpt",
    ".tar",
    ".model",
    ".pkl",
    ".pickle",
    ".pt2",
    ".jit",
    ".ts",
    ".torchscript",
)
"""Files that may hold a whole model: TorchScript, or a pickled module. Of others the engine says why they are none."""
_CONFIG = "config.json"
"""Makes a folder a model of transformers."""


def checkpoint_filter() -> str:
    """What a file dialog offers as checkpoints. Any name may hold one, so all files can be had too."""
    return _filter(QCoreApplication.translate("OpenDialog", "Checkpoints ({kinds})"), CHECKPOINTS)


def _filter(words: str, kinds: str) -> str:
    return ";;".join([words.format(kinds=kinds), QCoreApplication.translate("OpenDialog", "All files (*)")])


class OpenDialog(QDialog):
    """Asks for what the command line's MODEL and CHECKPOINT say; :meth:`setup` is the answer."""

    def __init__(self, devices: list[str], directory: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Open a model"))
        self.setMinimumWidth(560)
        self._directory = directory
        self.model = QLineEdit()
        self.model.setObjectName("open-model")
        self.model.setPlaceholderText(self.tr("path/file.py or package.module:callable"))
        self.callable = ComboBox()
        self.callable.setObjectName("open-callable")
        self.callable.setEditable(True)
        self.checkpoint = QLineEdit()
        self.checkpoint.setObjectName("open-checkpoint")
        self.checkpoint.setPlaceholderText(self.tr("none: the weights that the model comes with"))
        self.device = ComboBox()
        self.device.addItems(devices or ["cpu"])
        self._assemble()
        self.model.textChanged.connect(self._on_model)
        self.callable.editTextChanged.connect(self._on_changed)
        self._on_model("")

    def _assemble(self) -> None:
        form = QFormLayout()
        form.setHorizontalSpacing(16)
        form.setVerticalSpacing(12)
        form.addRow(self.tr("Model"), self._with_browse(self.model, self._browse_model))
        form.addRow(self.tr("Class or function"), self.callable)
        form.addRow(self.tr("Checkpoint"), self._with_browse(self.checkpoint, self._browse_checkpoint))
        form.addRow(self.tr("Device"), self.device)
        note = label(
            self.tr(
                "The file is run in a process of its own. Arguments may follow the name: Net(classes=10). "
                "TorchScript, a pickled module and a folder of transformers are a model by themselves."
            ),
            12,
            tone="text2",
            wrap=True,
        )
        cancel = Button(self.tr("Cancel"))
        cancel.setAutoDefault(False)
        self.open_button = Button(self.tr("Open"), "primary")
        self.open_button.setObjectName("open-accept")
        self.open_button.setDefault(True)
        self.open_button.clicked.connect(self.accept)
        cancel.clicked.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 20, 20, 16)
        column.setSpacing(16)
        column.addLayout(form)
        column.addWidget(note)
        column.addLayout(row(None, cancel, self.open_button, spacing=8))

    def _with_browse(self, field: QLineEdit, action: object) -> QWidget:
        browse = Button(self.tr("Browse…"))
        browse.setAutoDefault(False)
        browse.clicked.connect(action)
        holder = QWidget()
        layout = QHBoxLayout(holder)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(field, 1)
        layout.addWidget(browse)
        return holder

    def _browse_model(self) -> None:
        kinds = " ".join(["*.py", *(f"*{suffix}" for suffix in WHOLE)])
        models = _filter(self.tr("Python and whole models ({kinds})"), kinds)
        path, _ = QFileDialog.getOpenFileName(self, self.tr("Model file"), self._directory, models)
        if path:
            self.model.setText(path)

    def _browse_checkpoint(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, self.tr("Checkpoint"), self._directory, checkpoint_filter())
        if path:
            self.checkpoint.setText(path)

    def _on_model(self, text: str) -> None:
        is_python = text.strip().endswith(".py")
        self.callable.setEnabled(is_python)
        self.callable.clear()
        if is_python:
            self.callable.addItems(callables(self._located(text)))
        self._on_changed()

    def _on_changed(self) -> None:
        self.open_button.setEnabled(bool(self.spec()))

    def _located(self, text: str) -> Path:
        return Path(self._directory, Path(text.strip()).expanduser())

    def _is_whole(self, text: str) -> bool:
        """Whether it names a file or folder that is a model by itself. What another host holds, its suffix says."""
        return text.lower().endswith(WHOLE) or (self._located(text) / _CONFIG).is_file()

    def spec(self) -> str:
        """MODEL as the command line takes it; "" while it is not complete."""
        text = self.model.text().strip()
        if text.endswith(".py"):
            name = self.callable.currentText().strip()
            return f"{text}:{name}" if name else ""
        return text if ":" in text or (text and self._is_whole(text)) else ""

    def setup(self) -> Setup:
        """What to open."""
        checkpoint = self.checkpoint.text().strip() or None
        return Setup(self.spec(), checkpoint, self._directory, self.device.currentText())
