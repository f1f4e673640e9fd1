"""The bars below the toolbar: what went wrong, with a way on; what was done; what is being done just now."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QVBoxLayout, QWidget

from modelight.consent import Consent
from modelight.offers import Offer, of_problem, of_report
from modelight.phrases import phrase
from modelight.problems import Problem
from modelight.protocol import InputInfo, LoadReport, Opened
from modelight.session import Session
from modelight.settings import Settings
from modelight.widgets.banner import Banner, ProgressStrip
from modelight.widgets.numbers import shape

SHOWN_KEYS = 4


PROGRESS_AFTER_MS = 600
"""What is over sooner needs no progress: a bar that flashes says nothing."""


class Messages(QWidget):
    """One bar for problems and one for notices. ``progress`` floats over the foot of the window, so that nothing
    jumps."""

    def __init__(self, session: Session, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._settings = session, settings
        self._consent: Consent | None = None
        self._offers: dict[str, Offer] = {}
        self._loaded: tuple[str, str, list[tuple[str, str]]] = ("", "", [])
        """What was said of the checkpoint: sentence, details, buttons. Words on the input must not hide it."""
        self.trouble = Banner()
        self.notes = Banner()
        self.notes.setObjectName("notice")
        self.progress = ProgressStrip()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for bar in (self.trouble, self.notes):
            column.addWidget(bar)
        self._said: tuple[str, float | None] = ("", None)
        self._due = QTimer(self, singleShot=True, interval=PROGRESS_AFTER_MS)
        self._due.timeout.connect(lambda: self.progress.show_progress(*self._said))
        self.trouble.button_pressed.connect(self._on_button)
        self.notes.button_pressed.connect(self._on_button)
        session.consent_needed.connect(self._on_consent)
        session.problem.connect(self._on_problem)
        session.opening.connect(self._on_opening)
        session.opened.connect(self._on_opened)
        session.input_changed.connect(self._on_input)
        session.progress.connect(self._on_progress)
        session.cycle.stuck.connect(self._on_stuck)
        session.cycle.frame.connect(self._on_frame)
        self.progress.cancel_requested.connect(session.cancel_all)

    def problem(self, text: str) -> None:
        """Say what went wrong, where nothing but words can be offered."""
        self.trouble.show_message("problem", text)

    def notice(self, text: str, details: str = "") -> None:
        """Say what was done."""
        self.notes.show_message("notice", text, details)

    def _on_problem(self, problem: Problem) -> None:
        buttons = (
            [("restart", self.tr("Restart"))] if problem.fatal else self._offer(of_problem(self._session, problem))
        )
        self.trouble.show_message("problem", problem.sentence, problem.details, buttons, not problem.fatal)

    def _on_button(self, name: str) -> None:
        self.trouble.clear()
        if name == "restart":
            self._session.restart()
        elif name == "stop-process":
            self._session.stop_process()
        elif name == "reload":
            self.notes.clear()
            self._session.reload()
        elif name == "consent" and self._consent is not None:
            self._settings.trust(self._consent.sha256)
            self._consent.agree()
        elif (offer := self._offers.get(name)) is not None:
            self.notes.clear()
            self._loaded = ("", "", [])
            offer.take()

    def _offer(self, offers: list[Offer]) -> list[tuple[str, str]]:
        """Buttons for what can be done about the checkpoint."""
        self._offers = {offer.name: offer for offer in offers}
        return [(offer.name, offer.text) for offer in offers]

    def _on_consent(self, consent: Consent) -> None:
        self._consent = consent
        buttons = [("consent", self.tr("Run its code and open"))]
        self.trouble.show_message("problem", consent.sentence, "\n".join(consent.globals), buttons)

    def offer_reload(self, name: str) -> None:
        """A file of the model has changed."""
        text = self.tr("{name} has changed. Reload builds the model anew; the modes and the input stay.")
        self.notes.show_message("notice", text.format(name=name), buttons=[("reload", self.tr("Reload"))])

    def _on_opening(self, spec: str) -> None:
        self.trouble.clear()
        self.notes.clear()
        self._on_progress(self.tr("Starting the model process for {spec}").format(spec=spec), None)

    def _on_opened(self, opened: Opened) -> None:
        words, details, offers = [phrase(note) for note in opened.notes], "", []
        if opened.report is not None:
            text, details = report_words(opened.report)
            words, offers = [*words, *([text] if text else [])], of_report(self._session, opened.report)
        self._loaded = (" ".join(words), details, self._offer(offers))
        if words:
            self.notes.show_message("notice", *self._loaded[:2], buttons=self._loaded[2])

    def _on_input(self, info: InputInfo | None) -> None:
        words = [phrase(note) for note in info.notes] if info is not None else []
        if words:
            text, details, buttons = self._loaded
            self.notes.show_message("notice", " ".join([text, *words]).strip(), details, buttons=buttons)

    def _on_progress(self, text: str, fraction: float | None) -> None:
        self._said = (text, fraction)
        if not text:
            self._due.stop()
            self.progress.clear()
        elif self.progress.isVisible():
            self.progress.show_progress(text, fraction)
        elif not self._due.isActive():
            self._due.start()

    def _on_stuck(self) -> None:
        self.trouble.show_message(
            "problem",
            self.tr("The model does not stop: it is inside one long call. Its process can be ended; nothing is lost."),
            buttons=[("stop-process", self.tr("End the model process"))],
        )

    def _on_frame(self) -> None:
        # A run that works has answered whatever the last one complained about.
        if self.trouble.text() and not self._session.cycle.live:
            self.trouble.clear()


def report_words(report: LoadReport) -> tuple[str, str]:
    """The load report as a sentence and its whole; empty where every key found its place and nothing is remarkable."""
    parts = [
        _part(report.missing, "{n} {keys} of the model {are} missing in the checkpoint"),
        _part(report.unexpected, "{n} {keys} of the checkpoint {are} unknown to the model"),
        _part(
            [name for name, _, _ in report.mismatched if name not in report.partial],
            "{n} {have} another shape and {were} not loaded",
        ),
    ]
    notes = [phrase(note) for note in report.notes]
    said = [part for part in parts if part]
    sentence = " ".join([*(["Loaded with gaps: " + "; ".join(said) + "."] if said else []), *notes])
    return sentence, _details(report) if sentence else ""


def _part(keys: list[str], words: str) -> str:
    if not keys:
        return ""
    shown = ", ".join(keys[:SHOWN_KEYS]) + ("…" if len(keys) > SHOWN_KEYS else "")
    one = len(keys) == 1
    forms = zip(("keys", "are", "have", "were"), ("key", "is", "has", "was"), strict=True)
    words = words.format(n=len(keys), **{many: single if one else many for many, single in forms})
    return f"{words} ({shown})"


def _details(report: LoadReport) -> str:
    lines = [f"{report.path} ({report.format}), {report.loaded} tensors loaded"]
    if report.wrapper:
        lines.append(f"found under: {report.wrapper}")
    if report.prefix:
        lines.append(f"prefix taken off: {report.prefix}")
    lines += [f"missing: {name}" for name in report.missing]
    lines += [f"unexpected: {name}" for name in report.unexpected]
    lines += _by_layer(report)
    lines += [f"may be the same: {theirs} → {ours} ({WHY[why]})" for theirs, ours, why in report.proposed]
    lines += [f"loaded as aligned: {theirs} → {ours} ({WHY[why]})" for theirs, ours, why in report.aligned]
    return "\n".join(lines)


WHY = {"shape": "fits nowhere else", "name": "likest name", "order": "by order alone"}


def _by_layer(report: LoadReport) -> list[str]:
    """Tensors of other shapes, under the layer that they belong to."""
    layers: dict[str, list[str]] = {}
    for name, there, here in report.mismatched:
        layer, _, last = name.rpartition(".")
        done = "the overlap was loaded" if name in report.partial else "not loaded"
        words = f"    {last}: {shape(there)} in the checkpoint, {shape(here)} in the model; {done}"
        layers.setdefault(layer, []).append(words)
    return [
        line for layer, lines in layers.items() for line in (f"other shapes in {layer or 'the model itself'}:", *lines)
    ]
