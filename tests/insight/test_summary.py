import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch
from tiny_translator import SUBJECTS, VERBS

from seq2seq.cli import main
from seq2seq.config import ConfigurationError
from seq2seq.insight.recording import plain_network
from seq2seq.insight.summary import draw_summary, encode, find_summary, project
from seq2seq.translator import Translator

SVG = "{http://www.w3.org/2000/svg}"
LABELS = {
    "subject": [subject for subject in SUBJECTS for _ in VERBS],
    "verb": [verb for _ in SUBJECTS for verb in VERBS],
}
IS_HELD_OUT = [index % 12 in (4, 8, 9) for index in range(12)]


@pytest.fixture(scope="module")
def translator(tiny_directory):
    return Translator.load(tiny_directory, "cpu", "float32", plain=True)


@pytest.fixture(scope="module")
def summary(translator, known_pairs):
    return find_summary(translator, known_pairs.sources, LABELS, IS_HELD_OUT)


@pytest.fixture(scope="module")
def states(translator, known_pairs):
    return encode(translator, plain_network(translator).encoder, known_pairs.sources)


def texts_of(figure):
    return [element.text or "" for element in ElementTree.fromstring(figure).iter(f"{SVG}text")]


def hovers_of(figure):
    return [element.text or "" for element in ElementTree.fromstring(figure).iter(f"{SVG}title")]


def test_a_state_is_what_both_directions_end_with(translator, known_pairs, states):
    encoder = plain_network(translator).encoder
    size = translator.recipe.model.hidden_size
    assert states.shape == (12, size)
    for sentence, state in zip(known_pairs.sources, states, strict=True):
        ids = [*translator.tokenizers.source.encode(sentence), 3]  # the end of the sentence
        with torch.inference_mode():
            outputs = encoder(torch.tensor([ids]), torch.tensor([len(ids)])).encoder_outputs[0]
        ends = torch.cat([outputs[-1, : size // 2], outputs[0, size // 2 :]])
        np.testing.assert_allclose(state, ends.double().numpy(), atol=1e-6)


def test_axes_are_those_of_the_covariance():
    states = np.random.default_rng(1).normal(size=(50, 7)) * [1, 5, 2, 3, 1, 1, 0.5] + 4
    points, explained = project(states)
    variances, axes = np.linalg.eigh(np.cov(states.T))
    np.testing.assert_allclose(explained, variances[[-1, -2]] / variances.sum())
    for column, axis in ((0, axes[:, -1]), (1, axes[:, -2])):
        axis = axis * np.sign(axis[np.abs(axis).argmax()])
        np.testing.assert_allclose(points[:, column], (states - states.mean(0)) @ axis)


def test_axes_do_not_hang_on_the_order_of_the_sentences():
    states = np.random.default_rng(2).normal(size=(30, 5))
    points, _ = project(states)
    np.testing.assert_allclose(project(states[::-1])[0][::-1], points, atol=1e-9)


def test_states_that_are_all_alike_lie_in_one_point():
    points, explained = project(np.ones((4, 3)))
    assert not points.any()
    assert explained == (0, 0)


def test_nearest_are_those_of_the_highest_cosine(summary, states):
    centred = states - states.mean(0)
    for index, nearest in enumerate(summary.nearest):
        cosines = {
            other: float(centred[index] @ centred[other])
            / float(np.sqrt((centred[index] ** 2).sum() * (centred[other] ** 2).sum()))
            for other in range(12)
            if other != index
        }
        expected = sorted(cosines, key=lambda other: -cosines[other])[:3]
        assert [other for other, _ in nearest] == expected
        assert [cosine for _, cosine in nearest] == pytest.approx([cosines[o] for o in expected])


def test_each_property_is_probed_on_sentences_that_took_no_part(summary):
    assert set(summary.probes) == {"subject", "verb"}
    verb = summary.probes["verb"]
    for found in verb:
        assert (found.num_training, found.num_held_out, found.num_labels) == (9, 3, 3)
    assert len(verb.trained.shuffled) == 10
    assert list(verb.untrained.shuffled) == []


def test_what_the_sentence_ends_with_can_be_read_off_its_state(translator, known_pairs):
    sources = list(known_pairs.sources) * 2  # the same on both sides: it must know them
    labels = {"verb": LABELS["verb"] * 2}
    found = find_summary(translator, sources, labels, [False] * 12 + [True] * 12)
    assert found.probes["verb"].trained.accuracy == 1


def test_unknown_labels_take_no_part_in_probes(translator, known_pairs):
    subjects = [subject if index > 1 else "" for index, subject in enumerate(LABELS["subject"])]
    labels = {"subject": subjects, "all alike": ["a"] * 12, "unknown": [""] * 12}
    found = find_summary(translator, known_pairs.sources, labels, IS_HELD_OUT)
    assert set(found.probes) == {"subject"}
    assert found.probes["subject"].trained.num_training == 7
    assert "ein Hund schläft . (not known)" not in hovers_of(
        draw_summary(found, colour_by="subject")
    )
    figure = draw_summary(found, colour_by="subject", highlight="ein Hund schläft .")
    assert "ein Hund schläft . (not known)" in hovers_of(figure)


def test_an_axis_says_when_not_all_held_out_sentences_have_every_label(translator, known_pairs):
    labels = {"subject": ["", *LABELS["subject"][1:]], "verb": LABELS["verb"]}
    is_held_out = [index < 3 for index in range(12)]
    found = find_summary(translator, known_pairs.sources, labels, is_held_out)
    texts = texts_of(draw_summary(found, colour_by="verb"))
    assert "% of up to 3 held-out sentences read right" in texts


def test_every_second_sentence_is_held_out_if_nothing_is_said(translator, known_pairs):
    found = find_summary(translator, known_pairs.sources, LABELS)
    assert list(found.is_held_out) == [False, True] * 6


def test_two_sentences_are_too_few(translator):
    with pytest.raises(ValueError, match="at least three sentences, but has 2"):
        find_summary(translator, ["a", "b"], {"kind": ["x", "y"]})


def test_a_translator_that_is_rearranged_for_search_is_refused(tiny_directory, known_pairs):
    fast = Translator.load(tiny_directory, "cpu", "float32")
    with pytest.raises(ValueError, match="plain=True"):
        find_summary(fast, known_pairs.sources, LABELS)


def test_the_figure_shows_held_out_sentences_probes_and_nearest(summary):
    figure = draw_summary(summary, colour_by="verb")
    texts, hovers = texts_of(figure), hovers_of(figure)
    assert " ".join(texts[:2]) == "The encoder's last states of 3 held-out sentences, by verb"
    assert "tiny (GRU, Bahdanau attention)" in texts
    for label, count in (("schläft .", 1), ("rennt im Park .", 1), ("isst Brot .", 1)):
        assert f"{label} ({count})" in texts
    share = summary.explained[0]
    assert f"1st principal component ({share:.0%} of the variance)" in texts
    points = [f"{summary.sentences[i]} ({LABELS['verb'][i]})" for i in (4, 8, 9)]
    assert [hover for hover in hovers if "%" not in hover] == points
    accuracy = summary.probes["verb"].trained.accuracy
    assert f"verb, trained network: {accuracy:.1%} of 3" in hovers
    assert "% of 3 held-out sentences read right" in texts
    nearest, cosine = summary.nearest[4][0]
    assert texts[texts.index(f"{cosine:.2f}") + 1] in summary.sentences[nearest]
    assert "Nearest of 12 states (cosine)" in texts


def test_points_stand_where_the_states_lie_on_one_scale(summary):
    figure = ElementTree.fromstring(draw_summary(summary, colour_by="verb"))
    drawn = {}
    for path in figure.iter(f"{SVG}path"):
        hover = path.findtext(f"{SVG}title") or ""
        if "%" not in hover and hover:
            x, y = re.findall(r"-?[\d.]+", path.attrib["transform"])
            drawn[hover.rpartition(" (")[0]] = float(x), float(y)
    places = [(drawn[summary.sentences[i]], summary.points[i]) for i in (4, 8, 9)]
    grid = [p.attrib["d"] for p in figure.iter(f"{SVG}path") if p.attrib["class"] == "grid"]
    starts = [tuple(map(float, re.findall(r"[\d.]+", path)[:2])) for path in grid]
    assert all(48 <= x <= 400 for x, _ in starts), "ticks stay within the plot"
    (first, a), (second, b), (third, c) = places
    unit = (second[0] - first[0]) / (b[0] - a[0])
    assert unit > 0
    for place, point in ((second, b), (third, c)):
        assert place[0] - first[0] == pytest.approx(unit * (point[0] - a[0]), abs=0.3)
        assert place[1] - first[1] == pytest.approx(-unit * (point[1] - a[1]), abs=0.3)


def test_many_kinds_leave_colours_to_the_most_frequent(translator, known_pairs):
    labels = {"kind": ["a", "a", "b", "b", "c", "c", "d", "d", "e", "e", "f", "g"]}
    found = find_summary(translator, known_pairs.sources, labels, [False, *[True] * 11])
    texts = texts_of(draw_summary(found, colour_by="kind"))
    assert [text for text in texts if re.fullmatch(r".* \(\d+\)", text)] == [
        "b (2)",
        "c (2)",
        "d (2)",
        "e (2)",
        "a (1)",
        "f (1)",
        "of 1 other kind (1)",
    ]


def test_a_highlighted_sentence_is_ringed_and_its_nearest_are_shown(summary):
    sentence = summary.sentences[0]
    figure = draw_summary(summary, colour_by="verb", highlight=sentence)
    texts = texts_of(figure)
    assert texts[0].startswith(sentence.split()[0])
    assert f"{sentence} ({LABELS['verb'][0]})" in hovers_of(figure)
    rings = [
        path
        for path in ElementTree.fromstring(figure).iter(f"{SVG}path")
        if path.attrib["class"] in ("hollow halo", "hollow ink")
    ]
    looks = [path.attrib["class"] for path in rings]
    assert looks == ["hollow ink", "hollow halo", "hollow ink"], "in the legend and in the plot"
    assert rings[1].attrib["transform"] == rings[2].attrib["transform"]
    assert texts.count("this sentence") == 2
    for other, cosine in summary.nearest[0]:
        assert f"{cosine:.2f}" in texts
        assert summary.sentences[other] in texts
    without = draw_summary(summary, colour_by="verb")
    assert "hollow ink" not in without
    assert "this sentence" not in texts_of(without)


def test_models_stand_side_by_side(summary):
    one = ElementTree.fromstring(draw_summary(summary, colour_by="verb"))
    two = ElementTree.fromstring(draw_summary(summary, summary, colour_by="verb"))
    assert float(two.attrib["width"]) > 1.9 * float(one.attrib["width"])
    assert float(two.attrib["height"]) <= float(one.attrib["height"])


def test_a_property_that_is_not_there_is_named(summary):
    with pytest.raises(ConfigurationError, match="`colour_by` must be one of subject, verb"):
        draw_summary(summary)


def test_unknown_labels_are_no_kind_and_have_a_look_of_their_own(translator, known_pairs):
    labels = {"kind": ["a", "a", "b", "c", "d", "e", "f", "g", "h", "", "", ""]}
    found = find_summary(translator, known_pairs.sources, labels, [False, *[True] * 11])
    figure = draw_summary(found, colour_by="kind")
    texts = texts_of(figure)
    assert "of 2 other kinds (2)" in texts
    assert "not known (3)" in texts
    shapes = {
        (path.findtext(f"{SVG}title") or "").rpartition(" (")[2]: path.attrib["d"]
        for path in ElementTree.fromstring(figure).iter(f"{SVG}path")
    }
    assert len({shapes["not known)"], shapes["h)"], shapes["a)"]}) == 3


def test_what_is_not_probed_is_told_with_the_reason(translator, known_pairs):
    labels = {
        "few": ["a", "b", "a", "b", *[""] * 8],
        "alike": ["a"] * 12,
        "untested": [
            label if not side else ""
            for label, side in zip(LABELS["verb"], IS_HELD_OUT, strict=True)
        ],
        "verb": LABELS["verb"],
    }
    found = find_summary(translator, known_pairs.sources, labels, IS_HELD_OUT)
    assert list(found.probes) == ["verb"]
    assert found.not_probed == {
        "few": "fewer than 5 training sentences have a label",
        "alike": "all training sentences are a",
        "untested": "no held-out sentence has a label",
    }
    said = " ".join(texts_of(draw_summary(found, colour_by="verb")))
    for name, reason in found.not_probed.items():
        assert f"{name} is not probed: {reason}." in said


@pytest.fixture
def table(tmp_path, known_pairs):
    file = tmp_path / "table.tsv"
    lines = ["sentence\tsubject\tverb"]
    rows = zip(known_pairs.sources, *LABELS.values(), strict=True)
    lines += ["\t".join(row) for row in rows for _ in range(2)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(file)


def test_the_command_draws_two_models_and_prints_their_probes(
    tiny_directory, member_directory, table, tmp_path, capsys
):
    output = tmp_path / "summary.svg"
    argv = ["picture", "summary", str(tiny_directory), str(member_directory)]
    argv += ["--sentences", table, "--output", str(output)]
    assert main([*argv, "--device", "cpu"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split("\t")[2:] == ["probe", "untrained", "shuffled", "most frequent"]
    assert [line.split("\t")[:2] for line in printed[1:-1]] == [
        ["tiny (GRU, Bahdanau attention)", "subject"],
        ["tiny (GRU, Bahdanau attention)", "verb"],
        ["member (LSTM, no attention)", "subject"],
        ["member (LSTM, no attention)", "verb"],
    ]
    assert printed[-1] == f"picture: {output}"
    texts = texts_of(output.read_text("utf-8"))
    assert " ".join(texts[:2]).endswith("by subject"), "the first property"
    assert "tiny (GRU, Bahdanau attention)" in texts
    assert "member (LSTM, no attention)" in texts


def test_the_command_tells_what_it_does_not_probe_and_refuses_to_probe_nothing(
    tiny_directory, known_pairs, tmp_path, capsys
):
    table, output = tmp_path / "table.tsv", tmp_path / "summary.svg"
    argv = ["picture", "summary", str(tiny_directory), "--sentences", str(table)]
    argv += ["--output", str(output)]

    def write(*verbs):
        rows = zip(known_pairs.sources, LABELS["subject"], verbs, strict=True)
        lines = ["sentence\tsubject\tverb", *(f"{a}\t{c}\t{b}" for a, b, c in rows)]
        table.write_text("\n".join(lines) + "\n", encoding="utf-8")

    write(*["a"] * 12)
    assert main(argv) == 0
    printed = capsys.readouterr()
    assert [line.split("\t")[1] for line in printed.out.splitlines()[1:-1]] == ["verb"]
    assert printed.err == "seq2seq: subject is not probed: all training sentences are a.\n"
    output.unlink()
    table.write_text(table.read_text("utf-8").replace("\tein Hund\n", "\t\n"), encoding="utf-8")
    lines = table.read_text("utf-8").splitlines()
    alike = [lines[0], *(line.rsplit("\t", 1)[0] + "\t" for line in lines[1:])]
    table.write_text("\n".join(alike) + "\n", encoding="utf-8")
    assert main(argv) == 2
    assert re.search(
        r"`--sentences` has no property that can be probed \(subject: all training sentences are "
        r"a; verb: fewer than 5 training sentences have a label\)\.",
        capsys.readouterr().err,
    )
    assert not output.exists()


@pytest.mark.parametrize(
    ("models", "options", "message"),
    [
        (["tiny"], [], "the phrasebook has Korean and English sentences, .* from de; give `--sent"),
        (["tiny", "reverse"], [], "`models` must translate from one language, .* de and en"),
        (
            ["tiny"],
            ["--sentences", "{table}", "--colour_by", "tense"],
            "`--colour_by` must be one of subject, verb",
        ),
    ],
    ids=["no phrasebook", "two languages", "unknown property"],
)
def test_the_command_says_what_it_lacks(
    models, options, message, tiny_directory, reverse_directory, table, tmp_path, capsys
):
    folders = {"tiny": tiny_directory, "reverse": reverse_directory}
    argv = [str(folders[model]) for model in models]
    argv += [option.format(table=table) for option in options]
    code = main(["picture", "summary", *argv, "--output", str(tmp_path / "out.svg")])
    assert code == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "out.svg").exists()
