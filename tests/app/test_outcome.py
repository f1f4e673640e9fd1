"""How a process ended, in a sentence."""

from __future__ import annotations

import signal

from modelight.outcome import Outcome


def test_an_exit_names_its_status() -> None:
    assert "exit status 3" in Outcome(3, False).sentence


def test_a_kill_hints_at_memory() -> None:
    assert "memory" in Outcome(int(signal.SIGKILL), True).sentence


def test_a_segmentation_fault_is_compiled_code() -> None:
    assert "SIGSEGV" in Outcome(int(signal.SIGSEGV), True).sentence


def test_every_end_says_what_to_do() -> None:
    ends = [Outcome(0, False), Outcome(15, True), Outcome(4242, True), Outcome(0, True, problem="Bad stream.")]
    assert all("Restart" in end.sentence for end in ends)
    assert "interpreter" in Outcome(127, False, started=False).sentence
