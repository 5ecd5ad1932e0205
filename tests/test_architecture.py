"""Reads the imports of the package and holds them to the layers of the design."""

import ast
import functools
from pathlib import Path

import pytest

import seq2seq

PACKAGE = Path(seq2seq.__file__).parent

# From the top down; a file imports from lower lines, or from its own folder.
LAYERS = [
    {"__main__"},
    {"cli"},
    {"commands"},
    {"language_recipe"},
    {"recipe"},
    {"report"},
    {"average", "insight", "serving"},
    {"training"},
    {"show_evaluation"},
    {"calibrate", "evaluate", "tune"},
    {"bulk"},
    {"line_translator"},
    {"formats"},
    {"translator"},
    {"pipeline"},
    {"preparation", "search_settings"},
    {"engine", "casing", "copying", "reranking", "selection", "survival"},
    {"confidence", "alignments"},
    {"language_model", "members", "translation"},
    {"batches", "constraints", "glossary", "model_directory"},
    {"language_model_directory", "lexicon_file", "markup", "subtitles"},
    {"model_files"},
    {"documents", "line_breaks", "stretches"},
    {"data", "models", "decoding", "evaluation"},
    {"options"},
    {"recipe_yaml"},
    {"partial_output"},
    {
        "devices",
        "exits",
        "lines",
        "locks",
        "model_card",
        "processes",
        "sizes",
        "tensor_files",
    },
    {"reading"},
    {"language_config"},
    {"config", "files", "items", "languages", "loading", "out_of_memory", "source"},
    {"search_config"},
    {"checks"},
]
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}
LIGHTNING_HOMES = ("training/", "data/datamodule.py")


def test_no_two_test_files_have_one_name():
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))  # pytest would read only one of them


def python_files():
    return sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@functools.cache
def parse(file):
    return ast.parse((PACKAGE / file).read_text("utf-8"))


def imported_modules(tree, *, for_types=True):
    """Names of modules in import statements, wherever they stand."""
    skipped = set() if for_types else type_checking_nodes(tree)
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module
            if node.module == "seq2seq":
                yield from (f"seq2seq.{alias.name}" for alias in node.names)


def type_checking_nodes(tree):
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }


def part_of(file):
    """The name in LAYERS that a file belongs to."""
    return Path(file).parts[0].removesuffix(".py")


def test_the_package_is_found():
    assert {"config.py", "cli.py", "models/encoder_decoder.py"} <= set(python_files())


@pytest.mark.parametrize("file", python_files())
def test_imports_point_down(file):
    part = part_of(file)
    if part == "__init__":
        return  # its names are imported on use
    assert part in LEVELS, f"{file} has no place among the layers"
    for module in imported_modules(parse(file), for_types=False):
        names = module.split(".")
        if names[0] != "seq2seq" or len(names) == 1 or names[1] == "__version__":
            continue
        imported = names[1]
        assert imported == part or LEVELS[imported] > LEVELS[part], f"{file} imports {module}"


@pytest.mark.parametrize("file", python_files())
def test_lightning_and_datasets_stay_in_their_places(file):
    for module in imported_modules(parse(file)):
        library = module.split(".")[0]
        if library in ("lightning", "pytorch_lightning", "torchmetrics"):
            assert file.startswith(LIGHTNING_HOMES), f"{file} imports {module}"
        if library in ("datasets", "pyarrow"):
            assert file.startswith("data/"), f"{file} imports {module}"


@pytest.mark.parametrize("file", python_files())
def test_datasets_is_imported_on_use(file):
    tree = parse(file)
    in_functions = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for inner in ast.walk(node)
    }
    outside = ast.Module([], [])
    outside.body = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        and node not in in_functions
        and node not in type_checking_nodes(tree)
    ]
    assert not {"datasets", "pyarrow"} & {m.split(".")[0] for m in imported_modules(outside)}


@pytest.mark.parametrize("file", [f for f in python_files() if f.endswith("/__init__.py")])
def test_folders_have_one_sentence_and_no_imports(file):
    (only,) = parse(file).body
    assert isinstance(only, ast.Expr)
    assert ast.get_docstring(parse(file)).count("\n") == 0


@pytest.mark.parametrize("file", python_files())
def test_every_file_opens_with_its_job(file):
    assert ast.get_docstring(parse(file)), f"{file} does not say what it is for"
