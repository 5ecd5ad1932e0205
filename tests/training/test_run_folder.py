import errno
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from copy_corpus import make_recipe

from seq2seq.config import ConfigurationError, SearchConfig
from seq2seq.training.checkpoints import read_step, save_checkpoint
from seq2seq.training.run_folder import RunFolder


@pytest.fixture
def recipe(tiny_corpus):
    return make_recipe(tiny_corpus)


@pytest.fixture
def folder(tmp_path, recipe, tiny_tokenizers):
    """A folder that holds a run."""
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        folder.check(resume=False, overwrite=False)
        folder.begin(recipe, tiny_tokenizers, overwrite=False)
    return folder


def test_a_folder_with_a_run_is_refused(folder):
    message = "holds a run already; continue it with `--resume` or replace it with `--overwrite`"
    with pytest.raises(ConfigurationError, match=message):
        folder.check(resume=False, overwrite=False)


def test_resume_and_overwrite_exclude_each_other(folder):
    with pytest.raises(ConfigurationError, match="`--resume` and `--overwrite` exclude each other"):
        folder.check(resume=True, overwrite=True)


def test_overwrite_deletes_the_run_and_nothing_else(folder, recipe, tiny_tokenizers):
    folder.last_checkpoint.write_text("old")
    (folder.path / "notes.txt").write_text("mine")
    for name in ("model.safetensors", "lexicon.safetensors"):
        (folder.path / name).write_text("old")
    folder.check(resume=False, overwrite=True)
    assert folder.last_checkpoint.exists()  # the corpus may still turn out to be missing
    folder.begin(recipe, tiny_tokenizers, overwrite=True)
    names = {str(path.relative_to(folder.path)) for path in folder.path.rglob("*.*")}
    assert names == {"notes.txt", "recipe.yaml", "checkpoints/shared.model"}


def test_overwrite_of_a_folder_without_a_run_deletes_nothing(tmp_path, recipe, tiny_tokenizers):
    (tmp_path / "README.md").write_text("mine")
    folder = RunFolder(tmp_path)
    folder.check(resume=False, overwrite=True)
    folder.begin(recipe, tiny_tokenizers, overwrite=True)
    assert (tmp_path / "README.md").read_text() == "mine"


@pytest.mark.parametrize("recipe_is_there", [True, False])
def test_a_new_run_never_continues_an_older_one(folder, recipe, tiny_tokenizers, recipe_is_there):
    save(folder, 3, 5)
    if not recipe_is_there:  # as when `--overwrite` was killed
        (folder.path / "recipe.yaml").unlink()
    folder.begin(recipe, tiny_tokenizers, overwrite=recipe_is_there)
    assert folder.find_checkpoint() == 0


def test_a_run_that_begins_where_a_model_has_lost_its_recipe_has_one(
    folder, recipe, tiny_tokenizers
):
    (folder.path / "model.safetensors").write_text("old")
    (folder.path / "recipe.yaml").unlink()
    folder.begin(recipe, tiny_tokenizers, overwrite=False)
    save(folder, 3)
    folder.check(resume=True, overwrite=False)
    folder.check_same_run(recipe)
    assert folder.find_checkpoint() == 3


def test_overwrite_that_is_killed_leaves_a_recipe_as_long_as_there_is_anything_of_the_run(
    folder, recipe, tiny_tokenizers, monkeypatch
):
    remove, left = Path.unlink, 0

    def die_after_some(path, missing_ok=False):
        nonlocal left
        left -= path.exists()
        if left < 0:
            raise SystemExit
        remove(path, missing_ok)

    files = ["README.md", "model.safetensors", "scores.json", "recipe.yaml"]
    for deletions in range(len(files)):
        for name in files[:-1]:
            (folder.path / name).write_text("old")
        left = deletions
        with monkeypatch.context() as patch, pytest.raises(SystemExit):
            patch.setattr(Path, "unlink", die_after_some)
            folder.begin(recipe, tiny_tokenizers, overwrite=True)
        assert folder.holds_run
        assert (folder.path / "model.safetensors").exists() is (deletions == 0)


@pytest.mark.parametrize("name", ["last.ckpt", "previous.ckpt"])
def test_resume_refuses_a_checkpoint_without_a_recipe(folder, name):
    (folder.checkpoints / name).write_text("of some run")
    (folder.path / "recipe.yaml").unlink()
    message = (
        r"^The run folder .*run holds a checkpoint, but no recipe\.yaml that says of which run; "
        r"restore it or start again with `--overwrite`\.$"
    )
    with pytest.raises(ConfigurationError, match=message):
        folder.check(resume=True, overwrite=False)
    folder.check(resume=False, overwrite=True)


def test_overwrite_forgets_the_checkpoints_first(folder, recipe, tiny_tokenizers, monkeypatch):
    save(folder, 3, 5)

    def die(*args, **kwargs):
        raise SystemExit

    monkeypatch.setattr("shutil.rmtree", die)
    with pytest.raises(SystemExit):
        folder.begin(recipe, tiny_tokenizers, overwrite=True)
    assert folder.find_checkpoint() == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name: \xff\n", "recipe.yaml: the text is not UTF-8"),
        (b"name: [\n", "recipe.yaml: line 2: "),
        (b"\x00", "recipe.yaml: the text is no YAML"),
        (b"model: 3\n", "recipe.yaml: `model` must be a mapping of keys"),
    ],
)
def test_resume_names_a_damaged_recipe(folder, recipe, content, message):
    (folder.path / "recipe.yaml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        folder.check_same_run(recipe)


@pytest.mark.parametrize("place", ["", "checkpoints", "logs", "translations", "cache"])
def test_what_a_killed_process_left_is_removed(folder, place):
    stale = folder.path / place / ".k3x9.part"
    stale.mkdir(parents=True)
    (stale / "half").write_text("half")
    with folder.locked():
        assert not stale.exists()


def test_ids_that_a_killed_process_left_half_encoded_are_removed(folder):
    for name in (".train-1234-k3x9", "train-1234"):
        (folder.cache / name).mkdir(parents=True)
    with folder.locked():
        assert [entry.name for entry in folder.cache.iterdir()] == ["train-1234"]


@pytest.mark.parametrize("begins", [True, False])
def test_a_new_cache_stays_only_if_the_run_begins(folder, recipe, tiny_tokenizers, begins):
    folder.cache.mkdir()
    (folder.cache / "old").mkdir()
    with folder.locked():
        (folder.new_cache / "new").mkdir(parents=True)
        if begins:
            folder.begin(recipe, tiny_tokenizers, overwrite=True)
    assert [entry.name for entry in folder.cache.iterdir()] == ["new" if begins else "old"]
    assert not folder.new_cache.exists()


def test_a_new_cache_takes_the_place_of_one_that_a_killed_start_left(
    folder, recipe, tiny_tokenizers
):
    (folder.path / "recipe.yaml").unlink()
    for text, cache in (("old", folder.cache), ("new", folder.new_cache)):
        (cache / "corpus-12").mkdir(parents=True)
        (cache / "corpus-12" / "text").write_text(text)
    folder.begin(recipe, tiny_tokenizers, overwrite=False)
    assert (folder.cache / "corpus-12" / "text").read_text() == "new"


def test_a_run_that_never_began_leaves_no_folder(tmp_path):
    folder = RunFolder(tmp_path / "new")
    with pytest.raises(ValueError, match="mistake"), folder.locked():
        raise ValueError("mistake")
    assert not folder.path.exists()


def test_a_resumed_run_may_change_how_long_it_trains_and_how_it_searches(folder, recipe):
    longer = replace(
        recipe,
        search=SearchConfig(beam_size=3),
        training=replace(
            recipe.training,
            max_epochs=99,
            max_minutes=3.0,
            patience=9,
            lexicon_pairs=0,
            threads=1,
        ),
    )
    folder.check_same_run(longer)
    folder.begin(longer, folder.load_tokenizers(), overwrite=False)
    assert "max_epochs: 99" in (folder.path / "recipe.yaml").read_text()


@pytest.mark.parametrize(
    ("section", "setting", "value"),
    [
        ("model", "hidden_size", 18),
        ("training", "batch_tokens", 99),
        ("tokenizer", "shared", False),
    ],
)
def test_a_resumed_run_cannot_become_another_one(folder, recipe, section, setting, value):
    other = replace(recipe, **{section: replace(getattr(recipe, section), **{setting: value})})
    before = getattr(getattr(recipe, section), setting)
    message = f"`{section}.{setting}` was {before} when the run began, but is {value}; a resumed"
    with pytest.raises(ConfigurationError, match=message):
        folder.check_same_run(other)


def test_a_folder_in_use_is_refused(folder):
    message = rf"run folder .*run is in use by another training \(process {os.getpid()} on "
    with folder.locked():
        for _ in range(2):
            with pytest.raises(ConfigurationError, match=message), folder.locked():
                pass
    with folder.locked():
        pass


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "run").write_text("")
    with (
        pytest.raises(ConfigurationError, match=r"run folder .*run cannot be written: File exi"),
        RunFolder(tmp_path / "run").locked(),
    ):
        pass


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"cos\nsystem\n(S'touch owned'\ntR."])
def test_a_damaged_checkpoint_is_named_and_never_executed(folder, content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder.last_checkpoint.write_bytes(content)
    message = r"last.ckpt is damaged or no checkpoint; start again with `--overwrite`"
    with pytest.raises(ConfigurationError, match=message):
        folder.find_checkpoint()
    assert not (tmp_path / "owned").exists()


def save(folder, *steps):
    for step in steps:
        save_checkpoint(folder.last_checkpoint, {"global_step": step, "w": torch.ones(3)})


def test_a_run_without_a_checkpoint_begins_at_its_beginning(folder):
    assert folder.find_checkpoint() == 0


def test_the_checkpoint_before_takes_the_place_of_a_damaged_one(folder, capsys):
    save(folder, 3, 5)
    data = bytearray(folder.last_checkpoint.read_bytes())
    data[data.index(b"global_step")] ^= 1
    folder.last_checkpoint.write_bytes(data)
    assert folder.find_checkpoint() == 3
    said = capsys.readouterr().err
    assert said.endswith(
        "last.ckpt is damaged; the run continues after step 3, from the checkpoint before.\n"
    )
    assert (read_step(folder.last_checkpoint), folder.previous_checkpoint.exists()) == (3, False)


def test_a_process_that_was_killed_between_two_moves_left_the_checkpoint_before(folder, capsys):
    save(folder, 3, 5)
    folder.last_checkpoint.unlink()
    assert folder.find_checkpoint() == 3
    assert capsys.readouterr().err == ""
    assert read_step(folder.last_checkpoint) == 3


def test_two_damaged_checkpoints_are_named(folder):
    save(folder, 3, 5)
    for path in (folder.last_checkpoint, folder.previous_checkpoint):
        path.write_bytes(path.read_bytes()[:-9])
    message = r"last.ckpt and .*previous.ckpt are damaged or no checkpoint; start again with `--ov"
    with pytest.raises(ConfigurationError, match=message):
        folder.find_checkpoint()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "{run} cannot be written: No space left on device; free space there, then continue "
            "with `--resume`.",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "{run}/corpus.json"),
            "{run}/corpus.json cannot be written: Permission denied; mend that, then continue with "
            "`--resume`.",
        ),
    ],
)
def test_a_folder_that_cannot_be_written_any_more_is_named_with_the_mend(folder, error, message):
    if error.filename is not None:
        error.filename = error.filename.format(run=folder.path)
    expected = f"^{re.escape(message.format(run=folder.path))}$"
    with pytest.raises(ConfigurationError, match=expected), folder.locked():
        raise error


def test_a_run_that_has_not_begun_is_started_again(tmp_path):
    folder = RunFolder(tmp_path / "new")
    message = r"new cannot be written: Disk quota exceeded; free space there, then start again\."
    with pytest.raises(ConfigurationError, match=message), folder.locked():
        raise OSError(errno.EDQUOT, "Disk quota exceeded")


@pytest.mark.parametrize("place", ["/elsewhere", "{run}/checkpoints/best-00000005.safetensors"])
def test_an_error_of_reading_stays_what_it_is(folder, place):
    file = place.format(run=folder.path)
    with pytest.raises(FileNotFoundError, match=file), folder.locked():
        raise FileNotFoundError(errno.ENOENT, "No such file", file)


@pytest.mark.parametrize("shared", [True, False])
def test_tokenizers_survive_the_folder(tmp_path, recipe, tiny_tokenizers, shared):
    tokenizers = tiny_tokenizers
    if not shared:
        twin = type(tokenizers.source).from_bytes(tokenizers.source.to_bytes())
        tokenizers = replace(tokenizers, target=twin)
    folder = RunFolder(tmp_path)
    folder.begin(recipe, tokenizers, overwrite=False)
    loaded = folder.load_tokenizers()
    assert loaded.shared is shared
    assert loaded.target.to_bytes() == tokenizers.target.to_bytes()


def test_the_run_of_a_language_model_is_not_taken_for_a_translator(
    tmp_path, recipe, tiny_tokenizers
):
    (tmp_path / "language_model.yaml").write_text("name: x\n")
    folder = RunFolder(tmp_path)
    for resume in (False, True):
        with pytest.raises(ConfigurationError, match="holds a language model; give this run"):
            folder.check(resume=resume, overwrite=False)
    folder.check(resume=False, overwrite=True)
    folder.begin(recipe, tiny_tokenizers, overwrite=True)
    assert not (tmp_path / "language_model.yaml").exists()
    assert folder.holds_run
