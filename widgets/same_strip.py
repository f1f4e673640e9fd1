"""The strip that answers *Same input, same answer?*: three questions on one axis, the verdict a verb and a figure."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from modelight.widgets import numbers
from modelight.widgets.answer_strip import AnswerStrip, Spoken
from modelight.widgets.counted import counted
from modelight.widgets.output_data import SameRow


def two_figures(low: float, high: float, bounded: bool) -> tuple[str, str]:
    """Both figures with as many decimals as tell them apart."""
    for digits in range(2, 8):
        texts = [f"{value:.{digits}f}" if bounded else numbers.figure(value, digits + 1) for value in (low, high)]
        if texts[0] != texts[1]:
            break
    return texts[0].replace("-", numbers.MINUS), texts[1].replace("-", numbers.MINUS)


def difference(value: float, bounded: bool) -> str:
    """A difference of two shown figures: 0.07, or as many decimals as it needs."""
    return f"{value:.2f}" if bounded and value >= 0.005 else numbers.figure(value, 2)


class SameStrip(AnswerStrip[SameRow]):
    """Three questions about one answer."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("same-answer", parent)

    def question(self, row: SameRow) -> tuple[str, str]:
        """The question and what was done for it."""
        if row.question == "again":
            return self.tr("Run it again"), self._runs(row.count)
        if row.question == "company":
            if not row.others:
                return self.tr("Run it in company"), self.tr("needs a second sample")
            return self.tr("Run it in company"), counted(
                row.others, self.tr("alone, then with %1 other"), self.tr("alone, then among %1 others")
            )
        caption = counted(row.count, self.tr("%1 input"), self.tr("%1 inputs"))
        if row.others:
            caption = self.tr("%1, %2 of them noise").replace("%1", caption).replace("%2", numbers.count(row.others))
        return self.tr("Run another input"), caption

    def _runs(self, count: int) -> str:
        return counted(count, self.tr("%1 run of the first sample"), self.tr("%1 runs of the first sample"))

    def verdict(self, row: SameRow) -> Spoken:
        """What the answers say."""
        low, high = two_figures(row.low, row.high, self._bounded)
        by = difference(row.high - row.low, self._bounded)
        if row.verdict == "exact":
            return Spoken(self.tr("Same"), self.tr(", bit for bit"), "good")
        if row.verdict == "rounding":
            return Spoken(self.tr("Same"), self.tr(", up to rounding"), "good")
        if row.verdict == "noise":
            return Spoken(self.tr("Differs"), self.tr(" as repeats do"), "none")
        if row.verdict == "moves":
            return Spoken(self.tr("Moves"), self.tr(", %1 to %2").replace("%1", low).replace("%2", high), "good")
        if row.verdict == "hardly":
            return Spoken(self.tr("Hardly moves"), self.tr(", %1").replace("%1", by), "bad")
        if row.verdict == "nan":
            return Spoken(self.tr("Not a number"), self.tr(" among the answers"), "bad")
        if row.verdict == "none":
            return Spoken(self.tr("Not asked"), "", "none")
        if row.question == "company":
            return Spoken(self.tr("Differs"), self.tr(", %1 → %2").replace("%1", low).replace("%2", high), "bad")
        text = self.tr(", a value by up to %1") if row.each else self.tr(" by %1")
        return Spoken(self.tr("Differs"), text.replace("%1", by), "bad")
