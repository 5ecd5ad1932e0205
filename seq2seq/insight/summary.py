"""What the encoder's last state knows of a sentence: many to one, seen in two dimensions.

For each sentence the state is the one vector that a fixed context hands to the decoder: the hidden
state of the top layer after the last step, both directions side by side.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from seq2seq.config import Recipe, choose
from seq2seq.data.batch import make_batch
from seq2seq.insight.figure import (
    MARGIN,
    document,
    text,
    title_height,
    title_lines,
    wrap,
    wrap_title,
)
from seq2seq.insight.probes import NUM_FOLDS, NUM_SHUFFLES, Probe, SummaryProbe, probe
from seq2seq.insight.recording import plain_network
from seq2seq.insight.summary_panels import (
    COLUMN,
    NUM_LOOKS,
    RING_KEY,
    STYLE,
    Point,
    legend,
    looks_of,
    nearest_list,
    probe_rows,
    scatter,
)
from seq2seq.models.encoder import Encoder
from seq2seq.models.encoder_decoder import build_model
from seq2seq.models.products import plain_path
from seq2seq.preparation import clean_side
from seq2seq.translator import Translator

NUM_NEAREST = 3
_BATCH_SIZE = 100  # sentences
_MOST_POINTS = 300  # drawn for each model, so that a page stays small
_NUM_EXAMPLES = 3
_GAP = 36  # pixels between the columns
_NOTE_SIZE = 13  # pixels of letters
_SMALLEST = 0.85  # of its size: letters of eleven pixels

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Summary:
    """The states of sentences, and what can be read off them."""

    name: str
    """Of the model, with its cell and attention."""
    language: str
    """Of the sentences."""
    sentences: Sequence[str]
    labels: Mapping[str, Sequence[str]]
    is_held_out: Sequence[bool]
    points: Sequence[tuple[float, float]]
    """Of each state, where it lies along the two axes of greatest variance."""
    explained: tuple[float, float]
    """Share of the variance of the states that each axis has."""
    nearest: Sequence[Sequence[tuple[int, float]]]
    """For each sentence the indices of the nearest others, and the cosines of their states, less
    the mean of all, with its own; the nearest first."""
    probes: Mapping[str, SummaryProbe]
    """By property, but for those in `not_probed`."""
    not_probed: Mapping[str, str]
    """Properties of which too little is known, and what is lacking."""


def find_summary(
    translator: Translator,
    sentences: Sequence[str],
    labels: Mapping[str, Sequence[str]],
    is_held_out: Sequence[bool] | None = None,
) -> Summary:
    """Encodes sentences, projects their states, and probes them for what is known of them.

    Conneau et al. (2018), https://aclanthology.org/P18-1198, on the probes and the untrained
    network beside them.

    Args:
        translator: Loaded with `plain=True`.
        labels: By property, one for each sentence; `UNKNOWN` where it is not known.
        is_held_out: Which sentences test the probes; every second one if not given.

    Raises:
        ValueError: If there are fewer than three sentences, or the translator is no single network
            on the plain path.
    """
    if len(sentences) < 3:
        raise ValueError(f"A summary needs at least three sentences, but has {len(sentences)}.")
    held_out = [i % 2 == 1 for i in range(len(sentences))] if is_held_out is None else is_held_out
    states = encode(translator, plain_network(translator).encoder, sentences)
    untrained = encode(translator, _untrained_encoder(translator), sentences)
    points, explained = project(states)
    not_probed = why_not_probed(labels, held_out)
    return Summary(
        name=_describe(translator.recipe),
        language=translator.recipe.source_language,
        sentences=sentences,
        labels=labels,
        is_held_out=held_out,
        points=[(float(x), float(y)) for x, y in points],
        explained=explained,
        nearest=_find_nearest(states),
        probes={
            name: SummaryProbe(
                _probe(states, values, held_out, num_shuffles=NUM_SHUFFLES),
                _probe(untrained, values, held_out, num_shuffles=0),
            )
            for name, values in labels.items()
            if name not in not_probed
        },
        not_probed=not_probed,
    )


def why_not_probed(
    labels: Mapping[str, Sequence[str]], is_held_out: Sequence[bool]
) -> dict[str, str]:
    """Properties that no probe can be trained and tested on, and what each lacks.

    Args:
        labels: As in `find_summary`, and so is `is_held_out`.
    """
    reasons = {}
    for name, values in labels.items():
        known = [(value, side) for value, side in zip(values, is_held_out, strict=True) if value]
        training = [value for value, side in known if not side]
        if len(training) < NUM_FOLDS:
            reasons[name] = f"fewer than {NUM_FOLDS} training sentences have a label"
        elif len(set(training)) == 1:
            reasons[name] = f"all training sentences are {training[0]}"
        elif len(training) == len(known):
            reasons[name] = "no held-out sentence has a label"
    return reasons


def encode(translator: Translator, encoder: Encoder, sentences: Sequence[str]) -> Floats:
    """The state in which an encoder leaves each sentence, [num_sentences, encoder_size].

    Args:
        translator: Whose tokenizer and cleaning hold; nothing is split, however long.
    """
    cleaned = clean_side(sentences, translator.recipe, "source")
    ids = translator.tokenizers.source.encode_batch(cleaned)
    by_length = sorted(range(len(ids)), key=lambda index: len(ids[index]))
    states = np.empty((len(ids), translator.recipe.model.hidden_size))
    with torch.inference_mode(), plain_path(True):
        for start in range(0, len(ids), _BATCH_SIZE):
            rows = by_length[start : start + _BATCH_SIZE]
            batch = make_batch([ids[row] for row in rows], [[] for _ in rows]).to(translator.device)
            encoded = encoder(batch.source_ids, batch.source_lengths)
            states[rows] = encoded.final_state[0][-1].double().cpu().numpy()
    return states


def project(states: Floats) -> tuple[Floats, tuple[float, float]]:
    """Principal components: states less their mean, along the two axes of greatest variance.

    Pearson (1901). Axes point where their greatest weight is positive, so that figures repeat.

    Returns:
        [num_sentences, 2], and the share of the variance that each axis has.
    """
    centred = states - states.mean(0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    first = axes[:2] * np.sign(axes[[0, 1], np.abs(axes[:2]).argmax(1)])[:, None]
    total = max(float((sizes**2).sum()), np.finfo(np.float64).tiny)
    return centred @ first.T, (float(sizes[0] ** 2 / total), float(sizes[1] ** 2 / total))


def draw_summary(
    *summaries: Summary, colour_by: str = "tense", highlight: str | None = None
) -> str:
    """Draws the held-out sentences in two dimensions, what probes read, and nearest sentences.

    Args:
        summaries: One for each model, of the same sentences; a column each.
        colour_by: The property whose labels have colours and shapes.
        highlight: A sentence that is ringed, and whose nearest are shown; otherwise those of some
            that lie evenly among the held-out ones.

    Returns:
        A self-contained SVG document.

    Raises:
        ConfigurationError: If no property has the name.
    """
    first = summaries[0]
    labels = choose(first.labels, colour_by, field="colour_by")
    held_out = [index for index, is_held_out in enumerate(first.is_held_out) if is_held_out]
    frequent = Counter(labels[index] for index in held_out if labels[index]).most_common(NUM_LOOKS)
    drawn = _choose_points(held_out, labels, [label for label, _ in frequent])
    examples = _spread(held_out, _NUM_EXAMPLES)
    total = f"{len(drawn):,} of {len(held_out):,}" if len(drawn) < len(held_out) else len(drawn)
    title = f"The encoder's last states of {total} held-out sentences, by {colour_by}"
    if highlight is not None:
        examples = [list(first.sentences).index(highlight)]
        drawn = [*(index for index in drawn if index not in examples), *examples]
        others = len(drawn) - 1
        title = f"{highlight} Its summary vector (ringed) among those of {others} other sentences"
    looks = looks_of([labels[index] for index in drawn], [label for label, _ in frequent])
    width = 2 * MARGIN + len(summaries) * COLUMN + (len(summaries) - 1) * _GAP
    lines = wrap_title(title, width)
    keys = [(each.shape, each.classes, each.name) for each in dict.fromkeys(looks.values())]
    key, height = legend(keys if highlight is None else [RING_KEY, *keys], width - 2 * MARGIN)
    top = title_height(lines) + 8
    body = [*title_lines(lines), f'<g transform="translate({MARGIN} {top:g})">{key}</g>']
    top += height + 8
    bottom = top
    for column, summary in enumerate(summaries):
        points = [
            Point(*summary.points[index], looks[labels[index]], _hover(summary, labels, index))
            for index in drawn
        ]
        parts, end = _draw_column(summary, points, examples, is_ringed=highlight is not None)
        left = MARGIN + column * (COLUMN + _GAP)
        body.append(f'<g transform="translate({left} {top:g})">{"".join(parts)}</g>')
        bottom = max(bottom, top + end)
    return document(
        body,
        title=title,
        width=width,
        height=bottom + MARGIN,
        kind="summary",
        style=STYLE,
        smallest=_SMALLEST,
    )


def _describe(recipe: Recipe) -> str:
    attention = {"none": "no attention"}.get(
        recipe.model.attention, f"{recipe.model.attention.capitalize()} attention"
    )
    return f"{recipe.name} ({recipe.model.cell.upper()}, {attention})"


def _untrained_encoder(translator: Translator) -> Encoder:
    sides = translator.tokenizers
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(translator.recipe.training.seed)
        model = build_model(
            translator.recipe.model, sides.source.vocabulary_size, sides.target.vocabulary_size
        )
    return model.encoder.eval().to(translator.device)


def _find_nearest(states: Floats) -> list[list[tuple[int, float]]]:
    centred = states - states.mean(0)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    directions = centred / np.maximum(lengths, np.finfo(np.float64).tiny)
    nearest = []
    for index, direction in enumerate(directions):  # one row at a time, for large sets
        cosines = directions @ direction
        cosines[index] = -np.inf
        best = np.argsort(-cosines, kind="stable")[:NUM_NEAREST]
        nearest.append([(int(other), float(cosines[other])) for other in best])
    return nearest


def _probe(
    states: Floats, values: Sequence[str], held_out: Sequence[bool], *, num_shuffles: int
) -> Probe:
    training, others = (
        [i for i, value in enumerate(values) if value and held_out[i] == side]
        for side in (False, True)
    )
    return probe(
        states[training],
        [values[i] for i in training],
        states[others],
        [values[i] for i in others],
        num_shuffles=num_shuffles,
    )


def _choose_points(
    held_out: Sequence[int], labels: Sequence[str], frequent: Sequence[str]
) -> list[int]:
    """Held-out sentences that are drawn; at least half of them, if there are, of frequent labels.

    Otherwise rare labels, such as those of a hundred patterns, would have a point or two each.
    """
    own = [index for index in held_out if labels[index] in frequent]
    others = [index for index in held_out if labels[index] not in frequent]
    room = max(_MOST_POINTS - len(others), _MOST_POINTS // 2)
    chosen = _spread(own, room)
    return sorted([*chosen, *_spread(others, _MOST_POINTS - len(chosen))])


def _spread(indices: Sequence[int], most: int) -> list[int]:
    """At most so many, evenly spaced."""
    number_of = min(most, len(indices))
    return [
        indices[(2 * place + 1) * len(indices) // (2 * number_of)] for place in range(number_of)
    ]


def _hover(summary: Summary, labels: Sequence[str], index: int) -> str:
    return f"{summary.sentences[index]} ({labels[index] or 'not known'})"


def _draw_column(
    summary: Summary, points: Sequence[Point], examples: Sequence[int], *, is_ringed: bool
) -> tuple[list[str], float]:
    """What is drawn of one model, from (0, 0), and where it ends.

    Args:
        examples: Indices of sentences whose nearest are shown.
        is_ringed: Whether the last point is marked.
    """
    ringed = [len(points) - 1] if is_ringed else []
    parts, bottom = scatter(points, summary.explained, ringed, 26)
    parts.insert(0, text(0, 14, summary.name, "heading"))
    if summary.probes:
        rows, bottom = probe_rows(summary.probes, bottom + 30)
        parts += rows
    for name, reason in summary.not_probed.items():
        for line in wrap(f"{name} is not probed: {reason}.", COLUMN, _NOTE_SIZE):
            bottom += 20
            parts.append(text(0, bottom, line, "label"))
    nearest = {
        summary.sentences[index]: [
            (summary.sentences[other], cosine) for other, cosine in summary.nearest[index]
        ]
        for index in examples
    }
    lists, bottom = nearest_list(nearest, len(summary.sentences), summary.language, bottom + 30)
    return [*parts, *lists], bottom
