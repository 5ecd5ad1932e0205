"""Takes the tags out of HTML, and puts them around the words of a translation.

A tag stands around the words that came from those that it stood around in the source. No tag is
ever lost, and none crosses another: what cannot be placed well is placed somewhere.
"""

import itertools
import re
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from unicodedata import normalize

from seq2seq.data.cleaning import CONTROL
from seq2seq.languages import parts_word
from seq2seq.stretches import find_stretches, without_marks

if TYPE_CHECKING:
    from seq2seq.translation import Translation

# Elements without content, and those whose content is not for readers.
_VOID = re.compile("area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr")
_NO_TEXT = re.compile("script|style|template")
_KEPT = re.compile(f"code|{_NO_TEXT.pattern}")
# Between these words do not touch, though no space may stand there.
_BREAKS = re.compile(
    "address|article|aside|blockquote|br|dd|div|dl|dt|figcaption|figure|footer|h[1-6]|header|hr|li|"
    "main|nav|ol|p|pre|section|table|tbody|td|tfoot|th|thead|tr|ul"
)
_WORD = re.compile(r"\w")
_OPEN_END = re.compile("<(?=[^>]*$)")
_SPACES = re.compile("[ \t\r\n\f\v]+")
_INSIDE, _OUTSIDE, _UNLINKED = 10, -10, -1  # what a target word is worth to an element


@dataclass
class Element:
    """A tag, or an element with its tags; the first one of a fragment is the fragment."""

    opening: str
    closing: str
    parent: int
    start: int
    """Characters of the text before it, spaces not counted."""
    end: int
    kept: str | None = None
    """What stands in it and is not translated; None if that is translated."""
    text: str = ""
    """Of what is kept, as readers see it."""
    after_space: bool = False
    starts_with_mark: bool = False
    ends_in_mark: bool = False
    is_block: bool = False
    """It holds whole sentences, with the punctuation at their ends."""
    holds_nothing: bool = False
    """Its end is missing, so what comes after it stands beside it."""


@dataclass
class Fragment:
    """A piece of HTML without its tags, and the tags."""

    text: str
    elements: list[Element]
    """Each after its parent."""
    is_kept: bool = False
    """Whether something is kept and there is nothing to translate around it."""

    @property
    def kept(self) -> tuple[str, ...]:
        """The texts that must stand in the translation as they are."""
        return tuple(text for element in self.elements if (text := element.text))


def read_fragment(html: str) -> Fragment:
    """Parses one line of HTML, however broken."""
    parser = _Reader()
    html = _OPEN_END.sub("&lt;", html)
    parser.feed(html)
    parser.close()
    return _Builder(html, parser.events).build()


def write_fragment(fragment: Fragment, translation: "Translation") -> str:
    """The translation with the tags of its source; it needs the details."""
    return _Placing(fragment, translation).write()


class _Reader(HTMLParser):
    """Lists what the parser meets: where it begins, of what kind it is, and its name or text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.events: list[tuple[int, str, str, bool]] = []

    def _add(self, kind: str, value: str = "", keep: bool = False) -> None:
        self.events.append((self.getpos()[1], kind, value, keep))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        keep = bool(_KEPT.fullmatch(tag)) or ("translate", "no") in attrs
        self._add("point" if _VOID.fullmatch(tag) else "start", tag, keep)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        self._add("point", tag)

    def handle_endtag(self, tag: str) -> None:
        """See `HTMLParser`."""
        self._add("end", tag)

    def handle_data(self, data: str) -> None:
        """See `HTMLParser`."""
        self._add("text", data)

    def handle_comment(self, data: str) -> None:
        """See `HTMLParser`."""
        self._add("point")

    def handle_decl(self, decl: str) -> None:
        """See `HTMLParser`."""
        self._add("point")

    def handle_pi(self, data: str) -> None:
        """See `HTMLParser`."""
        self._add("point")

    def unknown_decl(self, data: str) -> None:
        """See `HTMLParser`."""
        self._add("point")


@dataclass
class _Builder:
    """Makes elements of what a parser met."""

    html: str
    events: list[tuple[int, str, str, bool]]
    text: str = ""
    to_translate: str = ""
    elements: list[Element] = field(default_factory=lambda: [Element("", "", 0, 0, 0)])
    open: list[tuple[int, str]] = field(default_factory=lambda: [(0, "")])  # number and name
    num_open: Counter[str] = field(default_factory=Counter)  # by name

    def build(self) -> Fragment:
        borders = [place for place, *_ in self.events] + [len(self.html)]
        kept: tuple[int, str, int] | None = None  # what is kept: its element, name and depth
        for (place, kind, value, keep), end in zip(self.events, borders[1:], strict=True):
            if kept is not None:  # nothing in it counts but its end
                number, name, depth = kept
                if kind == "text" and not _NO_TEXT.fullmatch(name):
                    self.elements[number].text += _cleaned(value)
                depth += (value == name) * ((kind == "start") - (kind == "end"))
                kept = (number, name, depth) if depth else None
                if not depth:
                    self._finish_kept(number, place, self.html[place:end])
            elif kind == "text":
                self.text += _cleaned(value)
                self.to_translate += value
            elif kind == "end" and self.num_open[value]:
                self._close(value, self.html[place:end])
            else:
                self._add(kind, value, self.html[place:end])
                if keep and kind == "start":
                    number, _ = self.open.pop()
                    self.num_open[value] -= 1
                    self.elements[number].kept = ""
                    self.elements[number].end = end  # of its opening, in the HTML
                    kept = (number, value, 1)
        if kept is not None:
            self._finish_kept(kept[0], len(self.html), "")
        while len(self.open) > 1:
            self._leave_open()
        self.elements[0].end = len(self.text)
        return self._count()

    def _add(self, kind: str, name: str, raw: str) -> None:
        place = len(self.text)
        after_space = not self.text or self.text[-1].isspace()
        element = Element(raw, "", self.open[-1][0], place, place, after_space=after_space)
        element.is_block = bool(_BREAKS.fullmatch(name))
        self.elements.append(element)
        if kind == "start":
            self.open.append((len(self.elements) - 1, name))
            self.num_open[name] += 1
        if element.is_block:
            self.text += " "

    def _close(self, name: str, raw: str) -> None:
        while self.open[-1][1] != name:
            self._leave_open()
        self.num_open[name] -= 1
        number, _ = self.open.pop()
        self.elements[number].closing = raw
        self.elements[number].end = len(self.text)
        if _BREAKS.fullmatch(name):
            self.text += " "

    def _leave_open(self) -> None:
        """A tag that is never closed stands at one place."""
        number, name = self.open.pop()
        self.num_open[name] -= 1
        self.elements[number].holds_nothing = True

    def _finish_kept(self, number: int, place: int, closing: str) -> None:
        element = self.elements[number]
        element.kept, element.closing = self.html[element.end : place], closing
        element.text = _SPACES.sub(" ", element.text).strip()
        self.text += element.text
        element.end = len(self.text)

    def _count(self) -> Fragment:
        """Counts places without spaces, which translators add and drop."""
        counts = [0, *itertools.accumulate(not letter.isspace() for letter in self.text)]
        for element in self.elements:
            if element.holds_nothing:
                element.end = element.start
            if self.elements[element.parent].holds_nothing:  # whose own parent is right already
                element.parent = self.elements[element.parent].parent
            inner = self.text[element.start : element.end].strip()
            low, high = without_marks(inner)
            element.starts_with_mark, element.ends_in_mark = low > 0, high < len(inner)
            element.start, element.end = counts[element.start], counts[element.end]
        is_kept = any(element.text for element in self.elements)
        is_kept = is_kept and not _WORD.search(self.to_translate)
        return Fragment(_SPACES.sub(" ", self.text).strip(), self.elements, is_kept)


def _cleaned(text: str) -> str:
    """Text as translators see it, but for spaces around it."""
    return CONTROL.sub(" ", normalize("NFC", text))


class _Placing:
    """Finds a place in a translation for each element of its source."""

    def __init__(self, fragment: Fragment, translation: "Translation") -> None:
        self.elements = fragment.elements
        self.text = translation.text
        self.words = find_stretches(fragment.text, translation)
        self.owners = [0] * len(self.words)  # the innermost element of each stretch
        self.runs = [(0, 0)] * len(self.elements)  # stretches of each element
        self.places = [(0, 0)] * len(self.elements)  # characters of each element
        self.children: list[list[int]] = [[] for _ in self.elements]

    def write(self) -> str:
        self.runs[0], self.places[0] = (0, len(self.words)), (0, len(self.text))
        points = []
        for number, element in enumerate(self.elements[1:], 1):
            self.children[element.parent].append(number)
            if not (self._place_kept(number) or self._place_around(number)):
                points.append(number)
        for number in points:
            self._place_between(number)
        return self._render()

    def _fills_parent(self, number: int) -> bool:
        """Whether all the text around an element stands in it."""
        element = self.elements[number]
        parent = self.elements[element.parent]
        return (element.start, element.end) == (parent.start, parent.end)

    def _place_kept(self, number: int) -> bool:
        """Finds what must not be translated where it stands in the translation as it is."""
        element = self.elements[number]
        if not element.text:
            return False
        best: tuple[int, int, int] | None = None
        start = self.text.find(element.text)
        while start >= 0:
            end = start + len(element.text)
            run = [
                index
                for index, word in enumerate(self.words)
                if word.start < end and start < word.end
            ]
            if parts_word(self.text, start) or parts_word(self.text, end):
                run = []
            if run and all(self.owners[index] == element.parent for index in run):
                worth = sum(self._worth(number)[index] for index in run)
                if best is None or worth > best[0]:
                    best = worth, start, run[0]
                    self.runs[number] = run[0], run[-1] + 1
            start = self.text.find(element.text, start + 1)
        if best is None:
            return False
        self._take(number, (best[1], best[1] + len(element.text)))
        return True

    def _worth(self, number: int) -> list[int]:
        """Of each stretch for an element."""
        low, high = self.elements[number].start, self.elements[number].end
        return [
            _UNLINKED
            if not word.sources
            else _INSIDE
            if any(max(each.start, low) < min(each.stop, high) for each in word.sources)
            else _OUTSIDE
            for word in self.words
        ]

    def _place_around(self, number: int) -> bool:
        """Finds the neighbouring target words that came from an element's own."""
        element = self.elements[number]
        if element.start == element.end:
            return False
        worth = [1] * len(self.words) if self._fills_parent(number) else self._worth(number)
        best, total, first = 0, 0, 0
        for index, owner in enumerate(self.owners):
            if owner != element.parent:
                total = 0
                continue
            if total <= 0:
                total, first = 0, index
            total += worth[index]
            if total > best:
                best, self.runs[number] = total, (first, index + 1)
        if best:
            self._take_words(number)
        return best > 0

    def _take_words(self, number: int) -> None:
        """Gives an element its words, without marks around them if its source words have none."""
        element = self.elements[number]
        begin, last = self.words[self.runs[number][0]], self.words[self.runs[number][1] - 1]
        start, end = begin.start, last.end
        if self._fills_parent(number):
            start, end = self.places[element.parent]
        elif not element.is_block:
            start = start if element.starts_with_mark else begin.inner[0]
            end = end if element.ends_in_mark else last.inner[1]
        self._take(number, (start, max(start, end)))

    def _take(self, number: int, place: tuple[int, int]) -> None:
        """Gives an element its words, and its place within its parent's."""
        first, end = self.runs[number]
        self.owners[first:end] = [number] * (end - first)
        low, high = self.places[self.elements[number].parent]
        self.places[number] = min(max(place[0], low), high), min(max(place[1], low), high)

    def _place_between(self, number: int) -> None:
        """Finds the place between two target words that the fewest links cross."""
        element = self.elements[number]
        first, end = self.runs[element.parent]
        # Links from before the border should end before the place, and others behind it.
        costs = [0] * (len(self.words) + 1)
        for index, word in enumerate(self.words):
            before = sum(source.start < element.start for source in word.sources)
            costs[index + 1] = costs[index] + len(word.sources) - 2 * before
        places = list(range(first, end + 1))
        if element.start >= self.elements[0].end:
            places.reverse()
        best = min(places, key=costs.__getitem__)
        near = [index for index in (best, best - 1) if first <= index < end]
        own = [index for index in near if self.owners[index] == element.parent]
        own = [index for index in own if not self.words[index].is_item]
        # Better a word nearby than no word, unless it would be written over.
        if element.start < element.end and own and element.kept is None:
            self.runs[number] = own[0], own[0] + 1
            self._take_words(number)
            return
        low, high = self.places[element.parent]
        if best in (first, end):
            character = low if best == first and (best < end or not element.start) else high
        elif element.after_space:
            character = self.words[best].start
        else:
            character = self.words[best - 1].end
        self.runs[number] = best, best
        self.places[number] = character, character

    def _render(self) -> str:
        """Writes the innermost elements first, so that no depth is too much."""
        written = [""] * len(self.elements)
        for number in reversed(range(len(self.elements))):
            element = self.elements[number]
            start, end = self.places[number]
            parts = []
            for child in sorted(self.children[number], key=lambda child: self.places[child]):
                parts += [escape(self.text[start : self.places[child][0]], quote=False)]
                parts += [written[child]]
                start = max(start, self.places[child][1])
            parts.append(escape(self.text[start:end], quote=False))
            inner = "".join(parts) if element.kept is None else element.kept
            written[number] = f"{element.opening}{inner}{element.closing}"
        return written[0]
