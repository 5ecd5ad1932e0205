"""Nothing that is read can run code, and nothing reaches for the network unless it is told to."""

import ast
import contextlib
import functools
import pickle
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from fuzzing import is_sentence

import seq2seq
from seq2seq.config import ConfigurationError, CorpusConfig, Recipe
from seq2seq.data.corpus import Pairs
from seq2seq.data.loading import load_corpus
from seq2seq.model_directory import load_model_directory
from seq2seq.recipe import parse_recipe, run_with_options
from seq2seq.report import write_report
from seq2seq.training.run_folder import RunFolder
from seq2seq.translator import Translator

PACKAGE = Path(seq2seq.__file__).parent
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
# What reads pickles, or makes Python's objects of bytes in other ways that run code.
RUNNING = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.hub.load"}
PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


class Payload:
    """A pickle of it makes a folder when it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return Path.mkdir, (self.folder,)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """What a payload makes."""
    return tmp_path / "made"


def write_checkpoint(kind: str, file: Path, payload: object) -> None:
    state = {"global_step": 3, "state_dict": {"w": torch.zeros(2)}, "more": payload}
    if kind == "plain pickle":
        file.write_bytes(pickle.dumps(state))
    else:
        torch.save(state, file, _use_new_zipfile_serialization=kind == "zip")


@pytest.mark.parametrize("kind", ["plain pickle", "zip", "legacy"])
def test_a_malicious_checkpoint_is_refused_and_runs_nothing(
    tmp_path: Path, made: Path, kind: str
) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.checkpoints.mkdir(parents=True)
    write_checkpoint(kind, folder.last_checkpoint, Payload(made))
    if kind == "plain pickle":
        pickle.loads(folder.last_checkpoint.read_bytes())
    else:
        torch.load(folder.last_checkpoint, weights_only=False)
    assert made.is_dir(), "the payload works where it is let"
    made.rmdir()
    with pytest.raises(
        ConfigurationError, match=r"last\.ckpt is damaged or no checkpoint"
    ) as caught:
        folder.find_checkpoint()
    assert is_sentence(str(caught.value))
    assert not made.exists()


def test_pickles_beside_a_model_are_not_looked_at(own_directory: Path, made: Path) -> None:
    data = pickle.dumps(Payload(made))
    names = ["model.pt", "model.bin", "pytorch_model.bin", "last.ckpt", "model.pkl", "model.ckpt"]
    code = f"import os; os.mkdir({str(made)!r})\n"
    for name in (*names, "optimizer.pt", "training_args.bin", "shared.model.pkl"):
        (own_directory / name).write_bytes(data)
    for name in ("__init__.py", "model.py", "modeling.py", "recipe.py", "config.py", "torch.py"):
        (own_directory / name).write_text(code)
    translator = Translator.load(own_directory)
    assert translator.translate("ein Hund schläft .").text
    write_report([own_directory])
    assert not made.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "shared.model", "lexicon.safetensors"])
@pytest.mark.parametrize("kind", ["plain pickle", "zip"])
def test_a_pickle_in_the_place_of_a_file_is_refused(
    own_directory: Path, made: Path, name: str, kind: str
) -> None:
    write_checkpoint(kind, own_directory / name, Payload(made))
    with pytest.raises(ConfigurationError) as caught:
        load_model_directory(own_directory)
    assert is_sentence(str(caught.value))
    assert not made.exists()


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.mkdir ['MADE']",
        "!!python/object/new:os.mkdir ['MADE']",
        "!!python/name:os.mkdir",
        "!!python/module:this",
        "!!python/object/apply:subprocess.check_output [['mkdir', 'MADE']]",
        "!!python/tuple [1]",
        "!<tag:yaml.org,2002:python/object/apply:os.mkdir> ['MADE']",
    ],
)
def test_objects_in_yaml_are_refused(own_directory: Path, made: Path, value: str) -> None:
    value = value.replace("MADE", str(made))
    file = own_directory / "recipe.yaml"
    file.write_text(f"format_version: 1\nname: {value}\n")
    readers: list[Callable[[], object]] = [
        lambda: load_model_directory(own_directory),
        lambda: write_report([own_directory]),
        lambda: parse_recipe(Recipe(), ["--config", str(file)], command="test"),
    ]
    for read in readers:
        with pytest.raises(ConfigurationError, match="line 2: could not determine a constructor"):
            read()
    with contextlib.suppress(ConfigurationError):  # a value of an option may be text like that
        parse_recipe(Recipe(), ["--corpus.train", value], command="test")
    assert not made.exists()


def test_a_script_beside_a_data_set_is_not_run(tmp_path: Path, made: Path) -> None:
    folder = tmp_path / "captions"
    folder.mkdir()
    (folder / "captions.py").write_text(f"import os; os.mkdir({str(made)!r})\n")
    config = CorpusConfig(hub=str(folder))
    with pytest.raises(ConfigurationError, match=r"`corpus\.hub` .* cannot be loaded"):
        load_corpus(Recipe(source_language="de", target_language="en", corpus=config), tmp_path)
    assert not made.exists()


@functools.cache
def parse(file: str) -> ast.Module:
    return ast.parse((PACKAGE / file).read_text("utf-8"))


def calls(file: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Names of all that a file calls, with their arguments by name."""
    for node in ast.walk(parse(file)):
        if isinstance(node, ast.Call):
            named = {word.arg or "**": ast.unparse(word.value) for word in node.keywords}
            yield ast.unparse(node.func), named


@pytest.mark.parametrize("file", FILES)
def test_no_file_of_the_package_can_run_what_it_reads(file: str) -> None:
    imported = {
        name.split(".")[0]
        for node in ast.walk(parse(file))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not PICKLES & imported
    for name, arguments in calls(file):
        assert name not in RUNNING, name
        assert "trust_remote_code" not in arguments, name
        assert arguments.get("shell", "False") == "False", name
        assert arguments.get("allow_pickle", "False") == "False", name
        assert not re.match(r"yaml\.(?!load$|safe_dump$|.*Error$)", name), name
        if name == "yaml.load":
            assert arguments["Loader"] == "_StrictLoader"
        if name in ("torch.load", "trainer.fit"):
            assert arguments["weights_only"] == "True", name


def test_the_search_sees_the_calls_it_looks_for() -> None:
    found = {name for file in FILES for name, _ in calls(file)}
    assert {"torch.load", "trainer.fit", "yaml.load", "yaml.safe_dump"} <= found


class ReachedOut(BaseException):
    """Somebody wants to connect; no library may catch it and try again."""


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raises `ReachedOut` where a name is looked up or a connection made."""

    def refuse(*arguments: object, **more: object) -> NoReturn:
        raise ReachedOut(arguments)

    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            refuse(address)
        real(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.mark.usefixtures("no_network")
def test_only_the_hub_reaches_for_the_network(tmp_path: Path, tiny_pairs: Pairs) -> None:
    for language, sentences in (("de", tiny_pairs.sources), ("en", tiny_pairs.targets)):
        (tmp_path / f"train.{language}").write_text("".join(f"{text}\n" for text in sentences))
    path = run_with_options(
        Recipe(),
        [
            *("--source_language", "de", "--target_language", "en", "--name", "run"),
            *("--corpus.train", str(tmp_path / "train"), "--runs_dir", str(tmp_path)),
            *("--tokenizer.vocabulary_size", "310", "--model.hidden_size", "8"),
            *("--model.embedding_size", "4", "--model.attention_size", "4"),
            *("--training.max_epochs", "1", "--search.beam_size", "1"),
            *("--search.max_length_ratio", "0.1"),
        ],
        command="test",
    )
    Translator.load(path).translate("ein hund")
    load_corpus(Recipe(), tmp_path)
    with pytest.raises(ReachedOut):
        load_corpus(Recipe(corpus=CorpusConfig(hub="someone/captions")), tmp_path)
