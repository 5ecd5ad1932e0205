"""What rules mean, written on whole texts with regular expressions, and every sentence tried."""

import re
from collections.abc import Callable, Iterator, Sequence

from plain_search import Found
from prefix_network import EOS, PrefixNetwork

from seq2seq.decoding.spelling import Spelling

# Of each id; the first four are padding, the unknown piece, the begin and the end of a text.
SPELT: tuple[str | int | None, ...] = (None, "?", None, None, " a", "b", "ab", " ", ".")


def text_of(ids: Sequence[int], spelt: Sequence[str | int | None] = SPELT) -> str:
    encoded = b"".join(
        bytes([piece]) if isinstance(piece, int) else (piece or "").encode()
        for piece in (spelt[id_] for id_ in ids)
    )
    return encoded.decode(errors="replace").removeprefix(" ")


def count(phrase: str, text: str, *, whole_words: bool = True) -> int:
    """How often a phrase stands in a text."""
    before = r"(?<!\w)" if whole_words and re.match(r"\w", phrase[0]) else ""
    after = r"(?!\w)" if whole_words and re.match(r"\w", phrase[-1]) else ""
    return len(re.findall(before + re.escape(phrase) + after, text))


def repeats(ids: Sequence[int], size: int) -> bool:
    """Whether a sequence of so many ids stands twice in them."""
    grams = [tuple(ids[start : start + size]) for start in range(len(ids) - size + 1)]
    return len(set(grams)) < len(grams)


def sentences_of(
    network: PrefixNetwork,
    sentence: int,
    *,
    longest: int,
    obeys: Callable[[list[int]], bool],
    spelling: Spelling,
) -> Iterator[Found]:
    """Every sentence of at most so many ids, the end counted, that obeys."""
    words = [id_ for id_, spelt in enumerate(spelling.spelt) if spelt is not None and id_ != 1]

    def continued(ids: list[int], total: float) -> Iterator[Found]:
        log_probabilities = network.log_probabilities(sentence, tuple(ids))
        if obeys(ids):
            yield [*ids, EOS], total + log_probabilities[EOS], False
        if len(ids) + 1 < longest:
            for id_ in words:
                yield from continued([*ids, id_], total + log_probabilities[id_])

    return continued([], 0.0)
