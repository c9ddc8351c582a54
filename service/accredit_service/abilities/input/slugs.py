"""What any text becomes as an agent's slug: the rules of WordPress's ``sanitize_title``.

A slug is up to 200 of ``a-z0-9_-`` and ``%xx``; no hyphen comes first, last or doubled.

Written from the described behaviour and compared with WordPress 6.1.9 as a black box. Four things
differ. The length limit does not cut ``%41`` in two. Octets that close up into a dropped character
are dropped as well, so that a slug always cleans to itself. ``---41---`` is text, not an octet. A
tag ends at the first ``>`` outside quotes, even if another, a doctype or ``<?`` was opened in it.
"""

import re
from collections.abc import Iterable
from itertools import chain, groupby
from unicodedata import combining, normalize
from urllib.parse import quote

MAX_LENGTH = 200


def _any_of(characters: Iterable[str], *patterns: str) -> re.Pattern[str]:
    return re.compile("|".join((*(quote(c).lower() for c in characters), *patterns)))


# Western, Vietnamese, pinyin and Romanian letters lose their accents. Others, such as U+01E7, are
# percent-encoded with theirs: the reference folds no more than these.
_BLOCKS = ((0xC0, 0x17F), (0x1A0, 0x1B0), (0x1CD, 0x1DC), (0x218, 0x21B), (0x1EA0, 0x1EF9))
_ACCENTED = chain.from_iterable(range(first, last + 1) for first, last in _BLOCKS)
_SPELLED = """Æae æae Œoe œoe Ĳij ĳij Þth þth ªa \u0251a Ðd ðd Đd đd €e Ħh ħh \u0131i ĸk Ŀl ŀl Łl łl
ŉn Ŋn ŋn ºo Øo øo ßs \u017fs Ŧt ŧt £ \0"""
_FOLDED = {code: normalize("NFD", chr(code))[0] for code in _ACCENTED}
_FOLDED |= {ord(pair[0]): pair[1:] for pair in _SPELLED.split()}

# What is left open runs to the end of the text, so that nothing is looked at twice.
_TAG = re.compile(
    r"""<!(?=--).*?(?:-->|\Z)"""
    r"""|<(?!\s)(?:[^>"']++|"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z))*+(?:>|\Z)""",
    re.ASCII | re.DOTALL,
)
_UNIT = re.compile("%[0-9A-Fa-f]{2}|[^%]")
_SPACES = map(chr, (0xA0, *range(0x2000, 0x200B), 0x2013, 0x2014, 0x2028, 0x2029, 0x202F))
_DASH = _any_of(_SPACES, "/", "&(?:nbsp|#160|[nm]dash|#821[12]);")
_INVISIBLE = map(chr, (0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0xFEFF, 0xFFFC))
_QUOTES = map(chr, (0xAB, 0xBB, *range(0x2018, 0x2020), 0x2039, 0x203A))
_ACCENTS = "\u00b4\u02ca\u0300\u0301\u0304\u030c"
_DROPPED = _any_of(chain(_INVISIBLE, _QUOTES, _ACCENTS, "¡¿©®™°•…"))


# What cleans to itself, whatever the rules below; most of what is asked about.
_CLEAN = re.compile("[a-z0-9_]+(?:-[a-z0-9_]+)*")


def is_clean(text: str) -> bool:
    """Whether a text is a slug of the plain kind already."""
    return len(text) <= MAX_LENGTH and _CLEAN.fullmatch(text) is not None


def clean(text: str) -> str:
    """The slug of a text, possibly empty, in time linear in the text."""
    slug = _pass(text)
    while "%" in slug and (again := _pass(slug)) != slug:
        slug = again
    return slug


def is_numeric(slug: str) -> bool:
    """Whether a slug would be read as an id: ASCII digits only."""
    return slug.isascii() and slug.isdigit()


def _pass(text: str) -> str:
    composed = text if text.isascii() else _compose(text)
    slug = _encode(_TAG.sub("", composed.translate(_FOLDED)))
    slug = _DROPPED.sub("", _DASH.sub("-", slug)).replace("%c3%97", "x")
    slug = re.sub("&.+?;", "", slug).replace(".", "-")
    return re.sub("[ -]+", "-", re.sub("[^%a-z0-9 _-]", "", slug)).strip("-")


def _compose(text: str) -> str:
    # normalize() sorts a run of combining marks in quadratic time, minutes for a mebibyte of them.
    # Given them sorted, it is linear.
    decomposed = chain.from_iterable(normalize("NFD", c) for c in text)
    runs = groupby(decomposed, lambda c: combining(c) > 0)
    ordered = (sorted(run, key=combining) if marks else run for marks, run in runs)
    return normalize("NFC", "".join(chain.from_iterable(ordered)))


def _encode(text: str) -> str:
    # The limit counts what is dropped only later, as in the reference: two hundred exclamation
    # marks and a letter make an empty slug.
    encoded = ""
    for match in _UNIT.finditer(text):
        unit = match[0].lower()
        unit = unit if unit.isascii() else quote(unit, errors="ignore").lower()
        if len(encoded) + len(unit) > MAX_LENGTH:
            break
        encoded += unit
    return encoded
