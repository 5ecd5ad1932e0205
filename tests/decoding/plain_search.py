"""What the search must find, written in the plainest way: lists, one sentence, no early end."""

import math
from itertools import product

from prefix_network import BOS, EOS, PAD, PrefixNetwork

Found = tuple[list[int], float, bool]  # ids, log-probability, truncated


def plain_penalty(length: int, exponent: float, kind: str) -> float:
    length = max(length, 1)
    return length**exponent if kind == "power" else ((5 + length) / (5 + 1)) ** exponent


def plain_rank(found: list[Found], exponent: float, kind: str, n_best: int) -> list[Found]:
    def place(each: Found) -> tuple[bool, float]:
        ids, log_probability, truncated = each
        return truncated, -log_probability / plain_penalty(len(ids), exponent, kind)

    return sorted(found, key=place)[:n_best]


def plain_beam_search(
    network: PrefixNetwork,
    sentence: int,
    *,
    beam_size: int,
    max_length: int,
    min_length: int = 0,
    forbidden_ids: tuple[int, ...] = (PAD, BOS),
    length_penalty: float = 1.0,
    length_penalty_kind: str = "power",
    n_best: int = 1,
) -> list[Found]:
    living: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    ended: list[Found] = []
    truncated: list[Found] = []
    for length in range(1, max_length + 1):
        candidates = []
        for prefix, total in living:
            for id_, log_probability in enumerate(network.log_probabilities(sentence, prefix)):
                allowed = id_ not in forbidden_ids and (id_ != EOS or length > min_length)
                if allowed and log_probability > -math.inf:
                    candidates.append(((*prefix, id_), total + log_probability))
        candidates.sort(key=lambda candidate: -candidate[1])
        counted = candidates[:beam_size]
        ended += [(list(ids), total, False) for ids, total in counted if ids[-1] == EOS]
        if not candidates and not ended:
            truncated = [(list(ids), total, True) for ids, total in living]
        if length == max_length:
            truncated += [(list(ids), total, True) for ids, total in counted if ids[-1] != EOS]
        living = [each for each in candidates if each[0][-1] != EOS][:beam_size]
        if not living:
            break
        if len(ended) >= beam_size:
            best = plain_rank(ended, length_penalty, length_penalty_kind, n_best)[-1]
            living_score, ended_score = (
                total / plain_penalty(len(ids), length_penalty, length_penalty_kind)
                for ids, total in (living[0], best[:2])
            )
            if living_score <= ended_score:
                break
    return plain_rank(ended + truncated, length_penalty, length_penalty_kind, n_best)


def try_every_sentence(
    network: PrefixNetwork,
    sentence: int,
    *,
    max_length: int,
    min_length: int = 0,
    length_penalty: float = 1.0,
    length_penalty_kind: str = "power",
    n_best: int = 1,
) -> list[Found]:
    words = [id_ for id_ in range(network.vocabulary_size) if id_ not in (PAD, BOS, EOS)]
    found: list[Found] = []
    for length in range(max_length + 1):
        for ids in product(words, repeat=length):
            if min_length <= length < max_length:
                found.append(([*ids, EOS], plain_score(network, sentence, [*ids, EOS]), False))
            if length == max_length:
                found.append((list(ids), plain_score(network, sentence, list(ids)), True))
    possible = [each for each in found if each[1] > -math.inf]
    return plain_rank(possible, length_penalty, length_penalty_kind, n_best)


def plain_score(network: PrefixNetwork, sentence: int, ids: list[int]) -> float:
    return sum(
        network.log_probabilities(sentence, tuple(ids[:position]))[id_]
        for position, id_ in enumerate(ids)
    )
