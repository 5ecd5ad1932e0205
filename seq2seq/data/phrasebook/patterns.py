"""All sentence patterns by name. A new pattern is one function and one line of its file's table."""

from __future__ import annotations

from collections.abc import Callable

from seq2seq.data.phrasebook.draw import Draw, I
from seq2seq.data.phrasebook.lexicon import nouns_of
from seq2seq.data.phrasebook.patterns_clauses import CLAUSE_PATTERNS
from seq2seq.data.phrasebook.patterns_events import EVENT_PATTERNS
from seq2seq.data.phrasebook.patterns_modals import MODAL_PATTERNS
from seq2seq.data.phrasebook.patterns_states import STATE_PATTERNS, being_something
from seq2seq.data.phrasebook.patterns_travel import TRAVEL_PATTERNS
from seq2seq.data.phrasebook.phrases import Draft

PATTERNS: dict[str, Callable[[Draw], Draft]] = {
    **EVENT_PATTERNS,
    **MODAL_PATTERNS,
    **STATE_PATTERNS,
    **CLAUSE_PATTERNS,
    **TRAVEL_PATTERNS,
}
_CAT = being_something(I, nouns_of("고양이")[0])

FIXED_DRAFTS: tuple[tuple[str, Draft, str], ...] = tuple(
    ("being", _CAT, level) for level in _CAT.levels
)
"""Sentences that are in train whatever the seed: pattern, draft, speech level."""

WEIGHTS = {
    "quality": 4, "quality_negative": 2, "ask_quality": 2, "weather": 2, "this_is": 2,
    "past_without_object": 2,
}  # fmt: skip
"""Patterns that are drawn more often than once a round, for words that few others hold."""
