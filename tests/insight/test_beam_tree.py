import copy
import dataclasses
import math
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_search import plain_score
from prefix_network import BOS, EOS, PAD, PrefixNetwork
from tiny_translator import SOURCES

from seq2seq.config import ConfigurationError, SearchConfig
from seq2seq.decoding.beam_search import beam_search
from seq2seq.decoding.length_penalty import power_penalty
from seq2seq.decoding.trace import Trace
from seq2seq.insight.beam_tree import (
    BeamTree,
    Branch,
    draw_beam_tree,
    find_beam_tree,
    grow_branches,
)
from seq2seq.insight.figure import text_width
from seq2seq.translator import Translator

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def translator(tiny_directory) -> Translator:
    return Translator.load(tiny_directory, precision="float32")


@pytest.fixture(scope="module")
def tree(translator) -> BeamTree:
    return find_beam_tree(translator, SOURCES[1], beam_size=4)


def grow(
    network: PrefixNetwork,
    beam_size: int,
    max_length: int,
    penalty: float,
    n_best: int = 1,
    num_groups: int = 1,
):
    """The branches of a search, with the ids of each as one tuple, and what the search found."""
    trace = Trace()
    (hypotheses,) = beam_search(
        network.step,
        network.start([0]),
        beam_size=beam_size,
        max_lengths=[max_length],
        length_penalty=penalty,
        n_best=n_best,
        num_groups=num_groups,
        trace=trace,
    )
    search = SearchConfig(beam_size=beam_size, length_penalty=penalty, diversity_groups=num_groups)
    branches = grow_branches(trace, search, str)
    said: list[tuple[int, ...]] = []
    for branch in branches:
        before = () if branch.parent is None else said[branch.parent]
        said.append((*before, branch.id))
    return branches, said, hypotheses


@settings(max_examples=50)
@given(
    seed=st.integers(0, 10**6),
    beam_size=st.integers(1, 5),
    max_length=st.integers(1, 6),
    penalty=st.sampled_from([0.0, 1.0]),
    impossible=st.sampled_from([0.0, 0.3]),
)
def test_branches_are_the_beginnings_that_a_plain_search_looks_at(
    seed, beam_size, max_length, penalty, impossible
):
    network = PrefixNetwork(seed, vocabulary_size=7, impossible=impossible)
    branches, said, hypotheses = grow(network, beam_size, max_length, penalty, beam_size)
    assert len(set(said)) == len(said)
    for branch, ids in zip(branches, said, strict=True):
        assert branch.step == len(ids)
        assert branch.log_probability == pytest.approx(plain_score(network, 0, [*ids]), abs=1e-5)
        assert branch.parent is None or branches[branch.parent].fate in ("lives", "truncated")
        if branch.score is not None:
            expected = branch.log_probability / power_penalty(len(ids), penalty)
            assert branch.score == pytest.approx(expected)
    ended = {ids for branch, ids in zip(branches, said, strict=True) if branch.score is not None}
    assert {tuple(each.ids) for each in hypotheses if each.ids} <= ended
    # Step by step: what lives is the best of what does not end, among all that could follow.
    living = [()]
    last = max((branch.step for branch in branches), default=0)
    for step in range(1, last + 1):
        num_possible_ends = sum(
            plain_score(network, 0, [*prefix, EOS]) > -math.inf for prefix in living
        )
        could_follow = {
            (*prefix, id_): plain_score(network, 0, [*prefix, id_])
            for prefix in living
            for id_ in range(7)
            if id_ not in (PAD, BOS, EOS)
        }
        possible = [ids for ids, total in could_follow.items() if total > -math.inf]
        living = sorted(possible, key=lambda ids: -could_follow[ids])[:beam_size]
        fates = {
            ids: branch.fate
            for branch, ids in zip(branches, said, strict=True)
            if branch.step == step and branch.fate in ("lives", "truncated", "open")
        }
        if step == max_length:  # what is cut off counts only among the best of all, ends included
            assert set(fates.values()) <= {"truncated"}
            assert set(fates) <= set(living)
            ends = [branch.fate for branch in branches if branch.step == step].count("finished")
            assert len(fates) + ends == min(beam_size, len(possible) + num_possible_ends)
        elif step == last and beam_size == 1:  # greedy search looks at nothing below an end
            assert set(fates) <= set(living)
        else:
            assert set(fates) == set(living)
            assert ("open" in fates.values()) == (step == last and bool(living))


def test_the_fates_of_a_search_that_can_be_read():
    #  after: BOS 4 -> likely, 5 -> less; both go on or end
    table = {(): {4: 0.6, 5: 0.4}, (4,): {EOS: 0.3, 4: 0.5, 5: 0.2}, (5,): {EOS: 0.9, 4: 0.1}}

    class Table(PrefixNetwork):
        def logits(self, sentence, prefix):
            own = table.get(prefix[:1], {})
            logits = super().logits(sentence, prefix) * 0 - math.inf
            for id_, probability in own.items():
                logits[id_] = math.log(probability)
            return logits

    branches, said, (best, *_) = grow(Table(0, vocabulary_size=6), 2, 3, 0.0)
    fates = {ids: branch.fate for branch, ids in zip(branches, said, strict=True)}
    assert fates == {
        (4,): "lives",
        (5,): "lives",
        (5, EOS): "finished",
        (4, 4): "open",
        (4, EOS): "pruned",
        (4, 5): "open",
    }
    assert best.ids == [5, EOS]


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(1, 3),
    max_length=st.integers(1, 5),
    num_groups=st.integers(2, 3),
)
def test_groups_that_are_not_pushed_apart_are_as_many_searches_of_one_kind(
    seed, size, max_length, num_groups
):
    def fates(beam_size: int, num_groups: int) -> Counter[tuple[tuple[int, ...], str]]:
        network = PrefixNetwork(seed, vocabulary_size=7)
        branches, said, _ = grow(network, beam_size, max_length, 1.0, num_groups=num_groups)
        return Counter((ids, branch.fate) for branch, ids in zip(branches, said, strict=True))

    alone, together = fates(size, 1), fates(size * num_groups, num_groups)
    assert together == Counter({each: num_groups * number for each, number in alone.items()})


@pytest.mark.parametrize("beam_size", [1, 2, 5])
def test_nothing_is_open_at_the_maximum_length(translator, beam_size):
    tree = find_beam_tree(translator, SOURCES[1], beam_size=beam_size, max_length_ratio=0.4)
    last = [branch for branch in tree.branches if branch.step == tree.branches[-1].step]
    fates = Counter(branch.fate for branch in last)
    assert fates["truncated"] + fates["finished"] == beam_size
    assert fates["truncated"] > 0
    assert fates["open"] == 0


def test_the_tree_holds_what_the_translator_finds(translator, tree):
    translation = translator.translate(SOURCES[1], beam_size=4)
    path = tree.path(tree.best)
    assert tree.text == translation.text
    assert [tree.branches[number].piece for number in path] == translation.pieces
    best = tree.branches[tree.best]
    assert best.log_probability == pytest.approx(translation.log_probability)
    assert best.score == pytest.approx(translation.score)
    steps = [tree.step_log_probability(number) for number in path]
    assert math.fsum(steps) == pytest.approx(translation.log_probability)


def test_each_log_probability_is_that_of_a_forced_pass(translator, tree):
    """Teacher forcing says the same of every branch."""
    source_ids = translator.tokenizers.source.encode(SOURCES[1])
    targets = [[tree.branches[one].id for one in tree.path(n)] for n in range(len(tree.branches))]
    forced = translator.engine.force([source_ids] * len(targets), targets, translator.recipe.search)
    for branch, each in zip(tree.branches, forced, strict=True):
        assert branch.log_probability == pytest.approx(math.fsum(each.log_probabilities), abs=1e-4)


@pytest.mark.parametrize(
    ("sentence", "options", "message"),
    [
        ("", {}, "the sentence is blank; give one with words"),
        ("ein Hund rennt .", {"beam_size": 21}, "must be at most 20 for a picture"),
        ("ein Hund rennt .", {"samples": 3}, "`search.samples` draws at random"),
    ],
    ids=["blank", "wide", "samples"],
)
def test_what_is_no_single_beam_is_refused(translator, sentence, options, message):
    with pytest.raises(ConfigurationError, match=message):
        find_beam_tree(translator, sentence, **options)


def test_a_source_of_several_parts_is_refused(translator):
    short_sighted = copy.copy(translator)
    short_sighted.sentences_per_source = 1
    with pytest.raises(
        ConfigurationError, match=r"searched in 2 parts, .*; give one sentence, or a shorter one"
    ):
        find_beam_tree(short_sighted, "Ein Hund rennt im Park. Der Mann isst Brot.")


def texts_of(figure: str, kind: str) -> list[str]:
    return [
        element.text or ""
        for element in ElementTree.fromstring(figure).iter(f"{SVG}text")
        if kind in element.attrib["class"].split()
    ]


def test_the_figure_shows_the_tree(tree):
    figure = draw_beam_tree(tree, most_pruned=1)
    words = texts_of(figure, "title")
    assert (
        f"How beam search found it: {tree.source} → {tree.text}".split() == " ".join(words).split()
    )
    best = [tree.branches[number].piece for number in tree.path(tree.best)]
    assert [one for one in texts_of(figure, "best") if not one.startswith("score")] == [
        "<s>",
        *best,
    ]
    shown = texts_of(figure, "label")
    lasting = [branch for branch in tree.branches if branch.fate != "pruned"]
    assert len(shown) == 1 + len(lasting)
    scores = [one for one in texts_of(figure, "tick") if one.startswith("score ")]
    assert len(scores) == sum(branch.score is not None for branch in tree.branches)


@pytest.mark.parametrize("most", [0, 1, 100])
def test_pruned_branches_are_shown_up_to_a_number_and_the_others_counted(tree, most):
    by_step: dict[int, list[Branch]] = {}
    for branch in tree.branches:
        if branch.fate == "pruned":
            by_step.setdefault(branch.step, []).append(branch)
    shown = sum(min(most, len(own)) for own in by_step.values())
    hidden = sum(map(len, by_step.values())) - shown
    assert sum(map(len, by_step.values())) > 10
    figure = draw_beam_tree(tree, most_pruned=most)
    assert figure.count("; pruned</title>") == shown
    assert f"{hidden} more" in " ".join(texts_of(figure, "tick"))


def test_those_that_are_shown_are_the_best_of_the_pruned(tree):
    pruned = [branch for branch in tree.branches if branch.fate == "pruned" and branch.step == 2]
    best = max(pruned, key=lambda branch: branch.log_probability)
    assert len(pruned) > 1
    titles = re.findall(r"<title>(.*?); pruned</title>", draw_beam_tree(tree, most_pruned=1))
    told = f"{best.log_probability:.3f} up to here"
    assert any(title.startswith(best.piece) and told in title for title in titles)


def test_nothing_is_drawn_outside_the_picture_and_numbers_stand_below_their_pieces(tree):
    figure = ElementTree.fromstring(draw_beam_tree(tree))
    width, height = float(figure.attrib["width"]), float(figure.attrib["height"])
    (grid, notes) = figure.findall(f"{SVG}g")
    for part in (grid, notes):
        (top,) = re.findall(r"translate\(0 ([\d.]+)\)", part.attrib["transform"])
        for element in part.iter(f"{SVG}text"):
            assert 0 < float(element.attrib["x"]) < width
            assert 0 < float(top) + float(element.attrib["y"]) < height
    for group in grid.iter(f"{SVG}g"):
        if group.find(f"{SVG}title") is not None:
            piece, number, *_ = group.findall(f"{SVG}text")
            assert piece.attrib["x"] == number.attrib["x"]
            assert float(number.text.replace("−", "-")) <= 0


def test_how_scores_come_about_is_said(tree):
    def said(**search) -> str:
        other = dataclasses.replace(tree, search=dataclasses.replace(tree.search, **search))
        return " ".join(texts_of(draw_beam_tree(other), "tick"))

    assert "a score is that of all pieces divided by their number. " in said(length_penalty=1.0)
    assert "a score is that of all pieces. " in said(length_penalty=0.0)
    gnmt = said(length_penalty=0.6, length_penalty_kind="gnmt")
    assert "divided by (5 + pieces) / 6 to the power of 0.6. " in gnmt
    assert "Beam of 1: at each step the best continuation that does not end lives on; " in said(
        beam_size=1
    )
    assert "Beam of 4 in 2 groups: at each step the 2 best continuations that" in said(
        beam_size=4, diversity_groups=2
    )
    assert "divided by their number with rewards and penalties. " in said(word_reward=0.5)


def test_grey_branches_are_spoken_of_where_there_are_any(tree):
    def said(tree: BeamTree, most_pruned: int) -> str:
        return " ".join(texts_of(draw_beam_tree(tree, most_pruned=most_pruned), "tick"))

    assert "At most 1 grey one a step is shown; " in said(tree, 1)
    assert "At most 2 grey ones a step are shown; " in said(tree, 2)
    kept = [
        dataclasses.replace(tree.branches[n], parent=i - 1 if i else None)
        for i, n in enumerate(tree.path(tree.best))
    ]
    alone = dataclasses.replace(tree, branches=kept, best=len(kept) - 1)
    assert "grey" not in said(alone, 2)


def test_what_a_piece_says_is_escaped(tree):
    nasty = [dataclasses.replace(branch, piece='<b>&"') for branch in tree.branches]
    figure = draw_beam_tree(dataclasses.replace(tree, branches=nasty, source="<script>"))
    assert "<b>" not in figure
    assert "<script>" not in figure
    assert texts_of(figure, "label")[1] == '<b>&"'


def test_marks_in_pieces_are_explained(tree):
    told = " ".join(texts_of(draw_beam_tree(tree), "tick"))
    assert "▁ begins a word; <s> is the beginning; </s> is the end." in told


def test_a_title_stays_narrow_in_a_wide_figure(tree):
    figure = draw_beam_tree(dataclasses.replace(tree, source="강에서 " * 40))
    assert float(ElementTree.fromstring(figure).attrib["width"]) > 700
    lines = texts_of(figure, "title")
    assert len(lines) > 3
    assert all(text_width(line, 16) <= 600 for line in lines)
