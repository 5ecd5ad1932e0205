"""What must stand in a translation as it stands in the source: addresses, placeholders, numbers.

To add a kind, write its pattern into `KINDS`.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

# Letters of addresses. Others end them, such as the particles that Korean writes behind, unless
# the host has others, too.
_LETTERS = "A-Za-z0-9\u00c0-\u024f"
_IN_URL = rf"[{_LETTERS}\-._~:/?#@!$&'*+,;=%\[\]]"
_ENDS_URL = rf"[{_LETTERS}\-_~/#@$&*+=%\]]"  # no mark that ends a sentence or a clause
_BRACKETS = rf"\({_IN_URL}*\)|\{{{_IN_URL}*\}}"
_URL_BEGINS = r"(?:(?<![A-Za-z])[A-Za-z][A-Za-z+-]{1,14}://|www\.)"
_LABEL = r"[\w-]{0,63}"  # the longest of DNS
_LABELS = r"(?:[\w-]{1,63}\.){0,9}"
_WIDE_HOST = (
    rf"{_LABELS}{_LABEL}[^\W\x00-\u024f]{_LABEL}\.{_LABELS}"
    r"(?:[A-Za-z]{2,63}|[^\W\x00-\x7f]{2,63})"
)
_IN_PATH = r"[\w\-.~:/?#@!$&'*+,;=%\[\]()]"
_ENDS_PATH = r"[\w\-~/#@$&*+=%\]]"

KINDS: dict[str, str] = {
    # https://example.org/a_(b)?c={d}, file:///a/b, www.example.org; a host of other letters
    "url": (
        rf"{_URL_BEGINS}(?:{_WIDE_HOST}(?::\d+)?(?:[/?#](?:{_IN_PATH}*{_ENDS_PATH})?)?"
        rf"|(?:{_BRACKETS}|{_IN_URL})*(?:{_BRACKETS}|{_ENDS_URL}))"
    ),
    # first.last+tag@mail.example.org
    "email": (
        rf"(?<![{_LETTERS}.+_%-])[{_LETTERS}.+_%-]{{1,64}}"
        rf"@[{_LETTERS}-]{{1,64}}(?:\.[{_LETTERS}-]{{1,64}})+"
    ),
    # {name}, {0}, {}, ${name}, {{ name }}; <x id="1"/>; %s, %d, %.2f, %1$s, %(name)s
    "placeholder": (
        r"\{\{[^{}]{1,80}\}\}|\$?\{[^{}]{0,80}\}|<[A-Za-z][^<>]{0,80}/>"
        r"|%(?:\([A-Za-z_]\w{0,40}\)|[1-9]\$)?[-+0]?\d{0,2}(?:\.\d)?[sdifuxXgc@](?![A-Za-z])"
    ),
    # 7, -7, 1,200.50, 14:30, 2016-05-12, 3/4; a unit or a currency beside it is not part of it
    "number": r"(?:(?<![\w)\]}%-])[-+\u2212])?\d+(?:[.,:/'\u2019\u00b7\u2013-]\d+)*",
}
"""Patterns by name; where two match, the one that begins earlier counts, then the upper one."""
ITEM = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in KINDS.items()))


class Item(NamedTuple):
    """Something in a text that must survive."""

    kind: str
    """Name in `KINDS`."""
    text: str


def find_items(text: str) -> list[Item]:
    """What must survive of a text, in its order, as often as it stands there."""
    return [item for item, _ in find_places(text)]


def find_places(text: str) -> list[tuple[Item, range]]:
    """The same with the characters of each."""
    return [(_item(match), range(*match.span())) for match in ITEM.finditer(text)]


def replace_items(text: str, replace: Callable[[Item], str]) -> str:
    """The text with something in the place of each item."""
    return ITEM.sub(lambda match: replace(_item(match)), text)


def _item(match: re.Match[str]) -> Item:
    return Item(str(match.lastgroup), match[0])
