"""Every colour, size and font of the program, in one place. Widgets ask :func:`current`; no colour literal stands elsewhere."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tokens:
    """Colours by role. ``*_mark`` fills shapes, ``*_words`` is text in that meaning, ``*_tint`` the ground of a pressed segment."""

    name: str
    chrome: str
    sunken: str
    surface: str
    line: str
    edge: str
    selection: str
    text: str
    text2: str
    text3: str
    train_mark: str
    train_words: str
    train_tint: str
    eval_mark: str
    eval_words: str
    eval_tint: str
    attention: str
    attention_tint: str
    confirmed: str
    ink: str
    mask: str


LIGHT = Tokens(
    name="light",
    chrome="#F3F4F6",
    sunken="#F8F9FB",
    surface="#FFFFFF",
    line="#E3E5EA",
    edge="#C6CAD2",
    selection="#E8EAEF",
    text="#16181D",
    text2="#545B68",
    text3="#626978",
    train_mark="#D55E00",
    train_words="#A44700",
    train_tint="#FDF1E8",
    eval_mark="#0072B2",
    eval_words="#005F96",
    eval_tint="#E9F3FA",
    attention="#B0316F",
    attention_tint="#FBEEF4",
    confirmed="#00755A",
    ink="#1D2027",
    mask="#5A6375",
)

DARK = Tokens(
    name="dark",
    chrome="#17191D",
    sunken="#1B1D21",
    surface="#1F2226",
    line="#2E3239",
    edge="#4A505B",
    selection="#2C3138",
    text="#ECEEF2",
    text2="#AEB4BF",
    text3="#979EAA",
    train_mark="#E69F00",
    train_words="#F0B43C",
    train_tint="#332A17",
    eval_mark="#56B4E9",
    eval_words="#7CC6F0",
    eval_tint="#182D3A",
    attention="#E58BB8",
    attention_tint="#3A2230",
    confirmed="#35C79A",
    ink="#ECEEF2",
    mask="#8A93A3",
)

_current = LIGHT


def current() -> Tokens:
    """The tokens in force."""
    return _current


def use(tokens: Tokens) -> None:
    """Set the tokens in force. The window then repaints everything (see ``apply``)."""
    global _current
    _current = tokens
