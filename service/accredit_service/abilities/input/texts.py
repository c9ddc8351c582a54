"""What people write into names, labels and addresses, made safe to store and to show."""

import re
import unicodedata

from ..errors import Reason, invalid

# What Unicode has nothing shown for beside the format characters (Cf): joiners, fillers, selectors
# of variations, and the blank pattern of Braille.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2028\u2029\u2065\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\ufff0-\ufff8\U000e0000-\U000e0fff]"
)

MAX_NAME = 200
MAX_EMAIL = 254
_TAG = re.compile(r"<[^<>]*>")
_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_CAPABILITY = re.compile(r"[a-z0-9_.:-]{1,100}")


def visible(path: str, text: str, reason: Reason = Reason.FIELD_INVALID) -> None:
    """Raise InvalidArgument for a character that nobody sees, or that turns the direction of text.

    With them two texts look alike that are not, and one reads as another.
    """
    for index, character in enumerate(text, 1):
        if unicodedata.category(character) == "Cf" or _UNSEEN.match(character):
            raise invalid(
                path,
                "no invisible or direction-changing character: {character} is the {place}th",
                reason,
                character=f"U+{ord(character):04X}",
                place=index,
            )


def one_line(path: str, text: str, *, limit: int = MAX_NAME) -> str:
    """The text without tags and control characters, white space folded to single blanks.

    Raises InvalidArgument if more than ``limit`` characters were given, or one among them is a NUL
    or is not ``visible``.
    """
    if len(text) > limit:
        raise invalid(path, "at most {limit} characters", limit=limit)
    if "\0" in text:
        raise invalid(path, "no NUL character")
    visible(path, text)
    shown = (
        " " if character.isspace() else character
        for character in _TAG.sub("", text)
        if character.isspace() or unicodedata.category(character) not in {"Cc", "Cs"}
    )
    return " ".join("".join(shown).split())


def name(path: str, text: str, reason: Reason = Reason.FIELD_INVALID) -> str:
    """A name that must not be blank."""
    cleaned = one_line(path, text)
    if not cleaned:
        raise invalid(path, "not blank", reason)
    return cleaned


def search(path: str, text: str) -> str | None:
    """A text to look for; None if there is none."""
    if len(text) > MAX_NAME:
        raise invalid(path, "at most {limit} characters", limit=MAX_NAME)
    if "\0" in text:
        raise invalid(path, "no NUL character")
    return text or None


def login(path: str, text: str) -> str:
    """A login. Digits only would read as an id, an "@" as an e-mail."""
    if not _LOGIN.fullmatch(text) or text.isdigit():
        raise invalid(
            path,
            "1 to 60 of [A-Za-z0-9._-], beginning with a letter or digit, not digits only",
        )
    return text


def email(path: str, text: str) -> str:
    """An e-mail address, or an empty text for none. Whether it reaches anybody is not checked."""
    local, at, host = text.rpartition("@")
    well_formed = bool(local and at and host) and text.isprintable() and " " not in text
    visible(path, text)
    if text and (not well_formed or len(text) > MAX_EMAIL):
        raise invalid(
            path, 'with an "@", at most {limit} characters, without spaces', limit=MAX_EMAIL
        )
    return text


def capability(path: str, text: str) -> str:
    """The name of a capability."""
    if not _CAPABILITY.fullmatch(text):
        raise invalid(path, "1 to 100 of [a-z0-9_.:-]")
    return text
