"""What the pages look back on, and what they must not mix."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelight.present.history import RunHistory
from tests.app.frames import frame, output


def of(value: float, runs: int = 1, **more: object) -> object:
    return frame([output(np.full((runs, 2, 2), value))], **more)  # type: ignore[arg-type]


def values(frame: Any) -> float:
    return float(frame.outputs[0].values.numpy().max())


def test_runs_with_other_seeds_add_up_and_the_same_seed_replaces() -> None:
    history = RunHistory()
    history.add(of(1.0, seed=0))
    history.add(of(2.0, seed=1))
    assert history.runs == 2
    history.add(of(3.0, seed=0))  # the same run again is no further evidence
    assert history.runs == 2
    assert [old.seed for old in history.frames] == [1, 0]


def test_a_run_that_overlaps_others_replaces_all_of_them() -> None:
    history = RunHistory()
    history.add(of(1.0, runs=4, seed=0))
    history.add(of(1.0, runs=4, seed=2))
    assert history.runs == 4


def test_it_holds_the_last_64_runs() -> None:
    history = RunHistory()
    for seed in range(100):
        history.add(of(1.0, seed=seed))
    assert history.runs == 64
    assert history.frames[0].seed == 36
    history.clear()
    for seed in range(0, 160, 16):
        history.add(of(1.0, runs=16, seed=seed))
    assert history.runs == 64


def test_a_flip_sets_the_old_runs_aside_as_before() -> None:
    history = RunHistory()
    history.add(of(1.0, train=3, eval=0))
    history.flags_changed()
    assert history.newest is None
    history.add(of(2.0, train=0, eval=3))
    mode, before = history.before()
    assert (history.mode, mode) == ("eval", "train")
    assert [old.train for old in before] == [3]


def test_a_flip_back_finds_the_other_mode_again() -> None:
    history = RunHistory()
    history.add(of(1.0, train=3, eval=0))
    history.add(of(2.0, train=0, eval=3))  # flags differ: noticed without being told
    history.add(of(3.0, train=3, eval=0))
    assert history.before()[0] == "eval"
    assert history.runs == 1


def test_mixed_looks_back_at_the_mode_left_last() -> None:
    history = RunHistory()
    history.add(of(1.0, train=3, eval=0))
    history.add(of(2.0, train=0, eval=3))
    history.add(of(3.0, train=1, eval=2))
    assert history.mode == "mixed"
    assert history.before()[0] == "eval"


def test_another_grad_mode_counts_anew_and_keeps_before() -> None:
    history = RunHistory()
    history.add(of(1.0, train=3, eval=0))
    history.add(of(2.0, train=0, eval=3))
    history.add(of(2.0, train=0, eval=3, grad_mode="enabled"))
    assert history.runs == 1
    assert history.before()[0] == "train"


def test_another_batch_size_forgets_before() -> None:
    history = RunHistory()
    history.add(of(1.0, train=3, eval=0, batch=1))
    history.add(of(2.0, train=0, eval=3, batch=2))
    assert history.before() == (None, ())


def test_kept_updates_make_another_model() -> None:
    history = RunHistory()
    history.add(of(1.0, seed=0, kept=True))
    history.add(of(1.0, seed=1, kept=True))
    assert history.runs == 1


def test_a_forced_run_is_neither_present_nor_before() -> None:
    history = RunHistory()
    history.add(of(1.0, train=0, eval=3))
    history.add(of(2.0, train=3, eval=0, force=True))
    assert history.mode == "eval"
    assert history.before() == (None, ())
    mode, beside = history.other()
    assert mode == "train" and beside is not None and beside.force is True
    history.add(of(1.0, train=0, eval=3, batch=2))
    assert history.other() == (None, None)


def test_without_a_forced_run_the_other_mode_is_what_was_before() -> None:
    history = RunHistory()
    history.add(of(1.0, train=3, eval=0))
    history.add(of(1.0, train=0, eval=3))
    mode, beside = history.other()
    assert mode == "train" and beside is not None and beside.train == 3


def test_runs_whose_updates_were_kept_are_no_comparison() -> None:
    history = RunHistory()
    history.add(of(1.0, train=3, eval=0, kept=True))
    history.add(of(1.0, train=0, eval=3))
    assert history.before()[0] == "train"
    assert history.other() == (None, None)


def test_another_input_forgets_everything() -> None:
    history = RunHistory()
    history.add(of(1.0))
    history.flags_changed()
    history.clear()
    assert history.newest is None
    assert history.before() == (None, ())
    assert history.mode is None


def test_what_the_flags_alone_gave_stays_beside_what_a_class_s_own_train_gives() -> None:
    history = RunHistory()
    history.add(of(1.0, train=3, eval=0))
    history.flags_changed()
    history.add(of(2.0, train=0, eval=3))
    history.flags_changed()
    history.own_train_called()
    history.add(of(4.0, train=0, eval=3))
    mode, before = history.before()
    assert mode == history.mode == "eval" and history.is_beside_flags_alone
    assert [values(old) for old in before] == [2.0] and values(history.newest) == 4.0
    history.flags_changed()
    history.add(of(1.0, train=3, eval=0))
    assert history.before()[0] == "eval" and not history.is_beside_flags_alone


def test_an_own_train_that_leads_to_another_mode_stands_beside_that_mode() -> None:
    history = RunHistory()
    history.add(of(1.0, train=3, eval=0))
    history.flags_changed()
    history.own_train_called()
    history.add(of(4.0, train=0, eval=3))
    assert not history.is_beside_flags_alone and history.before()[0] == "train"
