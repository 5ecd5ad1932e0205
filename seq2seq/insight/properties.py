"""Properties of a text that a unit may follow, letter by letter: quotes, brackets and their like.

To add a property, write a function from a text to a number for each of its characters, and one line
of `PROPERTIES`. A line's end belongs to the line before it. Knows nothing of networks.
"""

import re
from collections.abc import Callable, Sequence


def quotes(text: str) -> list[float]:
    """1 from an opening quotation mark to the letter before the closing one, else 0.

    A mark within a word is an apostrophe, unless the letters before it are a prefix in Python, such
    as `f`. A quotation ends with its line, unless it stands between three marks, as docstrings do.
    """
    inside = [0.0] * len(text)
    for match in _QUOTATION.finditer(text):
        start, end = match.start(match.lastindex or 0), match.end() - 1
        inside[start:end] = [1.0] * (end - start)
    return inside


def brackets(text: str) -> list[float]:
    """How many round, square and curly brackets are open; none after a blank line."""
    depths, depth, before = [], 0, ""
    for letter in text:
        if letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth = max(depth - 1, 0)
        elif letter == before == "\n":
            depth = 0
        depths.append(float(depth))
        before = letter
    return depths


def line_length(text: str) -> list[float]:
    """How many letters of the line there have been."""
    return [number for line in _lines(text) for number in map(float, range(1, len(line) + 1))]


def position(text: str) -> list[float]:
    """Which share of the line there has been, up to 1."""
    return [number / len(line) for line in _lines(text) for number in range(1, len(line) + 1)]


def indentation(text: str) -> list[float]:
    """How many spaces the line began with, as far as they have been seen."""
    return [
        float(min(number, len(line) - len(line.lstrip(" "))))
        for line in _lines(text)
        for number in range(1, len(line) + 1)
    ]


def word_end(text: str) -> list[float]:
    """1 at the last letter of a word, before what follows is seen, else 0."""
    return [
        float(letter.isalnum() and not after.isalnum())
        for letter, after in zip(text, [*text[1:], "\n"], strict=True)
    ]


def politeness(text: str) -> list[float]:
    """1 all through a Korean line whose end is polite or formal, else 0."""
    return [
        float(_POLITE.search(line) is not None) for line in _lines(text) for _ in range(len(line))
    ]


PROPERTIES: dict[str, Callable[[str], Sequence[float]]] = {
    "quotes": quotes,
    "brackets": brackets,
    "line_length": line_length,
    "position": position,
    "indentation": indentation,
    "word_end": word_end,
    "politeness": politeness,
}

# Three marks, then one with an escaped one inside, too, then the pairs of other scripts.
_QUOTATION = re.compile(
    r"""\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3}|"(?:[^"\\\n]|\\.)*"|"""
    r"""(?<!\w)[bBfFrRuU]{0,2}('(?!'')(?:[^'\\\n]|\\.)*')(?!\w)"""
    r"""|“[^”\n]*”|„[^“”\n]*[“”]|«[^»\n]*»|「[^」\n]*」|『[^』\n]*』"""
)
# Of 합니다 and 갑시다, but not 아니다: what ends in ㅂ is every 28th syllable.
_WITH_B = "".join(map(chr, range(ord("갑") - 28 * ((ord("갑") - 0xAC00) // 28), 0xD7A4, 28)))
_POLITE = re.compile(rf"(요|죠|시오|[{_WITH_B}](니다|니까|시다))[.?!]*\s*$")


def _lines(text: str) -> list[str]:
    """Each with its end."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
