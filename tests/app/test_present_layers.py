"""Where train and eval first part."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from modelight.present.history import RunHistory
from modelight.present.layers import layers_data
from modelight.protocol import Clause, ModuleCapture
from modelight.widgets.layers_data import LayersData
from tests.app.frames import capture, drop, frame, output, row

ROWS = [
    row("", "Net", -1),
    row("conv", "Conv2d"),
    row("bn", "BatchNorm2d"),
    row("attn", "Attention"),
    row("attn.out", "Linear", 3),
]
BASE = np.linspace(-1, 1, 200)
LAST = 9


def captures(
    shift: float, at: int = 2, base: np.ndarray[tuple[int], np.dtype[np.float64]] = BASE
) -> list[ModuleCapture]:
    """Outputs that are moved from row ``at`` on; the root carries the last."""
    made = [
        capture(index, BASE + (shift if index >= at or index == 0 else 0.0), order=index or LAST) for index in range(4)
    ]
    return [*made, capture(4, None, calls=0, unseen=Clause("not-called"))]


def shown(train: list[ModuleCapture], evaluated: list[ModuleCapture], seed: int = 0, **more: object) -> LayersData:
    history = RunHistory()
    field = output(np.zeros((1, 2, 2)))
    history.add(frame([field], train=3, eval=0, modules=train, seed=seed, **more))
    history.flags_changed()
    history.add(frame([field], train=0, eval=3, modules=evaluated, **more))
    data = layers_data(history, ROWS, "net")
    assert data is not None
    return data


def parted(data: LayersData) -> list[str]:
    return [one.path for one in data.rows if one.parts]


def test_the_first_layer_is_marked_and_only_it() -> None:
    data = shown(captures(0.3), captures(0.0))
    assert (data.mode, data.other_mode) == ("eval", "train")
    assert parted(data) == ["bn"]


def test_a_small_shift_counts_when_the_draws_were_the_same() -> None:
    assert parted(shown(captures(0.002), captures(0.0))) == ["bn"]


def drawing(row: int) -> dict[str, object]:
    return {"dropouts": [drop(row, ROWS[row].path, [[1, 0]], 0.5)], "random": True}


def test_a_small_shift_may_be_chance_where_other_numbers_were_drawn_before() -> None:
    assert parted(shown(captures(0.002), captures(0.0), seed=5, **drawing(1))) == []
    assert parted(shown(captures(0.3), captures(0.0), seed=5, **drawing(1))) == ["bn"]


def test_what_is_drawn_behind_a_layer_explains_nothing_in_it() -> None:
    assert parted(shown(captures(0.002), captures(0.0), seed=5, **drawing(3))) == ["bn"]


def test_with_draws_of_unknown_place_only_large_differences_count() -> None:
    assert parted(shown(captures(0.002), captures(0.0), seed=5, random=True)) == []
    assert parted(shown(captures(0.002), captures(0.0), seed=5, **drawing(0))) == []
    assert parted(shown(captures(0.3), captures(0.0), seed=5, random=True)) == ["bn"]


def test_of_few_values_chance_alone_moves_a_mean_far() -> None:
    few = np.linspace(-1, 1, 16)

    def modules(shift: float) -> list[ModuleCapture]:
        return [capture(0, few + shift, order=LAST), capture(1, few + shift, order=1)]

    assert parted(shown(modules(0.3), modules(0.0), seed=5, **drawing(1))) == []
    assert parted(shown(modules(0.3), modules(0.0))) == ["conv"]
    assert shown(modules(0.3), modules(0.0), seed=5, **drawing(1)).by_chance
    assert not shown(modules(0.3), modules(0.0)).by_chance


def test_what_a_container_draws_explains_nothing_before_it() -> None:
    """It may have drawn before its layers ran, but not before what ran earlier."""
    rows = [row("", "Net", -1), row("0", "Careful"), row("1", "Forgetful"), row("1.branch", "Linear", 2)]
    order = {1: 0, 3: 1, 2: 2, 0: 3}
    drawn = {"dropouts": [drop(2, "1", [[1, 0]], 0.5)], "random": True}

    def parting(small_at: int) -> list[str]:
        history = RunHistory()
        for train, seed in ((3, 5), (0, 0)):
            shift = {index: 0.002 if train and order[index] >= order[small_at] else 0.0 for index in order}
            modules = [capture(index, BASE + shift[index], order=place) for index, place in order.items()]
            history.flags_changed()
            history.add(
                frame([output(np.zeros((1, 2, 2)))], train=train, eval=3 - train, modules=modules, seed=seed, **drawn)
            )
        data = layers_data(history, rows, "net")
        assert data is not None
        return parted(data)

    assert parting(1) == ["0"]
    assert parting(3) == []


def test_of_the_runs_that_are_there_the_one_with_the_same_draws_is_compared() -> None:
    history = RunHistory()
    field = output(np.zeros((1, 2, 2)))
    history.add(frame([field], train=0, eval=3, modules=captures(0.0), **drawing(1)))
    history.add(frame([field], train=0, eval=3, modules=captures(9.0, at=1), seed=1, repeats=15, **drawing(1)))
    history.add(frame([field], train=3, eval=0, modules=captures(0.002), force=True, **drawing(1)))
    data = layers_data(history, ROWS, "net")
    assert data is not None and parted(data) == ["bn"] and not data.by_chance
    assert data.rows[1].now is not None and data.rows[1].now.mean == pytest.approx(0.0, abs=1e-9)


def test_where_nothing_was_drawn_seeds_do_not_matter() -> None:
    assert parted(shown(captures(0.002), captures(0.0), seed=5)) == ["bn"]


def test_rounding_does_not_count() -> None:
    assert parted(shown(captures(1e-6), captures(0.0))) == []


def test_a_module_whose_children_were_not_called_is_a_layer() -> None:
    assert parted(shown(captures(0.3, at=3), captures(0.0))) == ["attn"]


def test_what_a_block_does_between_its_layers_is_its_own() -> None:
    """A branch that is skipped, or dropped by a function: the next layer is only given the difference."""
    rows = [row("", "Net", -1), row("0", "Block"), row("0.branch", "Linear", 1), row("1", "Linear")]
    returned = {2: 0, 1: 1, 3: 2, 0: 3}

    def modules(shift: float) -> list[ModuleCapture]:
        return [capture(index, BASE + (0.0 if index == 2 else shift), order=place) for index, place in returned.items()]

    history = RunHistory()
    field = output(np.zeros((1, 2, 2)))
    history.add(frame([field], train=3, eval=0, modules=modules(0.3)))
    history.flags_changed()
    history.add(frame([field], train=0, eval=3, modules=modules(0.0)))
    data = layers_data(history, rows, "net")
    assert data is not None and parted(data) == ["0"]


def test_not_a_number_in_one_mode_parts() -> None:
    broken = np.append(BASE, np.nan)
    train = captures(0.0)
    train[1] = capture(1, broken)
    assert parted(shown(train, captures(0.0))) == ["conv"]


def test_first_is_what_ran_first_not_what_was_registered_first() -> None:
    train, evaluated = ([replace(one, order=3 - one.row) for one in made] for made in (captures(0.3), captures(0.0)))
    assert parted(shown(train, evaluated)) == ["attn"]


def test_what_was_not_called_says_so() -> None:
    data = shown(captures(0.0), captures(0.0))
    blank = data.rows[4]
    assert (blank.calls, blank.now) == (0, None)
    assert blank.words
    assert data.rows[0].name == "net"


def test_one_mode_alone() -> None:
    history = RunHistory()
    assert layers_data(history, ROWS) is None
    history.add(frame([output(np.zeros((1, 2, 2)))], modules=captures(0.0)))
    data = layers_data(history, ROWS)
    assert data is not None
    assert data.other_mode is None
    assert parted(data) == []
    now = data.rows[1].now
    assert now is not None and now.mean is not None and now.std is not None
    assert (round(now.mean, 9), round(now.std, 6)) == (0.0, round(float(BASE.std()), 6))


def test_a_list_of_modules_that_is_never_called_has_no_row_where_its_modules_were() -> None:
    rows = [row("", "Net", -1), row("h", "ModuleList"), row("h.0", "Linear", 1), row("idle", "Linear")]
    never = Clause("not-called")
    modules = [
        capture(0, [1.0]),
        ModuleCapture(1, 0, unseen=never),
        capture(2, [1.0]),
        ModuleCapture(3, 0, unseen=never),
    ]
    history = RunHistory()
    history.add(frame([output(np.zeros((1, 2, 2)))], modules=modules))
    data = layers_data(history, rows)
    assert data is not None
    assert [one.path for one in data.rows] == ["", "h.0", "idle"]
