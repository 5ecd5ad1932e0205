"""Shortlists: the few target pieces that a sentence's translation may be made of.

Knows nothing of networks or text; `training/lexicon.py` learns the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seq2seq.config import EOS_ID, PAD_ID, ConfigurationError


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Into which target pieces each source piece is translated, learnt from alignments.

    Jean et al. (2015), section 3.2, https://arxiv.org/abs/1412.2007: of a whole vocabulary a
    sentence needs the translations of its words, and the most frequent words.
    """

    translations: Tensor
    """[source vocabulary_size, width] int32: target pieces of each source piece, besides the
    frequent ones, the best first; `PAD_ID` where there are no more."""
    frequent: Tensor
    """[num_frequent] int32: target pieces that every sentence may need, the best first."""

    def candidates(self, source_ids: Sequence[Sequence[int]], per_piece: int) -> Tensor:
        """The target ids that each sentence's translation may be made of.

        A row depends on its own sentence alone, and not on the order of its pieces.

        Args:
            source_ids: Ids of each sentence; the end symbol counts as given.
            per_piece: Target pieces for each source piece, at most.

        Returns:
            [sentences, candidates], ascending and without repeats, `EOS_ID` among them, padded at
            the end with `PAD_ID`.

        Raises:
            ValueError: If `per_piece` is below 1.
        """
        if per_piece < 1:
            raise ValueError(f"`per_piece` must be at least 1, but is {per_piece}.")
        longest = max(map(len, source_ids), default=0) + 1
        # Padding with the end symbol adds nothing: it counts for every sentence.
        ids = np.full((len(source_ids), longest), EOS_ID)
        for row, sentence in zip(ids, source_ids, strict=True):
            row[: len(sentence)] = sentence
        translations = self.translations.numpy()[ids, :per_piece].reshape(len(ids), -1)
        always = np.append(self.frequent.numpy(), np.int32(EOS_ID))
        always = np.broadcast_to(always, (len(ids), len(always)))
        # numpy sorts small integers ten times as fast as torch.
        found = np.sort(np.concatenate([translations, always], axis=1), axis=1)
        counts = found != PAD_ID
        counts[:, 1:] &= found[:, 1:] != found[:, :-1]
        # What does not count goes behind all others, where the rows are cut.
        behind = np.iinfo(found.dtype).max
        found = np.sort(np.where(counts, found, behind), axis=1)
        found = found[:, : counts.sum(axis=1).max(initial=0)]
        return torch.from_numpy(np.where(found == behind, PAD_ID, found).astype(np.int64))


def with_ids(candidate_ids: Tensor, further: Sequence[Sequence[int]]) -> Tensor:
    """Candidates with further ids of each sentence, in the form of `Lexicon.candidates`."""
    rows = [
        sorted({*own, *others} - {PAD_ID})
        for own, others in zip(candidate_ids.tolist(), further, strict=True)
    ]
    longest = max(map(len, rows), default=0)
    return torch.tensor([row + [PAD_ID] * (longest - len(row)) for row in rows]).view(-1, longest)


def require_lexicon(lexicon: Lexicon | None, *, attention: str) -> Lexicon:
    """The lexicon of a model from which a shortlist is asked.

    Args:
        attention: As `model.attention`.

    Raises:
        ConfigurationError: If the model has none; says how it gets one, if it can.
    """
    if attention == "none":
        raise ConfigurationError(
            "`search.shortlist` needs a model with attention, from which its table is learnt, but "
            "`model.attention` is none; set it to 0."
        )
    if lexicon is None:
        raise ConfigurationError(
            "`search.shortlist` needs a model with lexicon.safetensors; add it with "
            "`seq2seq lexicon MODEL --source FILE --target FILE`, on files of the training corpus."
        )
    return lexicon
