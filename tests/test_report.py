import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_run import (
    HOSTILE,
    PAIRS,
    SIGNATURE,
    make_corpus,
    make_log,
    make_run,
    make_scores,
    make_sentence,
    make_training,
    write_json,
)

from seq2seq import cli
from seq2seq.config import ConfigurationError
from seq2seq.report import read_run, write_report

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """Reads a page strictly: every element is closed where it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.separate(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.separate(tag)

    def separate(self, tag):
        if tag not in ("mark", "code"):
            self.texts.append(" ")

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self):
        """What a reader sees."""
        return re.sub(r"\s+", " ", "".join(self.texts))


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """A run folder with every file, which no test may change."""
    return make_run(tmp_path_factory.mktemp("runs") / "ko-en")


@pytest.fixture
def own(sample, tmp_path):
    """A copy of it for a test that changes something."""
    shutil.copytree(sample, tmp_path / "ko-en")
    return tmp_path / "ko-en"


def page_of(*folders, output):
    return Page(write_report(folders, output).read_text("utf-8"))


@pytest.fixture(scope="session")
def page(sample, tmp_path_factory):
    return page_of(sample, output=tmp_path_factory.mktemp("out") / "one.html")


@pytest.fixture(scope="session")
def comparison(sample, tmp_path_factory):
    folder = tmp_path_factory.mktemp("others")
    others = [
        make_run(folder / "fixed", attention="none", wrong="cow", bleu=30.0),
        make_run(folder / "cats", wrong="cat sits", bleu=12.0),
    ]
    return page_of(sample, *others, output=folder / "several.html")


@pytest.mark.parametrize(
    "expected",
    [
        "Korean to English",
        "An LSTM network with Bahdanau attention, trained on 12,000 pairs of sentences in 37 min "
        "on a quick processor, 2 threads.",
        "BLEU on test, 40 sentences; it counts words and punctuation marks",
        "95 % interval 39.8–42.8",
        "chrF2 62.5",
        "TER 35.8 lower is better",
        "weights 80",
        "speed 88 sentences per second",
        "test 40 41.25 39.8–42.8",
        "0.987 0.0% 1.1% 2.2% 3.3%",
        SIGNATURE,
        "set pairs read dropped moved kept train 12,845 345 500 12,000 test 40 0 0 40",
        "train comes from tatoeba (12,500 read, 11,700 kept), kaist (345 read, 300 kept).",
        "From train were moved 500 to dev.",
        "3 with control characters",
        "0a1b2c3d",
        "duplicates: 300 of train (2.3%)",
        "두 번",
        "model.hidden_size 48",
        "The same run again, from the folder where it was started: seq2seq train --config /",
        "/ko-en/recipe.yaml --name ko-en-again",
        "training.label_smoothing 0.1",
        "the score stood still",
        "versions of torch 9.8.7",
        "Where the decoder looked",
        "with repetitions",
    ],
)
def test_the_page_tells_what_the_folder_holds(page, expected):
    assert expected in page.text


def test_best_worst_and_random_sentences_stand_beside_their_references(page):
    groups = re.split(r" (Best|Worst|Drawn at random) ", page.text)
    shown = dict(zip(groups[1::2], groups[2::2], strict=True))
    assert [text.count("translation ") for text in shown.values()] == [3, 3, 4]
    assert "나는 고양이로소이다." in shown["Best"]
    assert "sentence 3 · chrF 30 · BLEU 20" in shown["Worst"]


def test_differences_are_marked_in_both(page):
    marks = [attrs["class"] for tag, attrs in page.tags if tag == "mark"]
    assert {"extra", "missing"} == set(marks)
    assert len(marks) > 4


def test_every_curve_and_breakdown_is_drawn(page):
    titles = [attrs["aria-label"] for tag, attrs in page.tags if tag == "svg"]
    assert {
        "Loss",
        "Score on the development set",
        "Learning rate",
        "Gradient norm",
        "Training speed",
        "Score by length of the source",
        "Score by rarest word of the source",
        "Alignment of sentence 1",
    } == set(titles)


@pytest.mark.parametrize("kind", ["page", "comparison"])
def test_text_of_corpora_is_never_markup(kind, request):
    page = request.getfixturevalue(kind)
    assert HOSTILE in page.text
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]


@pytest.mark.parametrize("kind", ["page", "comparison"])
def test_a_page_needs_nothing_from_outside(kind, request):
    page = request.getfixturevalue(kind)
    for tag, attrs in page.tags:
        assert tag not in ("link", "img", "iframe", "object", "script")
        assert attrs.get("href", "#").startswith("#")
        assert "src" not in attrs
    policies = [attrs["content"] for _, attrs in page.tags if "http-equiv" in attrs]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


@pytest.mark.parametrize("kind", ["page", "comparison"])
def test_links_lead_to_sections_of_the_page(kind, request):
    page = request.getfixturevalue(kind)
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {attrs["href"][1:] for tag, attrs in page.tags if tag == "a"}
    assert targets == set(ids)


def test_sentences_name_their_language(page):
    for element in ("dd", "g"):  # in the heat map, too
        found = {attrs["lang"] for tag, attrs in page.tags if tag == element and "lang" in attrs}
        assert found == {"ko", "en"}


def test_a_run_that_has_not_ended_says_so_once(sample, tmp_path):
    started = tmp_path / "started"
    started.mkdir()
    shutil.copy(sample / "recipe.yaml", started)
    page = page_of(started, output=None)
    assert "This run has not ended yet." in page.text
    assert "Not in this run folder" not in page.text
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert links == ["#recipe"]
    shutil.copy(sample / "corpus.json", started)
    shutil.copytree(sample / "logs", started / "logs")
    page = page_of(started, output=None)
    assert "Not in this run folder" not in page.text
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert links == ["#learning", "#corpus", "#recipe"]


def test_what_older_files_do_not_count_is_left_out(own):
    corpus = make_corpus()
    corpus["sets"]["train"] |= {"moved": {}, "kept_parts": {}, "note": "read from split 'dev'"}
    write_json(own / "corpus.json", corpus)
    text = page_of(own, output=None).text
    assert "set pairs read dropped kept train 12,845 345 12,000" in text
    assert "train comes from tatoeba (12,500), kaist (345)." in text
    assert "train: read from split 'dev'." in text
    assert "moved" not in text


def test_a_folder_with_a_model_alone_has_a_page_that_says_what_is_missing(sample, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("recipe.yaml", "model.safetensors"):
        shutil.copy(sample / name, bare)
    text = page_of(bare, output=None).text
    assert (bare / "report.html").exists()
    for missing in (
        "scores (scores.json)",
        "translations (translations/)",
        "learning curves (logs/metrics.csv)",
        "time, hardware and versions (training.json)",
        "counts of the corpus (corpus.json)",
        "the score by length of the source",
    ):
        assert f"Not in this run folder: {missing}." in text
    assert "has not ended" not in text


def test_a_folder_with_translations_alone_is_scored_sentence_by_sentence(own, tmp_path):
    sentences = [make_sentence(*pair, "dog", index) for index, pair in enumerate(PAIRS)]
    (own / "translations" / "test.jsonl").unlink()
    (own / "translations" / "alignments.json").unlink()
    for suffix, name in (("ko", "source"), ("en", "reference"), ("output.en", "hypothesis")):
        text = "".join(f"{sentence[name]}\n" for sentence in sentences)
        (own / "translations" / f"test.{suffix}").write_text(text, "utf-8")
    text = page_of(own, output=None).text
    worst = text.split(" Worst ")[1].split(" Drawn at random ")[0]
    assert worst.count("dog") == 3
    assert "Not in this run folder: alignments" in text


def test_processes_are_counted_if_several_have_trained(own):
    recipe = (own / "recipe.yaml").read_text("utf-8")
    (own / "recipe.yaml").write_text(recipe.replace("devices: 1", "devices: 4"), "utf-8")
    page = page_of(own, output=own / "report.html")
    assert "on a quick processor, 2 threads, 4 processes." in page.text


def test_a_model_without_attention_says_so(tmp_path):
    text = page_of(make_run(tmp_path / "fixed", attention="none"), output=None).text
    assert "A model without attention has no alignments to show." in text
    assert "a fixed-length context" in text


def test_a_long_log_makes_a_small_page(own):
    (own / "logs" / "metrics.csv").write_text(make_log(100_000))
    assert write_report([own]).stat().st_size < 500_000


def test_numbers_that_are_none_do_not_break_the_page(own):
    scores = make_scores(41.25)
    scores["test"]["chrf"]["value"] = None
    scores["test"]["shares"] = scores["test"]["by_source_length"] = "none"
    scores["test"]["by_rarest_word"] = [{"label": "never seen"}, 3]
    write_json(own / "scores.json", {**scores, "note": "by hand"})
    (own / "logs" / "metrics.csv").write_text("loss,step\nnan,1\n,\nx,y,z\n2.5,inf\n1,2\n")
    text = page_of(own, output=None).text
    assert "41.25" in text
    assert "chrF2 62.5" not in text
    assert read_run(own).curves == {"loss": [(2.0, 1.0)]}


def test_several_runs_stand_side_by_side(comparison):
    text = comparison.text
    for expected in (
        "3 runs side by side",
        "ko-en · fixed · cats",
        "BLEU on test 41.25 39.8–42.8 30.00 28.5–31.5 12.00",
        "training time 37 min 37 min 37 min",
        "sentences per second 88 88 88",
        "LSTM, a fixed-length context (every step), 1 + 1 layers of 48 units",
        "They differ in model.attention (bahdanau, none).",
        "model.attention bahdanau none bahdanau",
    ):
        assert expected in text


def test_runs_are_tested_against_the_first_on_the_same_sentences(comparison):
    assert "No difference in BLEU can be claimed between ko-en and fixed" in comparison.text
    assert re.search(r"ko-en is better than cats by [\d.]+ BLEU \(p ≤ 0\.001\)", comparison.text)


def test_the_same_sentences_are_shown_by_each(comparison):
    most = comparison.text.split(" Where they differ most ")[1].split(" Best ")[0]
    assert most.count("source ") == 3
    for name in ("ko-en", "fixed", "cats"):
        assert most.count(f" {name} ") == 3


def test_curves_of_all_runs_share_their_charts(comparison):
    titles = [attrs["aria-label"] for tag, attrs in comparison.tags if tag == "svg"]
    assert titles == [
        "BLEU on test",
        "Score by length of the source",
        "Score on the development set",
        "Loss on the development set",
        "Training loss",
        "Learning rate",
        "Gradient norm",
        "Training speed",
    ]
    lines = [attrs["class"] for tag, attrs in comparison.tags if tag == "polyline"]
    assert lines == ["line series0", "line series1", "line series2"] * 7


def test_runs_with_other_test_sentences_are_not_tested(sample, tmp_path):
    other = make_run(tmp_path / "other")
    lines = (other / "translations" / "test.jsonl").read_text("utf-8").splitlines()
    (other / "translations" / "test.jsonl").write_text("\n".join(lines[:-1]) + "\n", "utf-8")
    page = page_of(other, sample, make_run(tmp_path / "fixed"), output=tmp_path / "x.html")
    assert "No test is made for ko-en, fixed: they did not translate" in page.text
    assert "p =" not in page.text
    charts = [attrs["aria-label"] for tag, attrs in page.tags if tag == "svg"]
    assert charts[:2] == ["BLEU on test", "Score by length of the source"]
    markers = [attrs["class"] for tag, attrs in page.tags if "marker" in attrs.get("class", "")]
    assert markers[:3] == ["marker series0"] * 3, "of the first run alone: score, length, legend"
    text = page_of(sample, other, output=tmp_path / "x.html").text
    assert f"No other run translated the test sentences of {sample.name}." in text


def test_a_signature_names_its_runs_where_they_differ(sample, own, tmp_path):
    scores = json.loads((own / "scores.json").read_text())
    scores["test"]["ter"]["signature"] = "another"
    write_json(own / "scores.json", scores)
    other = own.rename(own.parent / "other")
    text = page_of(sample, other, output=tmp_path / "x.html").text
    assert f"BLEU {SIGNATURE} chrF2 {SIGNATURE} TER {SIGNATURE} (ko-en) TER another (other)" in text


def test_runs_of_one_name_are_called_by_their_paths(sample, own, tmp_path):
    text = page_of(sample, own, output=tmp_path / "x.html").text
    assert f"{sample} · {own}" in text


def test_the_command_writes_beside_one_run_and_here_for_several(sample, own, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(sample, other)
    assert cli.main(["report", str(own)]) == 0
    assert capsys.readouterr().out == f"report: {own / 'report.html'}\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert cli.main(["report", str(own), str(other)]) == 0
        assert cli.main(["report", str(own), "--output", "mine.html"]) == 0
    assert capsys.readouterr().out == "report: report.html\nreport: mine.html\n"
    assert "side by side" in (tmp_path / "report.html").read_text("utf-8")
    assert "side by side" not in (tmp_path / "mine.html").read_text("utf-8")


def test_a_report_loads_no_network(sample, tmp_path, environment):
    code = (
        "import sys; from seq2seq.cli import main;"
        f"main(['report', {str(sample)!r}, '--output', {str(tmp_path / 'x.html')!r}]);"
        "print(*sorted(name for name in sys.modules if '.' not in name))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "jinja2" in loaded
    assert not {"torch", "lightning", "datasets", "matplotlib", "sentencepiece"} & loaded


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("recipe.yaml", None, r"ko-en is no run folder: recipe\.yaml is missing"),
        ("recipe.yaml", b"\xff", r"recipe\.yaml: the text is not UTF-8"),
        ("recipe.yaml", b"nme: x", r"recipe\.yaml: unknown key `nme`"),
        ("scores.json", b"{", r"scores\.json is damaged: the text is no JSON"),
        ("scores.json", b"[]", r"scores\.json is damaged: it holds no dict"),
        ("corpus.json", b'{"sets": {"train": {"read": 3}}}', r"corpus\.json is damaged: a set"),
        ("translations/test.jsonl", b'{"source": "a"}\n', r"test\.jsonl is damaged in line 1"),
        ("translations/alignments.json", b"[{}]", r"alignments\.json is damaged: an entry"),
        ("model.safetensors", b"x", r"model\.safetensors is no safetensors file, or damaged"),
    ],
)
def test_damaged_files_are_named(own, file, content, message):
    (own / file).unlink()
    if content is not None:
        (own / file).write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        write_report([own])


def test_translations_of_unequal_length_are_refused(own):
    (own / "translations" / "test.jsonl").unlink()
    for suffix, text in (("ko", "a\nb\n"), ("en", "a\nb\n"), ("output.en", "a\n")):
        (own / "translations" / f"test.{suffix}").write_text(text)
    with pytest.raises(ConfigurationError, match=r"test\.ko and its translations have not as many"):
        write_report([own])


def test_mistakes_of_the_command_are_one_line(capsys, tmp_path, sample):
    assert cli.main(["report"]) == 2
    assert capsys.readouterr().err == "seq2seq: RUNS is missing; see `seq2seq report --help`.\n"
    assert cli.main(["report", str(tmp_path / "none")]) == 2
    assert "none is no run folder: recipe.yaml is missing." in capsys.readouterr().err
    assert cli.main(["report", str(sample), "--output", str(tmp_path / "no" / "x.html")]) == 2
    assert "x.html cannot be written: no such file or directory." in capsys.readouterr().err


SCORES, TRAIN = make_scores(41.25)["test"], make_corpus()["sets"]["train"]
KEYS = sorted({"sets", "train", "label", *SCORES, *SCORES["bleu"], *TRAIN, *make_training()})
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**9) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS), inner, min_size=1, max_size=4)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["test", "dev", "sets", "minutes"]), PLAIN, max_size=3)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(scores=OBJECTS, corpus=OBJECTS, training=OBJECTS)
def test_whatever_the_files_hold_there_is_a_page_or_one_sentence(
    sample, tmp_path_factory, scores, corpus, training
):
    folder = tmp_path_factory.getbasetemp() / "any"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(sample / "recipe.yaml", folder)
    for name, value in (("scores", scores), ("corpus", corpus), ("training", training)):
        (folder / f"{name}.json").write_text(json.dumps(value))
    try:
        page = Page(write_report([folder]).read_text("utf-8"))
    except ConfigurationError as error:
        assert "\n" not in str(error)
    else:
        assert "Korean to English" in page.text


def test_pages_are_whole_or_not_there(own, monkeypatch):
    def fail(*args, **values):
        raise RuntimeError("in the middle")

    monkeypatch.setattr("seq2seq.report.render_report", fail)
    with pytest.raises(RuntimeError):
        write_report([own])
    assert not list(Path(own).glob("*report*"))
