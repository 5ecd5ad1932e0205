"""How probable given target ids are, by the step function that the search uses."""

import math
from collections.abc import Sequence

import torch

from seq2seq.config import BOS_ID
from seq2seq.decoding.beam_search import State, StepFunction
from seq2seq.decoding.vocabulary import log_probabilities


def score_targets(
    step: StepFunction[State],
    state: State,
    target_ids: Sequence[Sequence[int]],
    *,
    bos_id: int = BOS_ID,
    device: torch.device | str = "cpu",
) -> list[float]:
    """The log-probability of each sentence's target ids.

    Sentences whose ids are used up leave the batch.

    Args:
        step: Maps the last ids [rows] and a state to unnormalised logits [rows, vocabulary_size]
            and the next state.
        state: The state before the first step, one row per sentence.
        target_ids: Without the begin symbol. Nothing is added: whoever asks for a whole sentence
            ends it with the end symbol.
        device: Where the step function expects its ids.

    Returns:
        Natural-log sums over the ids of each sentence; 0 where there are none, -inf where the
        step function rules one out.

    Raises:
        ValueError: If logits are infinite or not a number.
    """
    sums = [0.0] * len(target_ids)
    ids = torch.full((len(target_ids),), bos_id, device=device)
    batch = list(range(len(target_ids)))
    for position in range(max(map(len, target_ids), default=0)):
        staying = [place for place, index in enumerate(batch) if len(target_ids[index]) > position]
        if len(staying) < len(batch):
            rows = torch.tensor(staying, device=device)
            state = state.select_sentences(rows).select(rows)
            ids = ids[rows]
            batch = [batch[place] for place in staying]
        logits, state = step(ids, state)
        ids = torch.tensor([target_ids[index][position] for index in batch], device=device)
        found = log_probabilities(logits, ids.unsqueeze(1)).squeeze(1)
        for index, log_probability in zip(batch, found.tolist(), strict=True):
            sums[index] += log_probability
    if any(map(math.isnan, sums)):
        raise ValueError("The step function gave logits that are infinite or not a number.")
    return sums
