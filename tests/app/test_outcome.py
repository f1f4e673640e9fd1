"""How a process ended, in a sentence."""

from __future__ import annotations

import signal

import pytest

from modelight.outcome import Outcome, garbage

NEEDS = "It needs Python 3.11 or later with modelight, torch 2.6 or later, numpy, msgspec, safetensors and pillow"


def test_an_exit_names_its_status() -> None:
    assert "exit status 3" in Outcome(3, False).sentence


def test_a_kill_hints_at_memory() -> None:
    assert "memory" in Outcome(int(signal.SIGKILL), True).sentence


def test_a_segmentation_fault_is_compiled_code() -> None:
    assert "SIGSEGV" in Outcome(int(signal.SIGSEGV), True).sentence


def test_every_end_says_what_to_do() -> None:
    ends = [
        Outcome(0, False),
        Outcome(15, True),
        Outcome(4242, True),
        Outcome(0, True, problem="Bad stream."),
        Outcome(1, False, ready=False),
        Outcome(11, True, ready=False),
        Outcome(127, False, ready=False, refusal="missing"),
    ]
    assert all("Restart" in end.sentence for end in ends)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Traceback …\nModuleNotFoundError: No module named 'torch'\n", "env/python has no torch."),
        ("ModuleNotFoundError: No module named 'PIL'", "env/python has no pillow."),
        ("env/python: No module named modelight\n", "env/python has no modelight."),
        ("Unknown option: -P\nusage: env/python [option]\nTry `python -h' for more.\n", "is older than Python 3.11."),
        ("unknown option -P\nusage: env/python [option]\n", "is older than Python 3.11."),
        ("torch 2.5.1 is too old.\n", "come up: torch 2.5.1 is too old."),
        ("OSError: libcudart.so.12: cannot open\n", "come up: OSError: libcudart.so.12: cannot open."),
        ("ssh: Could not resolve hostname gpu: Name or service not known\r\n", "Could not resolve hostname gpu"),
        (" \n", "env/python ended with exit status 1, without a word."),
        ("y" * 5000, "y" * 300 + ". It needs"),
    ],
)
def test_a_process_that_did_not_come_up_is_explained_by_what_python_said(said: str, words: str) -> None:
    sentence = Outcome(1, False, ready=False, program="env/python", said=said).sentence
    assert sentence.startswith("The model process did not come up: ")
    assert words in sentence and NEEDS in sentence


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ("missing", "there is no interpreter env/python."),
        ("folder", "env/python is a folder"),
        ("forbidden", "env/python may not be executed"),
        ("Exec format error {1}", "env/python is no program that this system runs (Exec format error {1})."),
    ],
)
def test_an_interpreter_that_cannot_be_started_is_named(refusal: str, words: str) -> None:
    sentence = Outcome(127, False, ready=False, refusal=refusal, program="env/python").sentence
    assert words in sentence and NEEDS in sentence


def test_text_in_place_of_the_first_message_is_quoted() -> None:
    sentence = garbage("me@gpu:python3", "Welcome {user}")
    assert "me@gpu:python3" in sentence and "“Welcome {user}”" in sentence
