"""Repeatability: the same input with the same seed, with others, and with one generator seeded otherwise."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from modelight.widgets.answer_strip import AnswerStrip, Spoken
from modelight.widgets.counted import counted
from modelight.widgets.experiment_section import ExperimentSection, amount, filled, named, subject_words
from modelight.widgets.experiments_data import RepeatData, RepeatRow, Subject
from modelight.widgets.sections import Heading

_GLOBAL = {"torch": "torch", "numpy": "numpy", "random": "Python"}


class SourceStrip(AnswerStrip[RepeatRow]):
    """The answers to each question as ticks, and what they say."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("repeatability", parent)
        self._subject = Subject("value")

    def set_subject(self, subject: Subject) -> None:
        """What the answers are."""
        self._subject = subject

    def question(self, row: RepeatRow) -> tuple[str, str]:
        runs = counted(row.count, self.tr("%1 run"), self.tr("%1 runs"))
        seeds = counted(row.count, self.tr("%1 seed, all else equal"), self.tr("%1 seeds, all else equal"))
        if row.question == "same":
            return self.tr("Same seed"), runs
        if row.question == "other":
            return self.tr("Another seed each time"), runs
        return self.tr("Only %1 reseeded").replace("%1", _GLOBAL.get(row.question, row.question)), seeds

    def verdict(self, row: RepeatRow) -> Spoken:
        if row.differs is None:
            return Spoken(self.tr("Cannot be told"), "", "none")
        if not row.differs:
            drew = row.question in ("same", "other") or row.drew
            return Spoken(self.tr("Same"), self.tr(", bit for bit") if drew else self.tr(", nothing is drawn"), "good")
        by = amount(row.apart, self._subject)
        return Spoken(self.tr("Differs"), self.tr(" by %1").replace("%1", by) if row.apart else "", "bad")


class RepeatSection(ExperimentSection):
    """Shows :class:`RepeatData`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.heading, self.strip = Heading(), SourceStrip()
        self.pictures.addWidget(self.heading)
        self.pictures.addSpacing(4)
        self.pictures.addWidget(self.strip)
        self.set_texts(
            self.tr("Repeatability"),
            self.tr("Is the same input answered the same again? If not, which module draws, and from which generator?"),
        )

    def set_data(self, data: RepeatData) -> None:
        """Show what was found."""
        self.show_verdict(self.verdict_text(data), data.outdated)
        title = subject_words(data.subject)
        samples = counted(data.samples, self.tr("one sample per forward"), self.tr("first of %1 samples per forward"))
        how = self.tr("%1, %2, seed %3")
        mode = {"train": self.tr("in train"), "eval": self.tr("in eval"), "mixed": self.tr("in mixed modes")}[data.mode]
        how = filled(how, samples, mode, str(data.seed))
        self.heading.set_text(title[:1].upper() + title[1:], how)
        self.strip.set_subject(data.subject)
        self.strip.set_data(data.rows, data.mode, data.subject.bounded)

    # -------------------------------------------------------------------------------------------------------- sentences

    def verdict_text(self, data: RepeatData) -> str:
        """Whether it repeats, and who decides."""
        same, other = data.rows[:2]
        parts = [self._same(same)]
        if same.differs or other.differs:
            parts += [self._source(row) for row in data.sources if row.differs]
            parts += [self._untold(data)] if same.differs else []
        else:
            parts.append(self._nothing_drawn(data))
        return " ".join(part for part in parts if part)

    def _same(self, same: RepeatRow) -> str:
        if not same.differs:
            return self.tr("**Same seed, same answer**, bit for bit.")
        text = self.tr(
            "**Same seed, another answer:** with torch, numpy, Python and the model's own generators all seeded alike "
            "the answer still differs%1. Something else decides: a generator made anew or kept elsewhere, the clock, "
            "or an operator that is not deterministic."
        )
        where = self.tr(", first at **%1**").replace("%1", named(same.first)) if same.first is not None else ""
        return text.replace("%1", where)

    def _source(self, row: RepeatRow) -> str:
        text = self.tr("**%1** decides%2.") if row.first is not None else self.tr("**%1** decides.")
        if row.owned:
            text = self.tr("**%1**, a generator that the model owns and no global seed reaches, decides%2.")
        where = (
            self.tr(": **%1** is the first to differ").replace("%1", named(row.first)) if row.first is not None else ""
        )
        return filled(text, self._generator(row), where)

    def _generator(self, row: RepeatRow) -> str:
        return {
            "torch": self.tr("torch's generator"),
            "numpy": self.tr("numpy's generator"),
            "random": self.tr("Python's random"),
        }.get(row.question, row.question)

    def _untold(self, data: RepeatData) -> str:
        untold = [self._generator(row) for row in data.sources if row.differs is None and row.drew]
        if not untold:
            return ""
        return self.tr("Whether %1 matters too cannot be told apart from that.").replace("%1", ", ".join(untold))

    def _nothing_drawn(self, data: RepeatData) -> str:
        if any(row.differs for row in data.sources):
            return " ".join(self._source(row) for row in data.sources if row.differs)
        drew = [self._generator(row) for row in data.sources if row.drew]
        if drew:
            text = self.tr("Another seed changes nothing either, though the run draws from %1.")
            return text.replace("%1", ", ".join(drew))
        return self.tr("Another seed changes nothing either: nothing is drawn.")
