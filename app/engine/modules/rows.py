"""The rows of the tree: one for every path of every module, and what each does now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from modelight.engine import catalog, collector
from modelight.engine.errors import EngineError
from modelight.engine.modules import flag, hidden, policy, structure
from modelight.engine.modules.skeleton import walk
from modelight.protocol import Clause, Row, RowState

MAX_ALSO = 100
"""Of a module in more places than this, so many are listed."""


class Rows:
    """The module tree of ``root`` as it was registered when this was made.

    A module that is registered under several paths has a row for each, so rows form a tree even where modules do not.
    """

    @collector.paused()
    def __init__(self, root: nn.Module) -> None:
        self.root = root
        self.skeleton = walk(root)
        self.modules: list[nn.Module] = self.skeleton.modules
        self.paths: list[str] = self.skeleton.paths
        self.parents: list[int] = self.skeleton.parents
        self.hidden = hidden.find(self.skeleton)
        """Modules in plain Python containers, which are not in the tree."""
        self.heard: dict[int, list[Clause]] = {}
        """What runs have shown of a module, by its first row. See :meth:`hear`."""
        self._of_path = {path: index for index, path in enumerate(self.paths)}
        self._tensors = self._find_tensors()
        self._trained: list[int] | None = None
        self._trainable: list[int] = []
        self._marks: dict[int, list[Clause]] = {}
        self._own_mode = {index: flag.read(self.modules[index]) for index in self._overriding(range(len(self.modules)))}
        self._known: list[RowState] | None = None
        self._sensitive_below: list[int] = []
        self.rows: list[Row] = self._describe()

    # ------------------------------------------------------------------------------------------------- finding rows

    def index_of(self, module: nn.Module) -> int:
        """The first row that shows ``module``; −1 if it is not in the tree."""
        places = self.skeleton.places.get(id(module))
        return places[0] if places else -1

    def path_of(self, module: nn.Module) -> str:
        """The path of the first row that shows ``module``.

        Raises:
            EngineError: the module is not in the tree.
        """
        index = self.index_of(module)
        if index < 0:
            raise EngineError(f"This {type(module).__name__} is not in the module tree.", kind="run")
        return self.paths[index]

    def by_path(self, path: str) -> int:
        """The row at ``path``.

        Raises:
            EngineError: there is no such row.
        """
        index = self._of_path.get(path)
        if index is None:
            raise EngineError(f"The model has no module at {path!r}.", kind="run", module=path)
        return index

    def places(self, module: nn.Module) -> Sequence[int]:
        """Every row that shows ``module``."""
        return self.skeleton.places.get(id(module), ())

    def below(self, index: int) -> range:
        """The rows of a subtree, its top first."""
        return range(index, self.skeleton.ends[index])

    def outdated(self) -> bool:
        """Whether modules were registered, removed or (lazy ones) given their shape, so that new rows are needed."""
        kinds = [type(module).__name__ for module in self.modules]
        return kinds != [row.type for row in self.rows] or not walk(self.root).same_as(self.skeleton)

    # ------------------------------------------------------------------------------------------------------- states

    def states(self) -> list[RowState]:
        """What every row does now."""
        self._refresh_trainable()
        with collector.paused():
            self._known = [self._state(index) for index in range(len(self.modules))]
        return list(self._known)

    def known(self) -> list[RowState]:
        """The states as they were last computed, which is what the window shows."""
        return self.states() if self._known is None else list(self._known)

    def changed(self, before: Sequence[RowState]) -> list[RowState]:
        """The states that are not what they were ``before``, values of tensors looked at anew."""
        self._forget_values()
        return [now for now, then in zip(self.states(), before, strict=True) if now != then]

    def update(self, indices: Iterable[int]) -> list[RowState]:
        """Compute only these rows anew; those that are not what they were. Cheap where few rows can have changed."""
        known = self._known
        if known is None:
            self.states()
            return []
        self._refresh_trainable()
        changed = []
        for index in sorted(set(indices)):
            now = self._state(index)
            if now != known[index]:
                known[index] = now
                changed.append(now)
        return changed

    def _forget_values(self) -> None:
        self._marks.clear()
        self._tensors = self._find_tensors()
        self._trained = None

    def hear(self, heard: Mapping[str, Sequence[Clause]]) -> list[RowState]:
        """Add to the effect of the modules at these paths what a run has shown (see
        ``modelight.engine.modules.heard``).

        What is known already (from the catalogue, the class's code or an earlier run) is not said twice. Returns the
        states that changed: those modules', and those of what is above a module now known to react.
        """
        touched: set[int] = set()
        for path, clauses in heard.items():
            module = self.modules[self.by_path(path)]
            first = self.index_of(module)
            said = [*catalog.describe(module, 0).effect, *self.heard.get(first, ())]
            new = [clause for clause in clauses if clause not in said]
            if new:
                self.heard[first] = [*self.heard.get(first, ()), *new]
                touched.update(self.places(module))
        self._count_sensitive()
        above = {parent for index in touched for parent in self._above(index)}
        return self.update(touched | above)

    def _above(self, index: int) -> Iterator[int]:
        while index > 0:
            index = self.parents[index]
            yield index

    def _heard_reading(self, first: int) -> bool:
        """Whether only a run has shown that the module reads its flag."""
        return not self.rows[first].sensitive and any(clause.id == "reads-flag" for clause in self.heard.get(first, ()))

    def _count_sensitive(self) -> None:
        """How many distinct modules of each subtree may react: by the catalogue, or heard reading their flag."""
        self._sensitive_below = self.skeleton.totals(
            (places, 1)
            for places in self.skeleton.places.values()
            if self.rows[places[0]].sensitive or self._heard_reading(places[0])
        )

    def _state(self, index: int) -> RowState:
        module = self.modules[index]
        below = self._sensitive_below[index] - (bool(self.heard) and self._heard_reading(self.index_of(module)))
        behaviour = catalog.describe(module, below)
        effect, other = behaviour.effect, behaviour.other
        more = self._more(module)
        if more:
            # That only the flag was written puts a question mark behind all the rest: it is said first.
            first = [clause for clause in more if clause.id == "flag-only"]
            rest = [clause for clause in more if clause.id != "flag-only"]
            effect, other = [*first, *effect, *rest], [*first, *other, *rest]
        own = [tensor for tensor in module._parameters.values() if tensor is not None]
        return RowState(
            index=index,
            training=flag.read(module),
            effect=effect,
            other=other,
            trainable=self._trainable[index],
            own_parameters=len(own),
            own_trainable=sum(tensor.requires_grad for tensor in own),
            marks=self._marks_of(module),
        )

    def reached(self, index: int) -> None:
        """The modules of this subtree are in modes that their own ``train()`` brought them to."""
        self._own_mode.update((at, flag.read(self.modules[at])) for at in self._overriding(self.below(index)))

    def _overriding(self, indices: Iterable[int]) -> list[int]:
        """First rows of the modules whose class does more in ``train()`` or ``eval()`` than write flags."""
        firsts = (self.index_of(self.modules[index]) for index in indices)
        return [first for first in firsts if structure.overridden(self.modules[first]) is not None]

    def _more(self, module: nn.Module) -> list[Clause]:
        """What runs have shown of a module, and whether its flag was written past its own ``train()``."""
        if not self.heard and not self._own_mode:
            return []
        first = self.index_of(module)
        more = list(self.heard.get(first, ()))
        if first in self._own_mode and self._own_mode[first] != flag.read(module):
            more.append(Clause("flag-only", {"source": structure.overridden(module)}))
        return more

    def _marks_of(self, module: nn.Module) -> list[Clause]:
        if "running_mean" in module._buffers:
            return policy.marks(module)  # a run that keeps its updates moves them
        found = self._marks.get(id(module))
        if found is None:
            found = self._marks[id(module)] = policy.marks(module)
        return found

    # ----------------------------------------------------------------------------------------------------- building

    def _find_tensors(self) -> list[tuple[torch.Tensor, list[int]]]:
        """Every parameter with the rows of the modules that hold it."""
        found: dict[int, tuple[torch.Tensor, list[int]]] = {}
        for index, module in enumerate(self.modules):
            if module._parameters:
                for tensor in module._parameters.values():
                    if tensor is not None:
                        found.setdefault(id(tensor), (tensor, []))[1].append(index)
        return list(found.values())

    def _refresh_trainable(self) -> None:
        trained = [elements(tensor) if tensor.requires_grad else 0 for tensor, _ in self._tensors]
        if trained != self._trained:
            self._trained = trained
            places = (rows for _, rows in self._tensors)
            self._trainable = self.skeleton.totals(zip(places, trained, strict=True))

    def _describe(self) -> list[Row]:
        places = self.skeleton.places
        behaviours = [catalog.describe(module, 0) for module in self.modules]
        sensitive = [(rows, 1) for rows in places.values() if behaviours[rows[0]].sensitive]
        self._sensitive_below = self.skeleton.totals(sensitive)
        parameters = self.skeleton.totals((rows, elements(tensor)) for tensor, rows in self._tensors)
        notes = structure.notes(self)
        return [
            Row(
                path=path,
                name=self.skeleton.names[index],
                parent=self.parents[index],
                type=type(module).__name__,
                qualified=f"{type(module).__module__}.{type(module).__qualname__}",
                parameters=parameters[index],
                sensitive=behaviours[index].sensitive,
                sensitive_below=self._sensitive_below[index],
                kind=behaviours[index].kind,
                also_at=[self.paths[other] for other in places[id(module)][:MAX_ALSO] if other != index],
                notes=notes.get(path, []),
            )
            for index, (path, module) in enumerate(zip(self.paths, self.modules, strict=True))
        ]


def elements(tensor: torch.Tensor) -> int:
    """How many values a tensor holds; 0 while a lazy layer has not seen its first input."""
    return 0 if is_lazy(tensor) else tensor.numel()
