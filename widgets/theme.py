"""Every colour, size and font of the program, in one place. Widgets ask :func:`color` and :func:`font` each time they
paint, so that a change of theme needs no more than a repaint; no colour literal stands elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from modelight.widgets.style_sheet import style_sheet


@dataclass(frozen=True)
class Tokens:
    """Colours by role. ``*_mark`` fills shapes, ``*_words`` is text in that meaning, ``*_tint`` the ground of a
    pressed segment."""

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

FAMILIES = (
    "Inter",
    # What Inter lacks comes from the system's Chinese face; the first of these that is there is taken.
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "PingFang SC",
    "Microsoft YaHei UI",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
)

RADIUS_CONTROL, RADIUS_CARD, RADIUS_BADGE = 6.0, 8.0, 4.0
"""Corner radii in logical pixels."""

_current = LIGHT


def current() -> Tokens:
    """The tokens in force."""
    return _current


def use(tokens: Tokens) -> None:
    """Set the tokens in force, without telling any widget (see :func:`apply`)."""
    global _current
    _current = tokens


def color(token: str) -> QColor:
    """The colour of a role in the theme in force, e.g. ``color("train_mark")``; a new object, free to change."""
    return QColor(getattr(_current, token))


def faded(token: str, alpha: float) -> QColor:
    """The same, ``alpha`` (0 to 1) opaque."""
    tone = color(token)
    tone.setAlphaF(alpha)
    return tone


def font(size: int = 13, weight: int = 400) -> QFont:
    """Inter of ``size`` logical pixels with tabular figures. Sizes in use: 11, 12, 13, 20; weights: 400, 500, 600."""
    return QFont(_font(size, weight))


def fixed_font(size: int = 12) -> QFont:
    """The system's fixed-pitch font: console, tracebacks and lines of Python."""
    face = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    face.setPixelSize(size)
    return face


@cache
def _font(size: int, weight: int) -> QFont:
    face = QFont(list(FAMILIES))
    face.setPixelSize(size)
    face.setWeight(QFont.Weight(weight))
    face.setFeature(QFont.Tag("tnum"), 1)
    # Hinting differs between platforms and moves glyphs to whole pixels; without it pictures are the same everywhere.
    face.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    return face


@cache
def load_fonts() -> None:
    """Make the bundled faces known to Qt. Needs an application object.

    Raises:
        RuntimeError: a face that the package ships cannot be read.
    """
    for face in ("Regular", "Medium", "SemiBold"):
        path = Path(__file__).parent / "fonts" / f"Inter-{face}.otf"
        if QFontDatabase.addApplicationFont(str(path)) < 0:
            raise RuntimeError(f"The font {path} cannot be read.")


def palette(tokens: Tokens) -> QPalette:
    """Qt's colour roles from ours, for whatever a style sheet does not reach."""
    role = QPalette.ColorRole
    colours = {
        role.Window: tokens.chrome,
        role.WindowText: tokens.text,
        role.Base: tokens.surface,
        role.AlternateBase: tokens.sunken,
        role.ToolTipBase: tokens.surface,
        role.ToolTipText: tokens.text,
        role.PlaceholderText: tokens.text3,
        role.Text: tokens.text,
        role.Button: tokens.surface,
        role.ButtonText: tokens.text,
        role.BrightText: tokens.attention,
        role.Light: tokens.surface,
        role.Midlight: tokens.line,
        role.Mid: tokens.line,
        role.Dark: tokens.edge,
        role.Shadow: tokens.edge,
        role.Highlight: tokens.selection,
        role.HighlightedText: tokens.text,
        role.Link: tokens.text2,
        role.LinkVisited: tokens.text2,
        role.Accent: tokens.ink,
    }
    result = QPalette()
    for which, value in colours.items():
        result.setColor(which, QColor(value))
    for which in (role.Text, role.WindowText, role.ButtonText):
        result.setColor(QPalette.ColorGroup.Disabled, which, QColor(tokens.text3))
    return result


def apply(app: QApplication, tokens: Tokens) -> None:
    """Dress the application: fonts, Fusion below, palette, style sheet. Every widget repaints itself."""
    use(tokens)
    load_fonts()
    app.setEffectEnabled(Qt.UIEffect.UI_AnimateCombo, False)
    app.setEffectEnabled(Qt.UIEffect.UI_AnimateMenu, False)
    app.setEffectEnabled(Qt.UIEffect.UI_AnimateTooltip, False)
    app.setFont(font())
    app.setPalette(palette(tokens))
    app.setStyle("Fusion")
    app.setStyleSheet(style_sheet(tokens))


def system_tokens() -> Tokens:
    """Light or dark, as the desktop has it; light where it does not say."""
    dark = QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark
    return DARK if dark else LIGHT


class ThemeFollower(QObject):
    """Keeps the application in the desktop's theme, or in the one that the person chose."""

    changed = Signal()

    def __init__(self, app: QApplication, choice: str = "system") -> None:
        """``choice`` is ``light``, ``dark`` or ``system``."""
        super().__init__(app)
        self._app = app
        self._choice = choice
        app.styleHints().colorSchemeChanged.connect(self._on_scheme_changed)
        self.set_choice(choice)

    def choice(self) -> str:
        """``light``, ``dark`` or ``system``."""
        return self._choice

    def set_choice(self, choice: str) -> None:
        """Take a theme now, or follow the desktop from now on."""
        self._choice = choice
        apply(self._app, {"light": LIGHT, "dark": DARK}.get(choice) or system_tokens())
        self.changed.emit()

    def _on_scheme_changed(self) -> None:
        if self._choice == "system":
            self.set_choice("system")
