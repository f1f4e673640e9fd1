"""*Open model*: which file or package, which callable in it, with which checkpoint, on which device."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
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

CHECKPOINTS = "*.pt *.pth *.bin *.ckpt *.safetensors"


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
        self.checkpoint.setPlaceholderText(self.tr("none: the weights that the callable makes"))
        self.device = ComboBox()
        self.device.addItems(devices or ["cpu"])
        self._assemble()
        self.model.textChanged.connect(self._on_model)
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
            self.tr("The file is run in a process of its own. Arguments may follow the name: Net(classes=10)."),
            12,
            tone="text2",
            wrap=True,
        )
        self._buttons = QDialogButtonBox()
        self._buttons.addButton(Button(self.tr("Cancel")), QDialogButtonBox.ButtonRole.RejectRole)
        self.open_button = Button(self.tr("Open"), "primary")
        self.open_button.setObjectName("open-accept")
        self.open_button.setDefault(True)
        self._buttons.addButton(self.open_button, QDialogButtonBox.ButtonRole.AcceptRole)
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 20, 20, 16)
        column.setSpacing(16)
        column.addLayout(form)
        column.addWidget(note)
        column.addWidget(self._buttons)

    def _with_browse(self, field: QLineEdit, action: object) -> QWidget:
        browse = Button(self.tr("Browse…"))
        browse.setAutoDefault(False)
        browse.clicked.connect(action)
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(field, 1)
        layout.addWidget(browse)
        return row

    def _browse_model(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, self.tr("Model file"), self._directory, "Python (*.py)")
        if path:
            self.model.setText(path)

    def _browse_checkpoint(self) -> None:
        title, kinds = self.tr("Checkpoint"), self.tr("Checkpoints ({kinds})").format(kinds=CHECKPOINTS)
        path, _ = QFileDialog.getOpenFileName(self, title, self._directory, kinds)
        if path:
            self.checkpoint.setText(path)

    def _on_model(self, text: str) -> None:
        path = Path(text)
        is_file = text.endswith(".py")
        self.callable.setEnabled(is_file)
        self.callable.clear()
        if is_file:
            self.callable.addItems(callables(path))
        self.open_button.setEnabled(bool(self.spec()) or (is_file and path.is_file()))

    def spec(self) -> str:
        """MODEL as the command line takes it; "" while it is not complete."""
        text = self.model.text().strip()
        if text.endswith(".py"):
            name = self.callable.currentText().strip()
            return f"{text}:{name}" if name else ""
        return text if ":" in text else ""

    def setup(self) -> Setup:
        """What to open."""
        checkpoint = self.checkpoint.text().strip() or None
        return Setup(self.spec(), checkpoint, self._directory, self.device.currentText())
