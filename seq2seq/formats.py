"""How lines hold sentences and their translations: one line in is one line out in every format.

To add a format, write a subclass of `Format` and one line of `FORMATS`.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from seq2seq.config import ConfigurationError
from seq2seq.documents import read_paragraph
from seq2seq.languages import is_unspaced
from seq2seq.markup import read_fragment, write_fragment
from seq2seq.source import Source
from seq2seq.subtitles import Subtitles
from seq2seq.subtitles import may_end as subtitles_may_end

if TYPE_CHECKING:
    from seq2seq.alignments import WordAlignment
    from seq2seq.translation import Translation

_CONTROL_BUT_TABS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f]")  # a tab parts columns
# Control characters that `json` leaves, and lone surrogates, which are no text in UTF-8.
_UNFIT_FOR_JSON = re.compile("[\x7f-\x9f\ud800-\udfff]")

MARK = "[?] "
"""Stands before what is below `--min_confidence`, where it is no value of its own."""
_DIGITS = 4  # of weights, probabilities and entropies of words


def json_line(values: Mapping[str, Any]) -> str:
    """An object as one line that holds no control characters."""
    text = json.dumps(values, ensure_ascii=False)
    return _UNFIT_FOR_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class Format:
    """Reads the source sentence of a line and writes the line of its translation."""

    needs_alignment = False
    """Whether it asks where the words of a translation came from."""

    def read(self, line: str, number: int) -> Source:
        """The source of input line `number`, counted from 1."""
        return Source(line)

    def write(self, line: str, translation: "Translation") -> str:
        """The output line, without its end, for an input line."""
        return _marked(translation.text, translation)

    def sources(self, lines: Sequence[str], first: int, language: str) -> list[tuple[int, Source]]:
        """The sources of neighbouring lines, each with the number of its line.

        Args:
            first: Number of the first line in the input, counted from 1.
            language: Of the sources.
        """
        return [(number, self.read(line, number)) for number, line in enumerate(lines, first)]

    def outputs(
        self,
        lines: Sequence[str],
        translations: Sequence["Translation"],
        languages: tuple[str, str],
    ) -> list[str]:
        """The output lines of the same lines, without their ends: one for each.

        Args:
            translations: Of what `sources` gave.
            languages: Of the sources and of the translations.
        """
        return [self.write(*pair) for pair in zip(lines, translations, strict=True)]

    def may_end(self, lines: Sequence[str], *, late: bool) -> bool:
        """Whether what comes after these lines can be translated without them.

        Args:
            late: There are so many that a worse place should do, too.
        """
        return True

    def check(self, n_best: int | None, *, details: bool = False) -> None:
        """Refuses settings that the format has no room for."""


class Text(Format):
    """A sentence per line and nothing else."""

    name = "text"

    def check(self, n_best: int | None, *, details: bool = False) -> None:
        """See `Format.check`."""
        if (n_best or 1) > 1 or details:
            option = "`--details`" if details else f"`--n_best` {n_best}"
            advice = (
                "; use `--format tsv` or jsonl"
                if self.name == "text"
                else ", which holds one translation of each sentence and nothing else"
            )
            raise ConfigurationError(f"{option} has no room in `--format {self.name}`{advice}.")


class Document(Text):
    """A paragraph per line, whose sentences are translated one by one.

    Blank lines stay, and so do spaces, list marks and the like at the beginning of a line.
    """

    name = "document"

    def sources(self, lines: Sequence[str], first: int, language: str) -> list[tuple[int, Source]]:
        """See `Format.sources`."""
        return [
            (number, Source(sentence))
            for number, line in enumerate(lines, first)
            for sentence in read_paragraph(line, language).to_translate()
        ]

    def outputs(
        self,
        lines: Sequence[str],
        translations: Sequence["Translation"],
        languages: tuple[str, str],
    ) -> list[str]:
        """See `Format.outputs`."""
        texts = (_marked(translation.text, translation) for translation in translations)
        source, target = languages
        written = [read_paragraph(line, source).join(texts, target) for line in lines]
        return [_CONTROL_BUT_TABS.sub(" ", line) for line in written]


class Html(Text):
    """A fragment of HTML per line, whose tags end up around the words that came from theirs."""

    name = "html"
    needs_alignment = True

    def read(self, line: str, number: int) -> Source:
        """See `Format.read`."""
        fragment = read_fragment(line)
        return Source("") if fragment.is_kept else Source(fragment.text, copied=fragment.kept)

    def write(self, line: str, translation: "Translation") -> str:
        """See `Format.write`."""
        fragment = read_fragment(line)
        if fragment.is_kept:
            return line
        if translation.is_withheld:
            return ""
        return _marked(write_fragment(fragment, translation), translation)


class Srt(Text):
    """Subtitles: numbers, times, tags and blank lines stay, and so does the number of lines.

    A sentence that runs over several cues is translated as one.
    """

    name = "srt"

    def sources(self, lines: Sequence[str], first: int, language: str) -> list[tuple[int, Source]]:
        """See `Format.sources`.

        Raises:
            ConfigurationError: If a line belongs to no cue.
        """
        return [
            (number, Source(sentence))
            for number, sentence in Subtitles(lines, first, language).to_translate()
        ]

    def outputs(
        self,
        lines: Sequence[str],
        translations: Sequence["Translation"],
        languages: tuple[str, str],
    ) -> list[str]:
        """See `Format.outputs`."""
        texts = (_marked(translation.text, translation) for translation in translations)
        source, target = languages
        runs = (_word_begins(translation, target) for translation in translations)
        written = Subtitles(lines, 1, source).join(texts, target, runs)
        return [_CONTROL_BUT_TABS.sub(" ", line) for line in written]

    def may_end(self, lines: Sequence[str], *, late: bool) -> bool:
        """See `Format.may_end`."""
        return subtitles_may_end(lines, late=late)


class Tsv(Format):
    """Columns: those of the input line, the first being the source; then text and score of each.

    With one hypothesis and a plain sentence as input that is source, translation, score. Where the
    model tells them there follow the confidence, and "doubtful" or "withheld" if it is too low.
    With details the last column is the alignment.
    """

    def read(self, line: str, number: int) -> Source:
        """See `Format.read`."""
        return Source(line.split("\t", 1)[0])

    def write(self, line: str, translation: "Translation") -> str:
        """See `Format.write`."""
        columns = [_CONTROL_BUT_TABS.sub(" ", line)]
        for alternative in translation.alternatives:
            columns += [alternative.text, f"{alternative.score:.6f}"]
        if translation.confidence is not None:
            doubt = "doubtful" if translation.is_doubtful else ""
            doubt = "withheld" if translation.is_withheld else doubt
            columns += [f"{translation.confidence:.4f}", doubt]
        if translation.words is not None:
            columns.append(write_links(translation.links or ()))
        return "\t".join(columns)


def _texts(values: Mapping[str, Any], name: str, number: int) -> tuple[str, ...]:
    """A member of the object in a line that is a list of texts, if it is there."""
    texts = values.get(name, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ConfigurationError(
            f'line {number} of the input has no list of texts as its "{name}".'
        )
    return tuple(texts)


class Jsonl(Format):
    """An object per line. Input lines are plain sentences or objects with a `source`.

    They may also hold a `prefix`, `terms`, `forbidden` and `copied`, as in `Source`. These and all
    other members of an input object are handed on; those of the translation come after them.
    """

    def read(self, line: str, number: int) -> Source:
        """See `Format.read`."""
        if not line.startswith("{"):
            return Source(line)
        try:
            values: dict[str, Any] = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"line {number} of the input is no JSON object.") from error
        if not isinstance(values.get("source"), str):
            raise ConfigurationError(f'line {number} of the input has no text as its "source".')
        prefix = values.get("prefix", "")
        if not isinstance(prefix, str):
            raise ConfigurationError(f'line {number} of the input has no text as its "prefix".')
        names = ("terms", "forbidden", "copied")
        lists: dict[str, Any] = {name: _texts(values, name, number) for name in names}
        return Source(values["source"], prefix, **lists)

    def write(self, line: str, translation: "Translation") -> str:
        """See `Format.write`."""
        values: dict[str, Any] = json.loads(line) if line.startswith("{") else {"source": line}
        values |= {
            "text": translation.text,
            "score": translation.score,
            "log_probability": translation.log_probability,
            "pieces": translation.pieces,
            "source_pieces": translation.source_pieces,
            "truncated": translation.truncated,
            **_further(translation),
            "alternatives": [
                {
                    "text": a.text,
                    "score": a.score,
                    "log_probability": a.log_probability,
                    **_further(a),
                }
                for a in translation.alternatives
            ],
        }
        if translation.confidence is not None:
            values |= {
                "confidence": translation.confidence,
                "doubtful": translation.is_doubtful,
                "withheld": translation.is_withheld,
            }
        if translation.words is not None:
            values |= _details(translation)
        return json_line(values)


def _word_begins(translation: "Translation", language: str) -> list[int]:
    """Where the words of a marked text begin, if no spaces say it."""
    if not is_unspaced(language):
        return []
    from seq2seq.alignments import find_words

    text = _marked(translation.text, translation)
    return [word.start for word in find_words(text, translation.pieces, language)]


def _marked(text: str, translation: "Translation") -> str:
    """A text with the mark before it, if people should be wary of it."""
    return MARK + text if translation.is_doubtful and not translation.is_withheld else text


def _further(translation: "Translation") -> dict[str, float]:
    """What a model of the other direction and a language model think, if they were asked."""
    values = {
        "reverse_log_probability": translation.reverse_log_probability,
        "language_log_probability": translation.language_log_probability,
    }
    return {name: value for name, value in values.items() if value is not None}


def _details(translation: "Translation") -> dict[str, Any]:
    """What is known of each piece and each word."""
    return {
        "piece_log_probabilities": _rounded(translation.piece_log_probabilities),
        "piece_entropies": _rounded(translation.piece_entropies),
        "source_words": translation.source_words,
        "words": [
            {
                "text": word.text,
                "log_probability": round(word.log_probability, _DIGITS),
                "probability": round(math.exp(word.log_probability), _DIGITS),
                "entropy": round(word.entropy, _DIGITS),
                "source": word.sources,
                "weights": _rounded(word.weights),
            }
            for word in translation.words or ()
        ],
        "alignment": None if translation.links is None else write_links(translation.links),
    }


def _rounded(values: Sequence[float] | None) -> list[float]:
    return [round(value, _DIGITS) for value in values or ()]


FORMATS: dict[str, Format] = {
    "text": Text(),
    "tsv": Tsv(),
    "jsonl": Jsonl(),
    "srt": Srt(),
    "document": Document(),
    "html": Html(),
}


def write_links(links: Sequence[tuple[int, int]]) -> str:
    """Links of words in the Pharaoh format, `0-0 1-2`, source first."""
    return " ".join(f"{source}-{target}" for source, target in links)


def _write_soft(aligned: "WordAlignment") -> str:
    return json_line(
        {
            "source_words": aligned.source_words,
            "target_words": aligned.target_words,
            "weights": [_rounded(row) for row in aligned.soft.tolist()],
            "alignment": write_links(aligned.links),
        }
    )


ALIGNMENT_FORMATS: dict[str, Callable[["WordAlignment"], str]] = {
    "pharaoh": lambda aligned: write_links(aligned.links),
    "soft": _write_soft,
}
