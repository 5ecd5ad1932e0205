"""The input of commands: every line comes out again, in its place, whatever it holds."""

import io
import json
import os
import random
import re
import unicodedata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fuzzing import CASES, damaged, damaged_tree, fuzz

from seq2seq.data.cleaning import clean_sentence
from seq2seq.evaluate import clean_pairs, read_test_pairs
from seq2seq.line_translator import Job, LineTranslator, Listener, translate_stream
from seq2seq.lines import Window
from seq2seq.loading import Loading
from seq2seq.partial_output import Record, Shard
from seq2seq.source import Source
from seq2seq.translation import Translation
from seq2seq.translator import Translator

LINES = "ein Hund schläft .\n\nMüller isst Brot .\tMiller eats\t0.5\r\n어떤 문장이든\nlast".encode()
DOCUMENT = (
    "# Titel\n\n  - Dr. Kim kam. Er blieb!\r\n1.2. (a) Z. B. am 3. Mai.\n猫。「犬。」と".encode()
)
SUBTITLES = """\
1
00:00:01,000 --> 00:00:02,000
<i>Ein Mann, der</i>

2
00:00:02,500 --> 00:00:03,000 X1:5
geht. Ja
♪ la ♪

3
00:00:04,000 --> 00:00:05,000
{\\an8}- Nein.
- <b>Doch</b> nicht!

4
00:00:06,000 --> 00:00:07,000

5
00:00:08,000 --> 00:00:09,000
[Musik]
""".encode()
MARK = re.compile(r"</?[A-Za-z][^<>]*>|\{\\[^{}]*\}|[♪♫]")
OBJECTS = [
    {"source": "ein Hund schläft .", "id": 3},
    {"source": "Müller", "more": {"a": [1, None, "b"]}},
    {"source": "", "text": "old"},
]
ADDED = {"text", "score", "log_probability", "pieces", "source_pieces", "truncated", "alternatives"}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SEARCH = {"beam_size": 1, "n_best": 1, "max_length_ratio": 0.1, "batch_size": 2}


class Echo:
    """A translator that takes no time: its translation is the source itself."""

    engine = SimpleNamespace(batches=SimpleNamespace(num_halved=0))

    def describe(self, search: object) -> str:
        return ""

    def translate(self, sources: list[Source], **options: object) -> list[Translation]:
        texts = [clean_sentence(source.text) for source in sources]
        found = [Translation(text, -1.5, -3.0, ["a"], ["b"]) for text in texts]
        return [Translation(**{**vars(one), "alternatives": (one,)}) for one in found]


def translate(directory: Path, layout: str, data: bytes, translator: Any) -> bytes:
    work = LineTranslator(
        Job(str(directory), layout, Loading("cpu", "float32"), SEARCH), Listener()
    )
    work.translator = translator
    written = io.BytesIO()
    translate_stream(work, io.BytesIO(data), written)
    return written.getvalue()


def lines_of(data: bytes) -> list[str]:
    """The lines as the documentation has them."""
    lines = data.removeprefix(BYTE_ORDER_MARK).split(b"\n")
    lines = lines if lines[-1] else lines[:-1]
    return [line.removesuffix(b"\r").decode(errors="replace") for line in lines]


@pytest.fixture
def loads_once(tiny_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Translator:
    translator = Translator.load(tiny_directory, "cpu", "float32")
    monkeypatch.setattr(Translator, "load", lambda *arguments, **_: translator)
    return translator


def read_objects(line: str) -> dict[str, Any]:
    value = json.loads(line)
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("layout", ["text", "tsv", "jsonl"])
@CASES
def test_every_line_comes_out_in_its_place_or_is_named(
    cases: int, layout: str, tiny_directory: Path, loads_once: Translator
) -> None:
    def read(rng: random.Random) -> None:
        data = LINES
        if layout == "jsonl" and rng.random() < 0.8:
            rows = [row if rng.random() < 0.7 else damaged_tree(row, rng) for row in OBJECTS]
            data = "\n".join(json.dumps(row) for row in rows).encode()
        if layout != "jsonl" or rng.random() < 0.5:
            data = damaged(data, rng)
        is_real = rng.random() < 0.05 and len(data) < 2_000  # as time grows with it
        written = translate(tiny_directory, layout, data, loads_once if is_real else Echo())
        text = written.decode()
        assert text.endswith("\n") or not text
        output = text.split("\n")[:-1]
        expected = lines_of(data)
        assert len(output) == len(expected)
        for line, source in zip(output, expected, strict=True):
            if is_real:
                continue
            if layout == "text":
                assert line == clean_sentence(source)
            elif layout == "tsv":
                assert line.split("\t")[-2] == clean_sentence(source.split("\t")[0])
            elif source.startswith("{"):
                given, found = read_objects(source), read_objects(line)
                assert found["text"] == clean_sentence(given.pop("source"))
                kept = {name: given[name] for name in given.keys() - ADDED}
                found = {name: found[name] for name in kept}
                assert json.dumps(found) == json.dumps(kept)  # NaN, too
            else:
                assert read_objects(line)["source"] == source

    outcomes = fuzz(read, cases)
    assert outcomes["worked"] > cases / 20
    assert bool(outcomes["refused"]) is (layout == "jsonl")


def without_spaces(text: str) -> str:
    return unicodedata.normalize("NFC", "".join(clean_sentence(text).split()))


@pytest.mark.parametrize("layout", ["document", "srt"])
@CASES
def test_texts_come_out_with_all_that_is_in_them_or_a_line_is_named(
    cases: int, layout: str, tiny_directory: Path, loads_once: Translator
) -> None:
    def read(rng: random.Random) -> None:
        data = damaged(SUBTITLES if layout == "srt" else DOCUMENT, rng)
        is_real = rng.random() < 0.05 and len(data) < 2_000
        text = translate(tiny_directory, layout, data, loads_once if is_real else Echo()).decode()
        output, expected = text.split("\n")[:-1], lines_of(data)
        assert len(output) == len(expected)
        for written, source in zip(output, expected, strict=True):
            if not source.strip() or "-->" in source:
                assert clean_sentence(written) == clean_sentence(source)
            elif layout == "document" and not is_real:
                assert without_spaces(written) == without_spaces(source)
        if not is_real:
            before, after = without_spaces("".join(expected)), without_spaces("".join(output))
            assert MARK.findall(after) == MARK.findall(before)
            assert MARK.sub("", after) == MARK.sub("", before)  # a word may hold marks

    outcomes = fuzz(read, cases)
    assert outcomes["worked"] > cases / 20
    assert bool(outcomes["refused"]) is (layout == "srt")


@CASES
def test_files_to_evaluate_and_score_give_a_number_for_each_line(
    cases: int, tmp_path: Path, loads_once: Translator
) -> None:
    source, target = tmp_path / "a.de", tmp_path / "a.en"

    def read(rng: random.Random) -> None:
        source.write_bytes(damaged(LINES, rng) if rng.random() < 0.9 else LINES)
        target.write_bytes(damaged(LINES, rng) if rng.random() < 0.1 else source.read_bytes())
        pairs = clean_pairs(read_test_pairs(str(source), str(target)), loads_once.recipe)
        assert list(pairs.sources) == [
            clean_sentence(line) for line in lines_of(source.read_bytes())
        ]
        if rng.random() < 0.05 and source.stat().st_size < 2_000:
            scores = loads_once.score(pairs.sources, pairs.targets)
            assert len(scores) == len(pairs) and all(score <= 0 for score in scores)

    outcomes = fuzz(read, cases)
    assert min(outcomes["worked"], outcomes["refused"]) > cases / 20


@CASES
def test_a_damaged_record_of_a_translation_is_refused_or_goes_on(
    cases: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # the disk would take the time
    shard = Shard(tmp_path / "out", 0)
    settings = {"beam_size": 5}
    windows = [Window(n, [f"line {n}"], n + 1, f"digest {n}") for n in range(4)]
    output = b"one\ntwo\n"

    def read(rng: random.Random) -> None:
        with shard.opened(settings, resume=False):
            shard.append(output, Record(settings, 2, "digest 1", counts={"cut": 1}))
        (record,) = shard.folder.glob("done-*.json")
        if rng.random() < 0.5:
            record.write_text(json.dumps(damaged_tree(json.loads(record.read_text()), rng)))
        else:
            record.write_bytes(damaged(record.read_bytes(), rng))
        with shard.opened(settings, resume=True):
            remaining = [window.number for window in shard.remaining(windows)]
            shard.append(b"", shard.record)
        assert remaining == [2, 3] and shard.lines_file.read_bytes() == output

    outcomes = fuzz(read, cases)
    assert outcomes["worked"] and outcomes["refused"]
