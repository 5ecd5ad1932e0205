"""How lines hold sentences and their translations: one line in is one line out in every format.

To add a format, write a subclass of `Format` and one line of `FORMATS`.
"""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seq2seq.config import ConfigurationError
from seq2seq.source import Source

if TYPE_CHECKING:
    from seq2seq.translation import Translation

_CONTROL_IN_COLUMNS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f]")  # a tab parts columns
# Control characters that `json` leaves, and lone surrogates, which are no text in UTF-8.
_UNFIT_FOR_JSON = re.compile("[\x7f-\x9f\ud800-\udfff]")


def json_line(values: Mapping[str, Any]) -> str:
    """An object as one line that holds no control characters."""
    text = json.dumps(values, ensure_ascii=False)
    return _UNFIT_FOR_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class Format:
    """Reads the source sentence of a line and writes the line of its translation."""

    def read(self, line: str, number: int) -> Source:
        """The source of input line `number`, counted from 1."""
        return Source(line)

    def write(self, line: str, translation: "Translation") -> str:
        """The output line, without its end, for an input line."""
        return translation.text

    def check(self, n_best: int | None) -> None:
        """Refuses settings that the format has no room for."""


class Text(Format):
    """A sentence per line and nothing else."""

    def check(self, n_best: int | None) -> None:
        """See `Format.check`."""
        if (n_best or 1) > 1:
            raise ConfigurationError(
                f"`--n_best` {n_best} has no room in `--format text`; use `--format tsv` or jsonl."
            )


class Tsv(Format):
    """Columns: those of the input line, the first being the source; then text and score of each.

    With one hypothesis and a plain sentence as input that is source, translation, score.
    """

    def read(self, line: str, number: int) -> Source:
        """See `Format.read`."""
        return Source(line.split("\t", 1)[0])

    def write(self, line: str, translation: "Translation") -> str:
        """See `Format.write`."""
        columns = [_CONTROL_IN_COLUMNS.sub(" ", line)]
        for alternative in translation.alternatives:
            columns += [alternative.text, f"{alternative.score:.6f}"]
        return "\t".join(columns)


class Jsonl(Format):
    """An object per line. Input lines are plain sentences or objects with a `source`.

    Other members of an input object are handed on; those of the translation come after them.
    """

    def read(self, line: str, number: int) -> Source:
        """See `Format.read`."""
        if not line.startswith("{"):
            return Source(line)
        try:
            source = json.loads(line).get("source")
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"line {number} of the input is no JSON object.") from error
        if not isinstance(source, str):
            raise ConfigurationError(f'line {number} of the input has no text as its "source".')
        return Source(source)

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
            "alternatives": [
                {"text": a.text, "score": a.score, "log_probability": a.log_probability}
                for a in translation.alternatives
            ],
        }
        return json_line(values)


FORMATS: dict[str, Format] = {"text": Text(), "tsv": Tsv(), "jsonl": Jsonl()}
