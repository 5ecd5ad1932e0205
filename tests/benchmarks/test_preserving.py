import sys

import preserving
from tiny_translator import SOURCES, TARGETS

from seq2seq.data.corpus import Pairs
from seq2seq.items import find_items
from seq2seq.survival import has_survived


def test_all_of_the_cases_survive(tiny_directory, tmp_path, capsys, monkeypatch):
    for language, lines in (("de", SOURCES), ("en", TARGETS)):
        (tmp_path / f"a.{language}").write_text("".join(f"{line}\n" for line in lines))
    files = ["--source", tmp_path / "a.de", "--reference", tmp_path / "a.en"]
    argv = ["preserving.py", "--model", tiny_directory, *files, "--rounds", "1", "--cases", "6"]
    monkeypatch.setattr(sys, "argv", list(map(str, argv)))
    preserving.main()
    header, _, plain, preserve, *examples = capsys.readouterr().out.splitlines()
    assert header.count("|") == plain.count("|") == preserve.count("|")
    assert preserve.startswith("| preserve | 6 | 100.0% |")
    assert "  plain     " in examples[2]


def test_cases_are_lines_that_can_survive_and_made_up_ones():
    pairs = Pairs(
        ["um 5 Uhr", "um 6 Uhr", "ein Hund .", "nichts"], ["at 5", "at six", "a dog .", "no"]
    )
    cases = preserving.make_cases(pairs, 3)
    assert (cases.sources[0], cases.targets[0]) == ("um 5 Uhr", "at 5")
    assert len(cases) == 3
    for source, target in zip(cases.sources, cases.targets, strict=True):
        assert find_items(source) and has_survived(source, target)
