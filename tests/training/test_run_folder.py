from dataclasses import replace

import pytest
from copy_corpus import make_recipe

from seq2seq.config import ConfigurationError, SearchConfig
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


def test_resume_of_a_folder_without_a_run_is_refused(tmp_path):
    folder = RunFolder(tmp_path / "typo")
    message = "run folder .*typo holds no run to continue; start one without `--resume`"
    with pytest.raises(ConfigurationError, match=message), folder.locked():
        folder.check(resume=True, overwrite=False)
    assert not folder.path.exists()


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


def test_what_a_killed_process_left_is_removed(folder, recipe, tiny_tokenizers):
    stale = folder.checkpoints / ".last.ckpt.123.part"
    stale.write_text("half")
    with folder.locked():
        folder.begin(recipe, tiny_tokenizers, overwrite=False)
    assert not stale.exists()


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
    message = "run folder .*run is in use by another training"
    with folder.locked():
        for _ in range(2):
            with pytest.raises(ConfigurationError, match=message), folder.locked():
                pass
    with folder.locked():
        pass


@pytest.mark.parametrize("another_came", [True, False])
def test_a_lock_on_a_deleted_file_keeps_nobody_out(folder, monkeypatch, another_came):
    lock = folder.path / ".lock"

    def flock(*arguments):
        """Before we lock it, its owner deletes the file and somebody else makes a new one."""
        lock.rename(folder.path / "deleted")
        if another_came:
            lock.touch()

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(ConfigurationError, match="in use by another training"), folder.locked():
        pytest.fail("two are in the folder")


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
