import os
import re
from collections import Counter
from pathlib import Path

import pytest

from seq2seq import Recipe, cli

README = Path(__file__).parents[1] / "README.md"
KOREAN = README.with_name("README.ko.md")


def blocks(language: str, document: Path = README) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", document.read_text("utf-8"), flags=re.DOTALL)
    assert found
    return found


def without_comments(blocks: list[str]) -> list[str]:
    return [re.sub(r" *# .*", "", block) for block in blocks]


def test_the_python_of_the_readme_runs(tiny_directory, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    os.symlink(tiny_directory, "runs/phrasebook-ko-en")
    Path("big.ko").write_text("나는 고양이다.\n나는 학생이다.\n", encoding="utf-8")
    for block in blocks("python"):
        exec(compile(block, str(README), "exec"), {})
    # One sentence, its alignment's shape, two n-best lists, two lines of the file, one score, and
    # one sentence that begins as it must.
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 8
    assert printed[-1].startswith("I was")


@pytest.mark.parametrize("document", [README, KOREAN], ids=lambda path: path.name)
@pytest.mark.parametrize("mark", ["main-job", "tests"])
def test_the_two_commands_are_marked(mark, document):
    text = document.read_text("utf-8")
    assert re.search(rf"<!-- command: {mark} -->\n```bash\n.+?```", text, re.S)


def test_every_command_of_the_readme_exists():
    commands = re.findall(r"seq2seq ([a-z_]+)", "".join(blocks("bash")))
    assert {"train", "translate"} <= set(commands) <= set(cli.COMMANDS)


def test_every_option_of_the_readme_is_known():
    options = re.findall(r"--([a-z_]+)\.([a-z_]+)", "".join(blocks("bash")))
    assert len(options) > 5
    for section, name in options:
        assert hasattr(getattr(Recipe(), section), name), f"--{section}.{name}"


@pytest.mark.parametrize("language", ["bash", "python"])
def test_the_korean_readme_has_the_same_code(language):
    english, korean = (without_comments(blocks(language, file)) for file in (README, KOREAN))
    assert korean == english


# Figures such as 40.70 or 1,563, commands in tables, marked blocks, and what links lead to.
@pytest.mark.parametrize(
    "pattern",
    [
        r"\d+[.,]\d+",
        r"^\| `(seq2seq [a-z_]+)",
        r"(<!-- (?:results|speed): begin -->.*?<!--)",
        r"\]\((?!README|docs/eight_pictures)([^)#]+)",
    ],
    ids=["figures", "commands", "tables", "links"],
)
def test_the_korean_readme_has_the_same(pattern):
    english, korean = (
        Counter(re.findall(pattern, file.read_text("utf-8"), re.MULTILINE | re.DOTALL))
        for file in (README, KOREAN)
    )
    assert english and korean == english


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "README.ko.md",
        "CONTRIBUTING.md",
        "benchmarks/README.md",
        "recipes/README.md",
        "docs/translations.md",
    ],
)
def test_links_to_files_lead_somewhere(document):
    path = README.parent / document
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text("utf-8"))
    for target in targets:
        assert (path.parent / target).exists(), f"{document} links to {target}"
    assert targets or document == "CONTRIBUTING.md"
