"""What all commands that draw have in common."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from tiny_translator import SOURCES

from seq2seq.cli import main
from seq2seq.commands.pictures import PICTURES
from seq2seq.commands.writing import write_figure
from seq2seq.insight.figure import document, text
from seq2seq.translator import Translator

ARGUMENTS = {
    "alignment": ["none", "ein Hund"],
    "lengths": ["none", "--source", "none", "--reference", "none"],
    "gates": ["none", "ein Hund"],
    "beam": ["none", "ein Hund"],
}
COMMANDS = {
    **{f"picture {kind}": ARGUMENTS.get(kind, ["none"]) for kind in PICTURES},
    "picture truncation": ["--text", "none"],
    "inspect": ["none", "ein Hund"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_an_output_that_cannot_be_written_is_told_before_all_else(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for output in (tmp_path, tmp_path / "none" / "x.svg"):
        argv = [*command.split(), *COMMANDS[command], "--output", str(output)]
        assert main(argv) == 2
        assert capsys.readouterr().err.startswith(f"seq2seq: {output} cannot be written: ")


def test_a_folder_in_which_nothing_can_be_written_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["picture", "beam", "none", "ein Hund", "--output", "/proc/x.svg"]) == 2
    assert capsys.readouterr().err.startswith("seq2seq: /proc/x.svg cannot be written: ")


def test_what_xml_has_no_letters_for_is_replaced(tmp_path: Path) -> None:
    nasty = "a\0b\x07c\x1bd\x7fe\ufffef\uffffg\ud800h\ti"
    body = [text(0, 0, nasty, "piece")]
    figure = document(body, title=nasty, width=9, height=9, kind="x")
    write_figure(str(tmp_path / "x.svg"), figure)
    (shown,) = ElementTree.parse(tmp_path / "x.svg").iter("{http://www.w3.org/2000/svg}text")
    assert shown.text == "a\ufffdb\ufffdc\ufffdd\x7fe\ufffdf\ufffdg\ufffdh\ti"


@pytest.mark.parametrize("command", ["picture alignment", "picture beam", "picture gates"])
def test_control_characters_in_a_sentence_make_a_sound_picture(
    command: str, tiny_directory: Path, tmp_path: Path
) -> None:
    output = tmp_path / "x.svg"
    sentence = SOURCES[0].replace(" ", "\x07 \x1b", 1)
    assert main([*command.split(), str(tiny_directory), sentence, "--output", str(output)]) == 0
    assert ElementTree.parse(output).getroot().attrib["aria-label"].count("\ufffd") == 2


@pytest.mark.parametrize("sentence", ["", " \t", "\0 \x07"], ids=["empty", "spaces", "control"])
@pytest.mark.parametrize(
    "command", ["picture alignment", "picture beam", "picture gates", "inspect"]
)
def test_a_blank_sentence_is_refused_before_all_work(
    command: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [*command.split(), "none", sentence, "--output", str(tmp_path / "x")]
    assert main(argv) == 2
    assert capsys.readouterr().err == "seq2seq: the sentence is blank; give one with words.\n"


def test_a_layer_that_is_none_is_told_by_the_option_that_was_typed(
    tiny_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["picture", "gates", str(tiny_directory), "ein Hund", "--layers", "nope"]
    assert main([*argv, "--output", str(tmp_path / "x.svg")]) == 2
    assert re.match("seq2seq: `--layers` must be one of enc.*'nope'", capsys.readouterr().err)


def test_gates_of_a_source_in_parts_say_that_they_are_read_in_one_piece(
    tiny_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, sentence = tmp_path / "x.svg", "Ein Hund rennt im Park. Der Mann isst Brot."
    translator = Translator.load(tiny_directory, "cpu", "float32", plain=True)
    monkeypatch.setattr(Translator, "load", lambda *_, **__: translator)
    for longest in (None, 1):
        translator.sentences_per_source = longest
        argv = ["picture", "gates", str(tiny_directory), sentence, "--output", str(output)]
        assert main(argv) == 0
        assert ("The source is searched in 2 parts" in words_of(output)) is (longest == 1)


def words_of(file: Path) -> str:
    texts = ElementTree.parse(file).iter("{http://www.w3.org/2000/svg}text")
    return " ".join(element.text or "" for element in texts)
