"""Commands that use language models."""

import io
import json
import math
import re
import shutil
import sys

import pytest
from tiny_language_model import CODE, SENTENCES, train_language
from tiny_translator import SOURCES, TARGETS

from seq2seq import Translator, cli
from seq2seq.language_model import LanguageModel
from seq2seq.model_directory import load_model_directory

FUSION = ("--fusion_weight", "2.0")


@pytest.fixture
def run(monkeypatch, capfd, tmp_path):
    """Runs a command in an empty folder; its exit code, output, and what it says to people."""
    monkeypatch.chdir(tmp_path)

    def run(*argv, stdin=()):
        encoded = "".join(f"{line}\n" for line in stdin).encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(encoded)))
        code = cli.main([str(argument) for argument in argv])
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return run


class TestGenerate:
    def test_it_prints_what_the_model_generates(self, run, text_directory):
        options = {"temperature": 0.7, "top_k": 9, "top_p": 0.9, "seed": 5}
        argv = [f"--{name}={value}" for name, value in options.items()]
        code, out, err = run("generate", text_directory, "--prefix", "def ", "--length=40", *argv)
        (expected,) = LanguageModel.load(text_directory).generate("def ", 40, **options)
        assert (code, out, err) == (0, f"{expected}\n", "")

    def test_several_texts_are_kept_apart(self, run, text_directory):
        code, out, _ = run("generate", text_directory, "--length", "20", "--n", "2")
        texts = LanguageModel.load(text_directory).generate(length=20, n=2)
        assert code == 0
        assert out == "".join(
            f"--- text {number} of 2\n{text}\n" for number, text in enumerate(texts, start=1)
        )

    def test_sentences_stand_in_lines(self, run, language_directory):
        code, out, _ = run("generate", language_directory, "--n", "3", "--length", "60")
        texts = LanguageModel.load(language_directory).generate(length=60, n=3)
        assert (code, out.splitlines()) == (0, texts)

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (("--n", "0"), "`--n` must be from 1 to 1000, but is 0."),
            (("--temperature", "-1"), "`--temperature` must be from 0 to 100, but is -1.0."),
            (("--prefix", "한"), "`--prefix` asks for '한', which the pieces of the model's voc"),
        ],
        ids=["n", "temperature", "prefix"],
    )
    def test_what_cannot_be_is_refused(self, run, text_directory, argv, message):
        code, out, err = run("generate", text_directory, *argv)
        assert (code, out) == (2, "")
        assert err.startswith(f"seq2seq: {message}")

    def test_a_translator_is_refused(self, run, tiny_directory):
        code, _, err = run("generate", tiny_directory)
        assert code == 2 and "holds a translator, not a language model; train one with" in err


class TestEvaluate:
    def test_what_it_prints_is_that_of_the_text(self, run, text_directory, tmp_path):
        (tmp_path / "a.py").write_text("".join(f"{line}\n" for line in CODE))
        code, out, err = run("evaluate_lm", text_directory, "--text", "a.py")
        assert (code, err) == (0, "")
        scored = LanguageModel.load(text_directory).score(CODE)
        nats, pieces = sum(each.nats for each in scored), sum(each.pieces for each in scored)
        characters = len("\n".join(CODE)) + 1
        words = len(" ".join(CODE).split()) + len(CODE)
        assert re.findall(r"(\d+\.\d+) +([\d,]+) ", out) == [
            (f"{nats / math.log(2) / characters:.3f}", str(characters)),
            (f"{math.exp(nats / pieces):.2f}", str(pieces)),
            (f"{math.exp(nats / words):.2f}", str(words)),
        ]
        assert "7 lines, as one text" in out

    def test_unknown_pieces_are_told(self, run, text_directory, tmp_path):
        (tmp_path / "a.py").write_text("def 한\n", "utf-8")
        _, out, _ = run("evaluate_lm", text_directory, "--text", "a.py")
        assert "a.py: 1 line, as one text" in out
        assert "Unknown pieces: 1, which" in out

    def test_a_file_without_text_is_refused(self, run, text_directory, tmp_path):
        (tmp_path / "empty").write_text("\n\n")
        code, _, err = run("evaluate_lm", text_directory, "--text", "empty")
        assert code == 2
        assert err == "seq2seq: `--text` must be a file with text, but empty has none.\n"


class TestTranslate:
    def test_a_language_model_takes_part(self, run, tiny_directory, language_directory):
        options = ("--language_model", language_directory, *FUSION, "--format", "jsonl")
        code, out, err = run("translate", tiny_directory, *options, stdin=SOURCES)
        translator = Translator.load(
            tiny_directory, precision="float32", language_model=language_directory
        )
        expected = translator.translate(SOURCES, fusion_weight=2.0)
        found = [json.loads(line) for line in out.splitlines()]
        assert code == 0 and "beam 3 fused with a language model (2), target" in err
        assert [each["text"] for each in found] == [each.text for each in expected] != TARGETS
        for each, translation in zip(found, expected, strict=True):
            assert each["score"] == pytest.approx(translation.score, abs=1e-4)
            for values in (each, each["alternatives"][0]):
                assert values["language_log_probability"] == pytest.approx(
                    translation.language_log_probability, abs=1e-3
                )

    def test_a_translation_is_resumed_with_the_same_language_model(
        self, run, tiny_directory, language_directory, tmp_path
    ):
        (tmp_path / "in").write_text("".join(f"{line}\n" for line in [*SOURCES * 2, "{broken"]))
        options = ["--input", "in", "--output", "out", "--format", "jsonl", "--batch_size", "1"]
        options += [*FUSION, "--language_model"]
        assert run("translate", tiny_directory, *options, language_directory)[0] == 2
        tokenizer = load_model_directory(tiny_directory).tokenizers.target
        train_language(SENTENCES, tokenizer, TARGETS, tmp_path / "other", num_steps=1)
        code, _, err = run("translate", tiny_directory, *options, "other", "--resume")
        assert code == 2
        assert "the language model has changed since the translation began" in err
        copy = shutil.copytree(language_directory, tmp_path / "copy")
        _, _, err = run("translate", tiny_directory, *options, copy, "--resume")
        assert "goes on after line" in err

    @pytest.mark.slow
    def test_processes_fuse_like_one(self, run, tiny_directory, language_directory, tmp_path):
        (tmp_path / "in").write_text("".join(f"{line}\n" for line in SOURCES * 2))
        options = ["--input", "in", "--batch_size", "1", "--language_model", language_directory]
        for name, devices in (("one", "1"), ("two", "2")):
            outputs = ("--output", name, "--devices", devices)
            assert run("translate", tiny_directory, *options, *FUSION, *outputs)[0] == 0
        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()

    @pytest.mark.parametrize(
        "command",
        [
            ("translate",),
            ("evaluate", "--source", "a", "--reference", "a"),
            ("calibrate", "--source", "a", "--reference", "a"),
            ("complete", SOURCES[0], "the"),
        ],
        ids=["translate", "evaluate", "calibrate", "complete"],
    )
    def test_one_that_changes_nothing_is_refused(
        self, run, tiny_directory, language_directory, tmp_path, command
    ):
        (tmp_path / "a").write_text("x\n")
        name, *rest = command
        code, _, err = run(name, tiny_directory, *rest, "--language_model", language_directory)
        assert code == 2
        assert err.startswith(
            "seq2seq: `--language_model` changes nothing while `--fusion_weight` and "
            "`--language_weight` are 0; give a weight such as 0.1,"
        )

    @pytest.mark.parametrize("command", ["score", "align"])
    def test_where_nothing_is_searched_it_is_refused(
        self, run, tiny_directory, language_directory, command
    ):
        files = ("--source", "a", "--target", "b")
        code, _, err = run(command, tiny_directory, *files, "--language_model", language_directory)
        assert code == 2
        assert err.startswith(
            "seq2seq: `--language_model` changes nothing here, where nothing is s"
        )

    def test_other_pieces_are_refused(self, run, tiny_directory, text_directory):
        code, _, err = run("translate", tiny_directory, "--language_model", text_directory, *FUSION)
        assert code == 2
        assert "`--language_model` must have the target pieces of the translator, but" in err

    def test_tune_tries_its_weights(self, run, tiny_directory, language_directory, tmp_path):
        for name, lines in (("a", SOURCES), ("b", TARGETS)):
            (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
        files = ("--source", "a", "--reference", "b", "--quiet")
        options = ("--beam_size", "2", "--length_penalty", "1", "--length_penalty_kind", "power")
        kept = ("--word_reward", "0", "--coverage_penalty", "0")
        code, out, _ = run(
            "tune", tiny_directory, *files, *options, *kept, "--language_model", language_directory
        )
        assert code == 0
        assert "--fusion_weight 0.3" in out and "--language_weight 0.3" in out
