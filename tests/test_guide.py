"""The guide to the eight pictures, in both its languages, and its notebook."""

import ast
import inspect
import os
import re
import shlex
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from nbclient import NotebookClient

from seq2seq import SearchConfig, cli
from seq2seq.commands.pictures import PICTURES
from seq2seq.loading import Loading

DOCS = Path(__file__).parents[1] / "docs"
ENGLISH, KOREAN = DOCS / "eight_pictures.md", DOCS / "eight_pictures.ko.md"
NOTEBOOK = DOCS / "eight_pictures.ipynb"
both_languages = pytest.mark.parametrize("guide", [ENGLISH, KOREAN], ids=["english", "korean"])


def sections(guide: Path) -> list[str]:
    """The text of each picture, in their order."""
    parts = re.split(r"^## (?=\d\. )", guide.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return [re.split(r"^## ", part, flags=re.MULTILINE)[0] for part in parts]


def commands(text: str) -> list[list[str]]:
    """The commands of its blocks, as the shell divides them."""
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def pictures(text: str) -> list[list[str]]:
    return [words for words in commands(text) if words[:2] == ["seq2seq", "picture"]]


def figures(text: str) -> list[Path]:
    return [DOCS / name for name in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)]


@both_languages
def test_each_of_eight_pictures_has_its_command_its_figure_and_its_source(guide):
    found = sections(guide)
    assert [section[:2] for section in found] == [f"{number}." for number in range(1, 9)]
    for section in found:
        (command, *_), (figure, *_) = pictures(section), figures(section)
        assert figure.stem.startswith(command[2])
        assert "](https://" in section


@both_languages
def test_every_kind_of_picture_is_in_the_guide(guide):
    assert {command[2] for command in pictures(guide.read_text("utf-8"))} == set(PICTURES)


@both_languages
def test_every_command_of_the_guide_exists(guide):
    names = {words[1] for words in commands(guide.read_text("utf-8")) if words[0] == "seq2seq"}
    assert {"train", "picture", "inspect"} <= names <= set(cli.COMMANDS)


@both_languages
def test_every_option_of_a_picture_is_known(guide):
    groups = {"loading": Loading(), "search": SearchConfig()}
    for command in pictures(guide.read_text("utf-8")):
        parameters = set(inspect.signature(PICTURES[command[2]]).parameters)
        known = parameters.union(*(vars(groups[name]) for name in parameters & set(groups)))
        given = {word[2:] for word in command if word.startswith("--")}
        assert given <= known, command


@both_languages
def test_figures_are_small_documents_with_a_title(guide):
    found = figures(guide.read_text("utf-8"))
    assert len(found) >= 8
    for figure in found:
        assert figure.stat().st_size < 150_000, figure
        assert ElementTree.parse(figure).getroot().get("aria-label"), figure


@both_languages
def test_figures_lead_to_their_documents_whose_values_show_on_hover(guide):
    text = guide.read_text("utf-8")
    links = re.findall(r"\[!\[[^\]]+\]\(([^)]+)\)\]\(([^)]+)\)", text)
    assert len(links) == len(figures(text))
    assert all(image == document for image, document in links)
    assert all("<title>" in (DOCS / image).read_text("utf-8") for image, _ in links)


def test_no_figure_of_the_guide_is_left_over():
    assert set((DOCS / "images" / "eight").iterdir()) == set(figures(ENGLISH.read_text("utf-8")))


# Commands (comments aside), figures, links and measured values such as 40.8 or 1,000.
@pytest.mark.parametrize(
    "pattern",
    [r"!\[[^\]]+(\]\([^)]+\))", r"\]\((https://[^)]+)\)", r"\d+[.,]\d+"],
    ids=["figures", "sources", "values"],
)
def test_both_languages_have_the_same(pattern):
    english, korean = (
        Counter(re.findall(pattern, guide.read_text("utf-8"))) for guide in (ENGLISH, KOREAN)
    )
    assert english and korean == english


def test_both_languages_have_the_same_commands():
    english, korean = (commands(guide.read_text("utf-8")) for guide in (ENGLISH, KOREAN))
    assert english and korean == english


@both_languages
def test_links_within_the_guide_lead_to_headings(guide):
    text = guide.read_text("utf-8")
    headings = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^##+ (.+)$", text, flags=re.MULTILINE)
    }
    links = re.findall(r"\]\(#([^)]+)\)", text)
    assert len(links) > 8 and set(links) <= headings


@both_languages
def test_links_to_files_lead_somewhere(guide):
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", guide.read_text("utf-8"))
    assert targets and all((DOCS / target).exists() for target in targets)


@both_languages
def test_the_python_of_the_guide_runs(guide, tiny_directory, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    os.symlink(tiny_directory, "runs/phrasebook-ko-en")
    (block,) = re.findall(r"```python\n(.*?)```", guide.read_text("utf-8"), flags=re.DOTALL)
    names: dict[str, str] = {}
    exec(compile(block, str(guide), "exec"), names)
    weights = ast.literal_eval(capsys.readouterr().out)
    assert sum(weights) == pytest.approx(1)
    assert names["svg"].startswith("<svg")


def test_the_notebook_draws_every_picture_and_stores_no_output():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)
    headings = re.findall(r"^## (\d)\. ", "\n".join(c.source for c in notebook.cells), re.MULTILINE)
    assert headings == [str(number) for number in range(1, 9)]


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, environment):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=900, resources={"metadata": {"path": tmp_path}})
    client.execute(env=environment)
    shown = [
        output.data["text/html"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "display_data" and "text/html" in output.data
    ]
    assert len([html for html in shown if "<svg" in html]) >= 8
