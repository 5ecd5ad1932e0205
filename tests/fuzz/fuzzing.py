"""Seeded damage for everything that is read, and the promise that every reader keeps.

A reader works, or it raises a ConfigurationError of one short sentence. It raises nothing else,
ends within seconds and takes little memory. A case is a function of a `random.Random`; when it
fails, the note of its error names the seed, and `fuzz(case, 1, first=SEED)` is that case again.
"""

import random
import resource
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

import pytest

from seq2seq.config import ConfigurationError

CASES = pytest.mark.parametrize("cases", [500, pytest.param(10_000, marks=pytest.mark.slow)])
T = TypeVar("T")
_SECONDS = 30  # of a case, of which none takes one
_MEMORY = 1 << 30  # bytes of a case, besides what the process has
_LONGEST_MESSAGE = 700

# What files of this world hold, or what once broke a program.
TEXTS = [
    *("\0", "\x1b[2J", "\x85", "\ufeff", "\r\n", "\r", "\n", "\n\n", "\t", "\v", "\f", "\x7f", " "),
    *("\u2028", "\u2029", "\u00a0", "\u200b", "\u202e", "\u2066", "e" + "\u0301" * 40, "\u2581"),
    *("ﷺ", "👩‍👩‍👧", "\U0010ffff", "\ue000\ue001", "नमस्ते", "שלום", "가", "ｱ", "İ", "ß", "ﬁ"),
    *(
        "0",
        "-1",
        "1e400",
        "1e-400",
        "NaN",
        "Infinity",
        "-.inf",
        "9" * 30,
        "9" * 5000,
        "0x" + "f" * 40,
    ),
    *(
        "1:30:59.5",
        "2024-02-30",
        "null",
        "~",
        "true",
        "no",
        "'",
        '"',
        '""',
        "\\",
        "\\ud800",
        "\\x00",
    ),
    *("[", "]", "{", "}", "[" * 3000, '{"a":' * 3000, "- " * 3000, "{}", "[]", ",", ";", ":", ": "),
    *(
        "../../x",
        "/dev/zero",
        "~root",
        "C:\\x",
        "%s",
        "{0}",
        "${HOME}",
        "`id`",
        "<script>",
        "&amp;",
    ),
    *(
        "&a [*a, *a]",
        "*a",
        "<<: {a: 1}",
        "---\n",
        "...\n",
        "%YAML 9.9\n",
        "|\n",
        "? ",
        "#",
        "@",
        "!",
    ),
    *(
        "!!python/object/apply:os.system ['true']",
        "!!bool 3",
        "!!binary x",
        "!!timestamp x",
        "!!int ''",
    ),
]
BYTES = [
    *(
        b"\xff",
        b"\xfe\xff",
        b"\xc3\x28",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xc0\x80",
        b"\xef\xbb\xbf",
    ),
    *(
        b"\x80\x04\x95",
        b"PK\x03\x04",
        b"\x1f\x8b\x08",
        b"PAR1",
        b"\0" * 8,
        b"\xff" * 8,
        b"\x7f" * 8,
    ),
    *(text.encode() for text in TEXTS),
]
_VALUES = [None, True, 0, -1, 0.5, 10**400, 1e400, float("nan"), "", "\ud800", [], {}, [[]], [None]]
_LONG = b"x" * 1_000_000


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The data after one mutation, or a few."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice(_MUTATIONS)(data, rng)
    return data


def nasty(rng: random.Random) -> bytes:
    """A piece of trouble; one in 200 is a megabyte long."""
    return _LONG if rng.random() < 0.005 else rng.choice(BYTES)


def damage_file(file: Path, rng: random.Random) -> None:
    """Writes a file anew with other bytes in it."""
    file.write_bytes(damaged(file.read_bytes(), rng))


def damaged_tree(tree: Any, rng: random.Random) -> Any:
    """Plain values of lists and objects, with another value or key somewhere among them."""
    if isinstance(tree, (dict, list)) and tree and rng.random() < 0.8:
        place = rng.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
        changed = tree.copy()
        if rng.random() < 0.1:
            value = changed.pop(place)
            if isinstance(changed, dict) and rng.random() < 0.7:
                changed[rng.choice(TEXTS)] = value
        else:
            changed[place] = damaged_tree(tree[place], rng)
        return changed
    return rng.choice([*_VALUES, rng.choice(TEXTS), [tree], {"a": tree}, str(tree)])


def fuzz(case: Callable[[random.Random], object], cases: int, *, first: int = 0) -> Counter[str]:
    """Runs many cases of a reader.

    Returns:
        How many "worked" and how many were "refused".
    """
    outcomes: Counter[str] = Counter()
    with _limited_memory():
        for seed in range(first, first + cases):
            try:
                with _limited_time():
                    case(random.Random(seed))
                outcomes["worked"] += 1
            except ConfigurationError as error:
                outcomes["refused"] += 1
                assert is_sentence(str(error)), f"seed {seed}: {error}"
            except BaseException as error:
                error.add_note(f"This was the case of seed {seed}.")
                raise
    return outcomes


def or_error(read: Callable[[], T]) -> T | None:
    """What `read` gives, None if it refuses with a sentence; what else is raised goes on."""
    try:
        return read()
    except ConfigurationError as error:
        assert is_sentence(str(error)), str(error)
        return None


def is_sentence(message: str) -> bool:
    """Whether a message, as `exits` prints it, is one line that people read to its end."""
    line = " ".join(message.split())
    return len(line) < _LONGEST_MESSAGE and line.endswith((".", "?"))


def _place(data: bytes, rng: random.Random) -> int:
    """Anywhere, or near the beginning or the end, where headers stand."""
    near = min(len(data), 64)
    return rng.choice(
        (rng.randint(0, len(data)), rng.randint(0, near), len(data) - rng.randint(0, near))
    )


def _stretch(data: bytes, rng: random.Random) -> tuple[int, int]:
    start = _place(data, rng)
    return start, min(len(data), start + rng.choice((1, 2, 4, 8, 30, 200)))


def _flip(data: bytes, rng: random.Random) -> bytes:
    place = min(_place(data, rng), len(data) - 1)
    return (
        data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
        if data
        else b""
    )


def _truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: _place(data, rng)]


def _delete(data: bytes, rng: random.Random) -> bytes:
    start, stop = _stretch(data, rng)
    return data[:start] + data[stop:]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    start, stop = _stretch(data, rng)
    return data[:stop] + data[start:stop] * rng.choice((1, 1, 5, 500)) + data[stop:]


def _splice(data: bytes, rng: random.Random) -> bytes:
    (start, stop), place = _stretch(data, rng), _place(data, rng)
    return data[:place] + data[start:stop] + data[place:]


def _insert(data: bytes, rng: random.Random) -> bytes:
    place = _place(data, rng)
    return data[:place] + nasty(rng) + data[place:]


def _replace(data: bytes, rng: random.Random) -> bytes:
    start, stop = _stretch(data, rng)
    return data[:start] + nasty(rng) + data[stop:]


def _replace_word(data: bytes, rng: random.Random) -> bytes:
    """Puts trouble in the place of a whole value."""
    words = data.split(b" ")
    words[rng.randrange(len(words))] = nasty(rng)
    return b" ".join(words)


def _swap_lines(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


_MUTATIONS = (
    *(_flip, _truncate, _delete, _repeat, _splice),
    *(_insert, _replace, _replace_word, _swap_lines),
)


@contextmanager
def _limited_time() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise _Hang(f"A case takes more than {_SECONDS} seconds.")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _limited_memory() -> Iterator[None]:
    """Makes it an error to take much more memory than there is."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + _MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


class _Hang(BaseException):
    """A case that does not end; no reader may catch it."""
