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
from seq2seq.config import ConfigurationError, choose
from seq2seq.exits import INTERRUPTED
from seq2seq.formats import FORMATS
from seq2seq.lines import LineReader, numbered_windows, reason
from seq2seq.model_directory import LEXICON_FILE, RECIPE_FILE, TOKENIZER_FILES, WEIGHTS_FILE
from seq2seq.out_of_memory import is_out_of_memory
from seq2seq.partial_output import ResumeError, Shard
from seq2seq.reading import check_file
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
    device: str
    precision: str
    threads: int | None
    plain: bool
    search: Mapping[str, Any]
    """Settings in place of the recipe's."""


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
        self.translator = Translator.load(
            job.model, job.device, job.precision, job.threads, job.plain
        )
        self.search = self.translator.search_settings(**job.search)
        self.window_size = WINDOW_BATCHES * self.search.batch_size
        self.listener = listener
        self.counts: Counter[str] = Counter()
        """Lines whose translations are "truncated" or "cut"."""
        self._is_first = True

    def translate(self, lines: list[str], first: int) -> bytes:
        """The output of neighbouring lines.

        Args:
            first: Number of the first line in the input, counted from 1.
        """
        sources = [self.format.read(line, number) for number, line in enumerate(lines, first)]
        if self._is_first:
            self.listener.describe(self.translator.describe(self.search))
            self._is_first = False
        num_halved = self.translator.engine.batches.num_halved
        try:
            found = self.translator.translate(sources, with_alignment=False, **self.job.search)
        except TooLongError as error:
            raise ConfigurationError(
                f"line {first + error.index} of the input {error.reason}."
            ) from error
        if self.translator.engine.batches.num_halved and not num_halved:
            self.listener.say(
                "memory does not suffice for some batches, which are halved; a smaller "
                "`--batch_size` is faster."
            )
        self.counts["truncated"] += sum(translation.truncated for translation in found)
        self.counts["cut"] += sum(translation.cut for translation in found)
        pairs = zip(lines, found, strict=True)
        return "".join(f"{self.format.write(*pair)}\n" for pair in pairs).encode()

    def settings(self) -> dict[str, Any]:
        """All that decides the text, by option."""
        return {
            "version": __version__,
            "model": _digest_model(Path(self.job.model)),
            "format": self.job.format,
            "precision": self.translator.precision,
            "plain": self.job.plain,
            **dataclasses.asdict(self.search),
            "window_size": self.window_size,
        }


def translate_stream(
    work: LineTranslator, source_file: Any, target_file: IO[bytes]
) -> Counter[str]:
    """Translates lines as they come.

    Returns:
        Lines that were "repaired", "truncated" or "cut".
    """
    reader = LineReader(source_file)
    for lines in reader.windows(work.window_size):
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
        for window in shard.remaining(numbered_windows(reader, work.window_size)):
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
    """Of the files that a translator is made of, by name."""
    digest = hashlib.sha256()
    for name in sorted([RECIPE_FILE, WEIGHTS_FILE, LEXICON_FILE, *TOKENIZER_FILES]):
        with contextlib.suppress(FileNotFoundError):
            check_file(folder / name, most_bytes=sys.maxsize)
            with open(folder / name, "rb") as opened:
                digest.update(f"{name}\0".encode())
                digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()
