"""Slugs.

The expected values of ``AS_WORDPRESS`` are what ``sanitize_title`` of WordPress 6.1.9 answered, on
PHP 8.2 with mbstring and intl. So is every single code point, and tens of thousands of random
strings, which are too many to keep here.
"""

import string
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from accredit_service.abilities.input import slugs


@dataclass(frozen=True)
class Case:
    because: str
    text: str
    slug: str


AS_WORDPRESS = [
    Case("a slug stays", "billing-reconciler_2", "billing-reconciler_2"),
    Case("nothing stays nothing", "", ""),
    Case("zero is a slug", "0", "0"),
    Case("digits are a slug", "007", "007"),
    Case("letters are lower-cased", "Billing BOT", "billing-bot"),
    # Accents.
    Case("accents are folded", "Café Ñandú Åström", "cafe-nandu-astrom"),
    Case("combining accents are folded", "Cafe\u0301 A\u030angstro\u0308m", "cafe-angstrom"),
    Case("marks in any order are folded", "e\u0301\u0323 e\u0323\u0301", "e-e"),
    Case("Latin Extended-A is folded", "Łódź Şişli Žižkov Ĥĵŧ", "lodz-sisli-zizkov-hjt"),
    Case("Vietnamese is folded", "Nguyễn Ơn Ướt", "nguyen-on-uot"),
    Case("pinyin is folded", "Lǚ Nǎo", "lu-nao"),
    Case("Romanian is folded", "Țară Șoim", "tara-soim"),
    Case("sharp s is one s", "Straße", "strase"),
    Case("long s is s", "Congre\u017fs", "congress"),
    Case("AE is two letters", "Æon æon", "aeon-aeon"),
    Case("OE and IJ are two letters", "Œuvre Ĳssel", "oeuvre-ijssel"),
    Case("thorn and eth are spelled", "Þór Ðe ðe", "thor-de-de"),
    Case("strokes are folded", "Øø Đđ Ħħ Łł Ŧŧ", "oo-dd-hh-ll-tt"),
    Case("Turkish i is i", "Iİ\u0131i", "iiii"),
    Case("ordinals are letters", "1ª 2º", "1a-2o"),
    Case("euro is E", "5€", "5e"),
    Case("pound is dropped", "5£", "5"),
    Case("letters outside the blocks keep their accents", "Ǧ ḃ", "%c7%a7-%e1%b8%83"),
    # Tags.
    Case("tags are stripped", "a <b>bold</b> name", "a-bold-name"),
    Case("what stands between tags stays", "<script>alert(1)</script>x", "alert1x"),
    Case("a quoted > does not end a tag", "a<b title='x>y' alt=\">\">c", "ac"),
    Case("comments are stripped", "a<!-- x > 'y -->c", "ac"),
    Case("the shortest comment is one", "a<!-->b-->c", "ab-c"),
    Case("an open tag runs to the end", "a<b c", "a"),
    Case("an open quote runs to the end", 'a<b c="d>e', "a"),
    Case("an open comment runs to the end", "a<!-- b > c", "a"),
    Case("< before a space is no tag", "a < b > c", "a-b-c"),
    Case("< before a tab is no tag", "a<\tb>c", "abc"),
    Case("< before a no-break space is a tag", "a<\xa0b>c", "ac"),
    Case("< before a slash through it is no tag", "a<\u0338b>c", "a%e2%89%aebc"),
    Case("a lone > is dropped", "a>b", "ab"),
    # Octets.
    Case("octets are kept", "a%41b", "a%41b"),
    Case("octets are lower-cased", "%C3%89", "%c3%89"),
    Case("octets stay encoded", "%2F%2e%00%20", "%2f%2e%00%20"),
    Case("another % is dropped", "100% %zz %4 %", "100-zz-4"),
    Case("% before an octet is dropped", "%%41", "%41"),
    Case("a tag may stand in an octet", "%<b>41</b>", "%41"),
    Case("an accent may stand in an octet", "%e\u03011", "%e1"),
    # Other scripts.
    Case("Japanese is encoded", "日本語", "%e6%97%a5%e6%9c%ac%e8%aa%9e"),
    Case("other scripts are lower-cased", "ЖΩ", "%d0%b6%cf%89"),
    Case("a last sigma is a sigma", "ΑΣ", "%ce%b1%cf%83"),
    Case("full-width letters are encoded", "Ａ", "%ef%bd%81"),
    Case("a supplementary character is four octets", "🎉", "%f0%9f%8e%89"),
    Case("a compatibility ideograph is composed", "\uf900", "%e8%b1%88"),
    Case("other combining marks are encoded", "1\u0308", "1%cc%88"),
    Case("unlisted spaces are encoded", "a\u3000b\u205fc", "a%e3%80%80b%e2%81%9fc"),
    Case("unlisted hyphens are encoded", "a\u2010b\u2011c", "a%e2%80%90b%e2%80%91c"),
    # Hyphens.
    Case("a no-break space is a hyphen", "a\xa0b", "a-b"),
    Case("en and em dashes are hyphens", "a–b—c", "a-b-c"),
    Case("their octets are hyphens", "a%c2%a0b%E2%80%93c%e2%80%94d", "a-b-c-d"),
    Case("their names are hyphens", "a&nbsp;b&ndash;c&mdash;d&NBSP;e", "a-b-c-d-e"),
    Case("their numbers are hyphens", "a&#160;b&#8211;c&#8212;d", "a-b-c-d"),
    Case("their other numbers are entities", "a&#xa0;b&#x2013;c", "abc"),
    Case("a slash is a hyphen", "a/b", "a-b"),
    Case("a full stop is a hyphen", "v2.0", "v2-0"),
    Case("typographic spaces are hyphens", "a\u2003b\u2009c\u202fd\u2028e", "a-b-c-d-e"),
    Case("a space is a hyphen", "a b", "a-b"),
    Case("hyphens collapse", "a - -- / . –b", "a-b"),
    Case("hyphens are trimmed", " -./a/.- ", "a"),
    Case("only hyphens are nothing", "--- ... ///", ""),
    Case("an underscore is kept", "_a__b_", "_a__b_"),
    Case("hyphens are trimmed to an underscore", "-_-", "_"),
    # Dropped.
    Case("a soft hyphen is dropped", "soft\xadhyphen", "softhyphen"),
    Case("its octets are dropped", "soft%c2%adhyphen", "softhyphen"),
    Case("straight quotes are dropped", 'John\'s "x" `y`', "johns-x-y"),
    Case("curly quotes are dropped", "‘a’ “b” ‚c‛ „d‟", "a-b-c-d"),
    Case("angle quotes are dropped", "«a» ‹b›", "a-b"),
    Case("inverted marks are dropped", "¡a! ¿b?", "a-b"),
    Case("signs are dropped", "a•b©c®d°e…f™g", "abcdefg"),
    Case("lone accents are dropped", "1\u00b42\u02ca3\u03004\u03015\u03046\u030c7", "1234567"),
    Case("zero-width characters are dropped", "a\u200bb\u200cc\u200dd\ufeffe\ufffcf", "abcdef"),
    Case("direction marks are dropped", "a\u200eb\u200fc\u202ad\u202ee", "abcde"),
    Case("a tab is dropped", "a\tb", "ab"),
    Case("a line end is dropped", "a\r\nb", "ab"),
    Case("NUL is dropped", "a\0b", "ab"),
    Case("ASCII signs are dropped", "a!#$()*+,:;=?@[\\]^{|}~b", "ab"),
    Case("& is dropped", "R&D", "rd"),
    # Others.
    Case("a multiplication sign is x", "3×4", "3x4"),
    Case("its octets are x", "3%c3%974", "3x4"),
    Case("entities are removed", "a&amp;b&lt;c&#x2f;d&times;e", "abcde"),
    Case("an entity is what stands between & and ;", "a&b c.d;e", "ae"),
    Case("an entity ends at the first ;", "a&amp;nbsp;b", "anbspb"),
    Case("an entity is not empty", "a&;b;c", "ac"),
    Case("an entity keeps to its line", "a&b\nc;d", "abcd"),
    # The length limit.
    Case("a long text is cut", "a" * 250, "a" * 200),
    Case("the cut may leave a hyphen to trim", "a" * 199 + " b", "a" * 199),
    Case("an encoded character is not cut", "日" * 30, "%e6%97%a5" * 22),
    Case("nothing follows a character too long", "a" * 197 + "日b", "a" * 197),
    Case("a character may just fit", "a" * 191 + "日b", "a" * 191 + "%e6%97%a5"),
    Case("what is dropped late counts", "!" * 200 + "a", ""),
    Case("what is dropped late counts encoded", "\xad" * 33 + "abc", "ab"),
    Case("entities count", "&amp;" * 40 + "a", ""),
    Case("tags do not count", "<b>" * 200 + "a", "a"),
    Case("dropped % does not count", "%" * 200 + "a", "a"),
    Case("NUL and pound do not count", "\0£" * 200 + "a", "a"),
    Case("folded accents do not count", "e\u0301" * 200, "e" * 200),
]

UNLIKE_WORDPRESS = [
    Case("the limit does not cut an octet after %", "a" * 199 + "%41", "a" * 199),
    Case("the limit does not cut an octet after %4", "a" * 198 + "%41", "a" * 198),
    Case("octets that close up are dropped again", "%c2%c2%ad%ad", ""),
    Case("octets that close up over a sign are dropped", "a%c2?%adb", "ab"),
    Case("octets that close up to a dash are a hyphen", "a%e2%c2%ad%80%93b", "a-b"),
    Case("three hyphens around digits are hyphens", "a---41---b", "a-41-b"),
    Case("a tag in a tag does not count", "a<b<i>c>d", "acd"),
    Case("<? opens a tag like any other", "a<? b > c ?>d", "a-c-d"),
    # Not UTF-8, so there is no answer to compare with.
    Case("half a surrogate pair is dropped", "a\ud800b", "ab"),
]


@pytest.mark.parametrize(
    "case", AS_WORDPRESS + UNLIKE_WORDPRESS, ids=lambda case: case.because.replace(" ", "-")
)
def test_a_text_becomes_a_slug_because(case: Case) -> None:
    assert slugs.clean(case.text) == case.slug


MARKUP = "< > <b> </b> <!-- --> <? ?> & ; &amp; &nbsp; ' - _ . / %"
OCTETS = "% %4 %41 %c2 %ad %e2 %80 %93 %c3 %97"
LETTERS = "a Z 0 é ß Æ € £ Ǧ İ Σ 日 🎉 – ™ ×"
OTHERS = " \t\n\0\xa0\xad\u200b\u2003\u0301\u0304\u0308\u0323\u0338"
PIECES = st.sampled_from([*f"{MARKUP} {OCTETS} {LETTERS}".split(), *OTHERS, "a" * 90, "日" * 9])
TEXTS = st.text() | st.lists(PIECES).map("".join) | st.text(st.characters(max_codepoint=0x17F))


@given(TEXTS)
def test_a_slug_holds_only_its_alphabet_and_whole_octets(text: str) -> None:
    first, *rest = slugs.clean(text).split("%")
    hexadecimal = set("0123456789abcdef")
    assert all(len(piece) >= 2 and set(piece[:2]) <= hexadecimal for piece in rest)
    letters = set(string.ascii_lowercase + string.digits + "_-")
    assert set("".join((first, *rest))) <= letters


@given(TEXTS)
def test_a_slug_is_never_too_long(text: str) -> None:
    assert len(slugs.clean(text * 3)) <= slugs.MAX_LENGTH == 200


@given(TEXTS)
def test_a_slug_has_no_hyphen_at_either_end_nor_two_together(text: str) -> None:
    slug = slugs.clean(text)
    assert slug == slug.strip("-")
    assert "--" not in slug


@given(TEXTS)
@example("%c2" * 33 + "%ad" * 33)
@example("a" * 199 + "%41")
def test_a_slug_cleans_to_itself(text: str) -> None:
    slug = slugs.clean(text)
    assert slugs.clean(slug) == slug


@given(st.from_regex(r"[a-z0-9_]+(-[a-z0-9_]+)*", fullmatch=True))
def test_a_text_in_the_form_of_a_slug_is_kept(text: str) -> None:
    assert slugs.clean(text[:200].rstrip("-")) == text[:200].rstrip("-")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece",
    ["<", "<>", "<!--", "<'", "<'\">", "%", "&", "-", "£", "é", "\u0301\u0323", "\u0f73", "日"],
    ids=ascii,
)
def test_a_mebibyte_takes_time_in_proportion(piece: str) -> None:
    # What is quadratic takes minutes at this size and runs into the timeout.
    text = piece * (2**20 // len(piece.encode()))
    assert len(slugs.clean(text)) <= slugs.MAX_LENGTH


@pytest.mark.parametrize("slug", ["0", "7", "007", "9" * 200])
def test_a_slug_of_digits_is_numeric(slug: str) -> None:
    assert slugs.is_numeric(slug)


@pytest.mark.parametrize("slug", ["", "a1", "1-2", "1_2", "%31", "-1", "٣", "²"])
def test_a_slug_is_not_numeric_if_anything_else_is_in_it(slug: str) -> None:
    assert not slugs.is_numeric(slug)
