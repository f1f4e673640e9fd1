"""What a person made: which model, in which modes, fed with what.

Plain data, so that a crash of the model cannot take it away.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from modelight.protocol import GradMode, Open, Row, RowState, Source


@dataclass
class Setup:
    """All that is needed to come back to where one was."""

    spec: str
    checkpoint: str | None = None
    directory: str = ""
    device: str = "cpu"
    build_seed: int = 0
    key: str = ""
    """Which state dict of the checkpoint, where it holds several."""
    trust: bool | list[str] = False
    """A person agreed to run code of all files (the command line's ``--trust``), or of those with these hashes."""
    align: bool = False
    """Load tensors of other names as the engine pairs them."""
    partial: bool = False
    """Where shapes differ, load the block that both have."""
    sources: list[Source] = field(default_factory=list)
    """Empty: the model's own example input, or noise where it has none."""
    flags: dict[str, bool] = field(default_factory=dict)
    """Training flag by path, as the engine last said."""
    parameters: dict[str, bool] = field(default_factory=dict)
    """requires_grad of the parameters that were changed by hand."""
    grad_mode: GradMode = "no_grad"
    batch: int = 1
    seed: int = 0
    fresh: bool = False
    """A new seed for every run in place of the same."""
    keep_updates: bool = False
    selection: str = ""

    def command(self, command_id: int) -> Open:
        """The command that opens the model."""
        return Open(
            id=command_id,
            spec=self.spec,
            checkpoint=self.checkpoint,
            directory=self.directory,
            device=self.device,
            seed=self.build_seed,
            trust=self.trust,
            key=self.key,
            align=self.align,
            partial=self.partial,
        )


@dataclass(frozen=True)
class ModeCount:
    """How many distinct modules are in which mode."""

    train: int = 0
    eval: int = 0

    @property
    def name(self) -> str:
        """``train``, ``eval`` or ``mixed``."""
        if self.train and self.eval:
            return "mixed"
        return "train" if self.train else "eval"


def count_modes(states: list[RowState], aliases: set[int]) -> ModeCount:
    """Count modules by flag; ``aliases`` are rows that show a module another row shows already."""
    flags = [state.training for state in states if state.index not in aliases and state.training is not None]
    train = sum(flags)
    return ModeCount(train, len(flags) - train)


def alias_rows(rows: list[Row]) -> set[int]:
    """Rows that show a module which a row before them shows already."""
    seen: set[str] = set()
    aliases = set()
    for index, row in enumerate(rows):
        if any(path in seen for path in row.also_at):
            aliases.add(index)
        seen.add(row.path)
    return aliases
