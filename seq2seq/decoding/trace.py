"""What one sentence's beam search saw at every step, kept only for those who ask for it."""

from dataclasses import dataclass, field

from seq2seq.decoding.beam import Leaf
from seq2seq.decoding.vocabulary import Candidate


@dataclass
class Trace:
    """The search of one sentence, from which its tree can be drawn.

    Rows of the first step are the begin symbol, as many as groups of the beam.
    """

    offered: list[list[Candidate]] = field(default_factory=list)
    """Of each step the best continuations of its rows, those of each group best first."""
    kept: list[list[Candidate]] = field(default_factory=list)
    """Of each step what its survivors are, the rows of the next step; -inf in those that only fill
    up, and none where the search was done."""
    max_length: int = 0
    """Of hypotheses, in ids."""
    leaves: list[Leaf] = field(default_factory=list)
    """The hypotheses that grow no more, as the search found them."""
