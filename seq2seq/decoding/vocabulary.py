"""The best ids, and their log-probabilities, among logits as wide as the vocabulary."""

import math

import torch
from torch import Tensor

# Ids per block: a block's largest logit tells whether any of its ids can be among the best.
BLOCK_SIZE = 64
# Logits normalised at a time on a processor, so that the results stay in its cache.
CHUNK_SIZE = 2**19


def best_ids(logits: Tensor, num_ids: int) -> Tensor:
    """The ids of the largest logits of each row, in ascending order of ids.

    Only the `num_ids` blocks with the largest maxima are looked into: every other block has that
    many logits before it. Half the time of `topk` on [320, 8000], a quarter on [320, 32000].

    Args:
        logits: [rows, vocabulary_size].
        num_ids: At most vocabulary_size.

    Returns:
        [rows, num_ids].
    """
    rows, vocabulary_size = logits.shape
    num_blocks = vocabulary_size // BLOCK_SIZE
    # With few blocks or few rows, looking into blocks costs more than it saves.
    if num_blocks < 4 * num_ids or rows < 8 or logits.device.type != "cpu":
        ids = logits.topk(num_ids, sorted=False).indices
        return ids.sort(dim=1).values
    in_blocks = num_blocks * BLOCK_SIZE
    blocks = logits[:, :in_blocks].unflatten(1, (num_blocks, BLOCK_SIZE))
    chosen = blocks.amax(dim=2).topk(num_ids, sorted=False).indices  # [rows, num_ids]
    found = blocks[torch.arange(rows).unsqueeze(1), chosen].flatten(1)
    # The ids after the last whole block are always looked at.
    places = torch.cat([found, logits[:, in_blocks:]], dim=1).topk(num_ids, sorted=False).indices
    block = places.div(BLOCK_SIZE, rounding_mode="floor")
    first_ids = chosen.gather(1, block.clamp_max(num_ids - 1)) * BLOCK_SIZE
    in_tail = block >= num_ids
    ids = torch.where(
        in_tail, places - num_ids * BLOCK_SIZE + in_blocks, first_ids + places % BLOCK_SIZE
    )
    return ids.sort(dim=1).values


def log_probabilities(logits: Tensor, ids: Tensor) -> Tensor:
    """The natural-log probabilities of the chosen ids [rows, num_ids], in float32.

    Those of an id that is impossible (logit -inf) are -inf, even where all ids are. Logits that are
    infinite or not a number elsewhere in a row make that row's results not a number.
    """
    chunk = max(1, CHUNK_SIZE // logits.shape[1]) if logits.device.type == "cpu" else len(logits)
    # torch fuses log_softmax, but not logsumexp, which takes 2 to 4 times as long on a processor.
    parts = [
        rows.float().log_softmax(dim=1).gather(1, chosen)
        for rows, chosen in zip(logits.split(chunk), ids.split(chunk), strict=True)
    ]
    return torch.cat(parts).masked_fill_(logits.gather(1, ids) == -math.inf, -math.inf)
