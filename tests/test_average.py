import dataclasses
import shutil

import pytest
import torch
from tiny_translator import SOURCES, TARGETS

from seq2seq import cli
from seq2seq.average import average_models
from seq2seq.config import ConfigurationError
from seq2seq.model_directory import load_model_directory, save_model_directory
from seq2seq.training.checkpoints import save_weights
from seq2seq.translator import Translator


def shifted(directory, path, change):
    """A copy of a model directory whose weights are all moved by a number."""
    loaded = load_model_directory(directory)
    state = {name: tensor + change for name, tensor in loaded.model.state_dict().items()}
    save_model_directory(
        path, loaded.recipe, state, loaded.tokenizers, extra={"bfloat16": True, "longest_source": 9}
    )
    return path


def weights_of(directory):
    return load_model_directory(directory).model.state_dict()


def assert_is_mean(found, expected):
    assert found.keys() == expected[0].keys()
    for name, tensor in found.items():
        mean = torch.stack([each[name].double() for each in expected]).mean(0)
        assert torch.allclose(tensor.double(), mean, atol=1e-7), name


@pytest.fixture
def run_directory(tiny_directory, tmp_path):
    """A run that has kept three of its best weights."""
    run = tmp_path / "run"
    shutil.copytree(tiny_directory, run)
    for step in (5, 20, 100):
        state = {name: tensor + step for name, tensor in weights_of(tiny_directory).items()}
        save_weights(run / "checkpoints" / f"best-{step:08d}.safetensors", state)
    return run


def test_model_directories_give_their_mean(tiny_directory, tmp_path):
    others = [shifted(tiny_directory, tmp_path / str(c), c) for c in (0.5, 1.0)]
    models = [others[0], tiny_directory, others[1]]
    assert average_models(tmp_path / "mean", models) == 3
    loaded = load_model_directory(tmp_path / "mean")
    assert_is_mean(loaded.model.state_dict(), [weights_of(model) for model in models])
    assert loaded.recipe.name == "mean"
    assert dict(loaded.decode) == {"longest_source": 9}, "bfloat16 was measured with other weights"
    assert "Not evaluated yet." in (tmp_path / "mean" / "README.md").read_text()


def test_a_model_with_itself_is_the_model(tiny_directory, tmp_path):
    average_models(tmp_path / "same", [tiny_directory, tiny_directory])
    translator = Translator.load(tmp_path / "same", "cpu")
    assert [t.text for t in translator.translate(SOURCES)] == TARGETS


def test_the_last_weights_of_a_run_give_their_mean(tiny_directory, run_directory, tmp_path):
    assert average_models(tmp_path / "mean", [run_directory], last=2) == 2
    expected = [
        {name: tensor + step for name, tensor in weights_of(tiny_directory).items()}
        for step in (20, 100)
    ]
    assert_is_mean(weights_of(tmp_path / "mean"), expected)


def test_files_and_folders_go_together(tiny_directory, run_directory, tmp_path):
    file = run_directory / "checkpoints" / "best-00000005.safetensors"
    average_models(tmp_path / "mean", [file, tiny_directory])
    plain = weights_of(tiny_directory)
    assert_is_mean(
        weights_of(tmp_path / "mean"), [plain, {name: tensor + 5 for name, tensor in plain.items()}]
    )


@pytest.fixture
def refused(tmp_path):
    """What an average says of models that it does not take; it writes nothing."""

    def refused(*models, **options):
        with pytest.raises(ConfigurationError) as error:
            average_models(tmp_path / "mean", models, **options)
        assert not (tmp_path / "mean").exists()
        return str(error.value)

    return refused


def test_networks_of_other_runs_are_told(tiny_directory, tmp_path):
    loaded = load_model_directory(tiny_directory)
    training = dataclasses.replace(loaded.recipe.training, seed=2)
    recipe = dataclasses.replace(loaded.recipe, training=training)
    save_model_directory(tmp_path / "other", recipe, loaded.model.state_dict(), loaded.tokenizers)
    heard = []
    models = [tiny_directory, tmp_path / "other", tiny_directory]
    average_models(tmp_path / "mean", models, warn=heard.append)
    assert heard == [
        f"{tmp_path / 'other'} is of another run than {tiny_directory}; unless both began with "
        f"the same weights, their average is worse than each of them."
    ]


class TestMistakes:
    def test_one_model_alone(self, tiny_directory, refused):
        assert refused(tiny_directory) == (
            f"an average needs at least two models, but there is only {tiny_directory}."
        )

    def test_other_networks(self, tiny_directory, member_directory, refused):
        assert refused(tiny_directory, member_directory) == (
            f"an average needs networks of one shape, but `model.cell` is 'gru' in "
            f"{tiny_directory} and 'lstm' in {member_directory}."
        )

    def test_other_languages(self, tiny_directory, reverse_directory, refused):
        message = refused(tiny_directory, reverse_directory)
        assert message.startswith("an average needs models of the same languages, but ")

    def test_weights_of_another_network(self, tiny_directory, run_directory, refused):
        file = run_directory / "checkpoints" / "best-00000005.safetensors"
        save_weights(file, {"encoder.weight": torch.zeros(3)})
        assert refused(tiny_directory, file) == (
            f"{file} holds other weights than the network of {run_directory} has."
        )

    def test_a_run_with_fewer_weights(self, run_directory, refused):
        for last in (0, 4):
            assert refused(run_directory, last=last) == (
                f"`last` must be from 1 to 3, the best weights that the run {run_directory} has "
                f"kept, but is {last}."
            )

    def test_a_folder_that_is_no_run(self, tiny_directory, refused):
        assert refused(tiny_directory, last=2) == (
            f"`last` needs folders of runs, but {tiny_directory / 'checkpoints'} holds no weights."
        )

    def test_a_folder_that_is_not_there(self, tiny_directory, tmp_path, refused):
        assert (
            refused(tiny_directory, tmp_path / "no") == f"no model directory at {tmp_path / 'no'}."
        )

    def test_an_output_that_is_there(self, tiny_directory, own_directory):
        with pytest.raises(ConfigurationError) as error:
            average_models(own_directory, [tiny_directory, tiny_directory])
        assert str(error.value) == f"{own_directory} holds a model already; name another folder."


class TestCommand:
    def run(self, capfd, *argv):
        code = cli.main(["average", *map(str, argv)])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    def test_says_that_scores_are_not_known(self, capfd, tiny_directory, tmp_path):
        found = self.run(capfd, tmp_path / "mean", tiny_directory, tiny_directory)
        assert found == (
            0,
            f"average of 2: {tmp_path / 'mean'}\n"
            f"its scores are not known; measure them with `--source` and `--reference`\n",
            "",
        )

    def test_scores_it_beside_what_it_is_of(self, capfd, tiny_directory, run_directory, tmp_path):
        for name, sentences in (("in.de", SOURCES), ("in.en", TARGETS)):
            (tmp_path / name).write_text("".join(f"{line}\n" for line in sentences))
        file = run_directory / "checkpoints" / "best-00000005.safetensors"
        code, out, err = self.run(
            capfd,
            *(tmp_path / "mean", tiny_directory, file),
            *("--source", tmp_path / "in.de", "--reference", tmp_path / "in.en"),
        )
        assert (code, err) == (0, "")
        first, *scores = out.splitlines()
        assert first == f"average of 2: {tmp_path / 'mean'}"
        assert scores[0] == f"BLEU 100.00  chrF2 100.00  {tiny_directory}"
        assert scores[1].startswith("BLEU   0.00")
        assert scores[1].endswith(str(tmp_path / "mean"))

    def test_a_source_needs_its_reference(self, capfd, tiny_directory, tmp_path):
        assert self.run(
            capfd, tmp_path / "mean", tiny_directory, tiny_directory, "--source", "x"
        ) == (2, "", "seq2seq: `--source` and `--reference` need each other; give both or none.\n")
