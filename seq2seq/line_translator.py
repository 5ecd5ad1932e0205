"""Lines in, lines out: what `seq2seq translate` does, as one process or as one of several."""

import contextlib
import dataclasses
import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from seq2seq import __version__
from seq2seq.batches import TooLongError
from seq2seq.confidence import find_other_settings
from seq2seq.config import ConfigurationError, choose, shown
from seq2seq.constraints import ConstraintError
from seq2seq.exits import INTERRUPTED
from seq2seq.formats import FORMATS
from seq2seq.glossary import Glossary, read_glossary, read_phrases
from seq2seq.language_model_directory import LANGUAGE_RECIPE_FILE, TEXT_MODEL_FILE
from seq2seq.lines import LineReader, numbered_windows, reason
from seq2seq.loading import Loading
from seq2seq.model_directory import (
    LEXICON_FILE,
    QUALITY_FILE,
    RECIPE_FILE,
    TOKENIZER_FILES,
    WEIGHTS_FILE,
)
from seq2seq.out_of_memory import is_out_of_memory
from seq2seq.partial_output import ResumeError, Shard
from seq2seq.reading import check_file
from seq2seq.source import Source
from seq2seq.translator import WINDOW_BATCHES, Translator


class TranslationInterrupted(ConfigurationError):
    """Somebody asked to stop; what is translated is kept."""

    exit_code = INTERRUPTED


@dataclass(frozen=True)
class Job:
    """By what means lines are translated; plain values, which other processes can have."""

    model: str
    """The model directory."""
    format: str
    """A name in `FORMATS`."""
    loading: Loading
    search: Mapping[str, Any]
    """Settings in place of the recipe's."""
    reverse: str | None = None
    """The model directory of the other direction, to rank hypotheses anew."""
    details: bool = False
    """Whether what is known of each word is written, too."""
    prefix: str = ""
    """How each translation begins."""
    terms: str | None = None
    """The file of a glossary."""
    forbidden: str | None = None
    """The file of what no translation may say."""


def _ignore(*what: Any) -> None:
    pass


@dataclass(frozen=True)
class Listener:
    """Whom a translation tells how it goes on."""

    say: Callable[[str], None] = _ignore
    """Hears what people should know, in a sentence."""
    begin: Callable[[int, int], None] = _ignore
    """Hears the numbers of the first and last line of a window before it is translated."""
    advance: Callable[[int], None] = _ignore
    """Hears how many lines have just been written."""
    describe: Callable[[str], None] = _ignore
    """Hears by what means lines are translated, which several processes may say alike."""


class LineTranslator:
    """A loaded model that turns lines of a format into lines."""

    def __init__(self, job: Job, listener: Listener) -> None:
        self.job = job
        self.format = choose(FORMATS, job.format, field="format")
        self.translator = Translator.load(job.model, reverse=job.reverse, **vars(job.loading))
        recipe = self.translator.recipe
        pairs = [] if job.terms is None else read_glossary(job.terms)
        self.glossary = Glossary(pairs, recipe.source_language)
        self.forbidden = () if job.forbidden is None else read_phrases(job.forbidden)
        self.languages = recipe.source_language, recipe.target_language
        if self.format.needs_alignment and not self.translator.has_attention:
            raise ConfigurationError(
                f"`--format {job.format}` needs a model with attention, but {job.model} has "
                f"`model.attention` none."
            )
        self.search = self.translator.search_settings(**job.search)
        self.translator.refuse_idle(self.search)
        self.window_size = WINDOW_BATCHES * self.search.batch_size
        self.listener = listener
        self.counts: Counter[str] = Counter()
        """Lines whose translations are "truncated", then perhaps too "short", "cut" or have things
        "preserved" in them."""
        self._is_first = True

    def translate(self, lines: list[str], first: int) -> bytes:
        """The output of neighbouring lines.

        Args:
            first: Number of the first line in the input, counted from 1.
        """
        numbered = self.format.sources(lines, first, self.languages[0])
        sources = [self._with_terms(source) for _, source in numbered]
        if self._is_first:
            self.listener.describe(self.translator.describe(self.search))
            self._describe_confidence()
            self._is_first = False
        num_halved = self.translator.engine.batches.num_halved
        try:
            found = self.translator.translate(
                sources,
                prefix=self.job.prefix,
                forbidden=self.forbidden,
                with_alignment=False,
                with_details=self.job.details or self.format.needs_alignment,
                **self.job.search,
            )
        except TooLongError as error:
            raise ConfigurationError(
                f"line {numbered[error.index][0]} of the input {error.reason}."
            ) from error
        except ConstraintError as error:
            raise ConfigurationError(
                f"line {numbered[error.index][0]} of the input: {error.reason}"
            ) from error
        if self.translator.engine.batches.num_halved and not num_halved:
            self.listener.say(
                "memory does not suffice for some batches, which are halved; a smaller "
                "`--batch_size` is faster."
            )
        num_withheld = sum(translation.is_withheld for translation in found)
        self.counts["withheld"] += num_withheld
        self.counts["marked"] += (
            sum(translation.is_doubtful for translation in found) - num_withheld
        )
        self.counts["truncated"] += sum(translation.truncated for translation in found)
        self.counts["short"] += sum(
            translation.truncated and len(translation.pieces) < self.search.min_length
            for translation in found
        )
        self.counts["cut"] += sum(translation.cut for translation in found)
        self.counts["preserved"] += sum(translation.repaired for translation in found)
        written = self.format.outputs(lines, found, self.languages)
        return "".join(f"{line}\n" for line in written).encode()

    def _describe_confidence(self) -> None:
        """Says if confidences were learnt from translations that were searched otherwise."""
        is_asked_for = self.job.details or self.search.min_confidence
        quality = self.translator.quality if is_asked_for else None
        if quality is None:
            return
        learnt = find_other_settings(quality, self.search)
        if learnt:
            names = " and ".join(f"`{name}` {shown(value)}" for name, value in learnt.items())
            self.listener.describe(
                f"confidence was learnt with {names}; `seq2seq calibrate` learns it anew."
            )

    def _with_terms(self, source: Source) -> Source:
        """A source with what the glossary says of it."""
        glossed = self.glossary.pairs(source.text)
        terms = dict.fromkeys(term for _, term in glossed if term not in source.terms)
        return dataclasses.replace(source, terms=(*source.terms, *terms), glossed=glossed)

    def settings(self) -> dict[str, Any]:
        """All that decides the text, by option."""
        loading = self.job.loading
        return {
            "version": __version__,
            "model": _digest_model(Path(self.job.model)),
            "reverse": self.job.reverse and _digest_model(Path(self.job.reverse)),
            "ensemble": [_digest_model(Path(member)) for member in loading.ensemble],
            "language_model": loading.language_model
            and _digest_model(Path(loading.language_model)),
            "ensemble_weights": loading.ensemble_weights,
            "ensemble_kind": loading.ensemble_kind,
            "format": self.job.format,
            "details": self.job.details,
            "prefix": self.job.prefix,
            "terms": self.job.terms and _digest_file(Path(self.job.terms)),
            "forbidden": self.job.forbidden and _digest_file(Path(self.job.forbidden)),
            "precision": self.translator.precision,
            "plain": loading.plain,
            **dataclasses.asdict(self.search),
            "window_size": self.window_size,
        }


def translate_stream(
    work: LineTranslator, source_file: Any, target_file: IO[bytes]
) -> Counter[str]:
    """Translates lines as they come.

    Returns:
        Lines that were "repaired", and what `LineTranslator.counts` counts.
    """
    reader = LineReader(source_file)
    for lines in reader.windows(work.window_size, may_end=FORMATS[work.job.format].may_end):
        first = reader.num_lines - len(lines) + 1
        target_file.write(work.translate(lines, first))
        target_file.flush()
        work.listener.advance(len(lines))
    return work.counts + Counter(repaired=reader.num_repaired)


def translate_shard(work: LineTranslator, source_file: Any, shard: Shard) -> LineReader:
    """Translates the windows of a shard, which is open, from where it stands to its end.

    Returns:
        The reader, at the end of the input.

    Raises:
        ConfigurationError: If anything fails; says how to go on.
        TranslationInterrupted: After Ctrl-C, likewise.
    """
    reader = LineReader(source_file)
    num_shards = shard.record.settings["devices"]
    work.counts = Counter(shard.record.counts)
    done = shard.record
    with _telling_how_to_go_on(shard):
        windows = numbered_windows(reader, work.window_size, FORMATS[work.job.format].may_end)
        for window in shard.remaining(windows):
            done = dataclasses.replace(done, num_lines=window.last, digest=window.digest)
            if window.number % num_shards == shard.index:
                work.listener.begin(window.first, window.last)
                text = work.translate(window.lines, window.first)
                shard.append(text, dataclasses.replace(done, counts=dict(work.counts)))
                work.listener.advance(len(window.lines))
        shard.finish(dataclasses.replace(done, counts=dict(work.counts)))
    return reader


@contextlib.contextmanager
def _telling_how_to_go_on(shard: Shard) -> Iterator[None]:
    """Turns whatever ends the work early into a sentence that says what is kept, if anything is."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise TranslationInterrupted(_with_advice("interrupted", shard)) from error
    except ResumeError:
        raise
    except ConfigurationError as error:
        raise ConfigurationError(_with_advice(str(error), shard)) from error
    except OSError as error:
        message = f"{error.filename or shard.output}: {reason(error)}"
        raise ConfigurationError(_with_advice(message, shard)) from error
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise ConfigurationError(_with_advice("memory does not suffice", shard)) from error


def _with_advice(message: str, shard: Shard) -> str:
    done = shard.read()  # an interruption may have come just after it was written
    advice = f"; `--resume` goes on after line {done.num_lines:,}" if done else ""
    return f"{message.removesuffix('.')}{advice}."


def _digest_model(folder: Path) -> str:
    """Of the files that a translator or a language model is made of, by name."""
    digest = hashlib.sha256()
    names = [RECIPE_FILE, WEIGHTS_FILE, LEXICON_FILE, QUALITY_FILE, *TOKENIZER_FILES]
    for name in sorted([*names, LANGUAGE_RECIPE_FILE, TEXT_MODEL_FILE]):
        with contextlib.suppress(FileNotFoundError):
            found = _digest_file(folder / name)
            digest.update(f"{name}\0".encode())
            digest.update(bytes.fromhex(found))
    return digest.hexdigest()


def _digest_file(path: Path) -> str:
    check_file(path, most_bytes=sys.maxsize)
    with open(path, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
