import dataclasses
import itertools
import json
import math

import pytest
import torch
from tiny_translator import SOURCES, TARGETS

from seq2seq import cli
from seq2seq.config import ConfigurationError
from seq2seq.decoding.shortlist import Lexicon
from seq2seq.line_translator import Job, LineTranslator, Listener
from seq2seq.loading import Loading
from seq2seq.members import join_decode
from seq2seq.model_directory import add_lexicon, load_model_directory, save_model_directory
from seq2seq.translator import Translator


@pytest.fixture(scope="module")
def first(tiny_directory):
    return Translator.load(tiny_directory, "cpu", "float32")


@pytest.fixture(scope="module")
def second(member_directory):
    return Translator.load(member_directory, "cpu", "float32")


def load(tiny_directory, member_directory, **options):
    return Translator.load(tiny_directory, "cpu", "float32", ensemble=[member_directory], **options)


@pytest.fixture(scope="module")
def both(tiny_directory, member_directory):
    return load(tiny_directory, member_directory)


@pytest.fixture
def changed_directory(own_directory):
    """Writes the tiny model once more, changed."""

    def write(*, recipe=None, tokenizers=None, state=None, **extra):
        loaded = load_model_directory(own_directory)
        save_model_directory(
            own_directory,
            recipe or loaded.recipe,
            state or loaded.model.state_dict(),
            tokenizers or loaded.tokenizers,
            extra=extra,
        )
        return own_directory

    return write


def plain_log_probability(members, weights, kind, source, target):
    """Of a target under an ensemble, in float64 and piece by piece."""
    total = math.fsum(weights)
    tokenizer = members[0].tokenizers
    source_ids = torch.tensor([[*tokenizer.source.encode(source), 3]])
    target_ids = [*tokenizer.target.encode(target), 3]
    states = [
        m.engine.network.start(source_ids, torch.tensor([source_ids.shape[1]])) for m in members
    ]
    log_probability = 0.0
    for previous, id_ in itertools.pairwise([2, *target_ids]):
        tables = []
        for number, member in enumerate(members):
            logits, states[number] = member.engine.network.step(
                torch.tensor([previous]), states[number]
            )
            tables.append(logits[0].double().log_softmax(0))
        shares = [weight / total for weight in weights]
        if kind == "log_linear":
            joined = sum(s * table for s, table in zip(shares, tables, strict=True))
        else:
            joined = sum(s * table.exp() for s, table in zip(shares, tables, strict=True)).log()
        log_probability += float(joined.log_softmax(0)[id_])
    return log_probability


@pytest.mark.parametrize("kind", ["log_linear", "arithmetic"])
def test_translations_are_scored_by_all_members(
    first, second, tiny_directory, member_directory, kind
):
    weights = [2.0, 1.0]
    translator = load(
        tiny_directory, member_directory, ensemble_weights=weights, ensemble_kind=kind
    )
    with torch.inference_mode():
        for found in translator.translate(SOURCES[:3], n_best=3):
            assert len(found.alternatives) == 3
        for source in SOURCES[:3]:
            found = translator.translate(source)
            expected = plain_log_probability([first, second], weights, kind, source, found.text)
            assert found.log_probability == pytest.approx(expected, abs=1e-4)
            assert translator.score([source], [found.text]) == pytest.approx([expected], abs=1e-4)


def test_the_plain_path_says_the_same(both, tiny_directory, member_directory):
    plain = load(tiny_directory, member_directory, plain=True)
    expected = both.translate(SOURCES)
    found = plain.translate(SOURCES)
    assert [t.pieces for t in found] == [t.pieces for t in expected]
    assert [t.score for t in found] == pytest.approx([t.score for t in expected], abs=1e-4)


@pytest.mark.parametrize("batch_size", [1, 5])
def test_the_batch_does_not_change_a_translation(both, batch_size):
    alone = [both.translate(source) for source in SOURCES]
    together = both.translate(SOURCES, batch_size=batch_size)
    assert [t.pieces for t in together] == [t.pieces for t in alone]
    assert [t.score for t in together] == pytest.approx([t.score for t in alone], abs=1e-5)


def test_the_alignment_is_that_of_the_member_that_has_one(
    both, first, member_directory, tiny_directory
):
    found, alone = both.translate(SOURCES[0]), first.translate(SOURCES[0])
    assert found.pieces == alone.pieces
    assert torch.allclose(found.alignment, alone.alignment, atol=1e-5)
    turned = load(member_directory, tiny_directory)
    assert torch.allclose(turned.translate(SOURCES[0]).alignment, alone.alignment, atol=1e-5)
    assert turned.translate("").alignment.shape == (1, 1)


def test_the_shortlist_of_the_first_that_has_one_holds_for_all(own_directory, member_directory):
    loaded = load_model_directory(own_directory)
    tokenizers = loaded.tokenizers
    nothing = torch.zeros(tokenizers.source.vocabulary_size, 0, dtype=torch.int32)
    wanted = sorted(set(tokenizers.target.encode(TARGETS[0])))
    lexicon = Lexicon(nothing, torch.tensor(wanted, dtype=torch.int32))
    add_lexicon(own_directory, lexicon, tokenizers)
    for plain in (False, True):
        translator = Translator.load(
            member_directory, "cpu", "float32", ensemble=[own_directory], plain=plain
        )
        for found in translator.translate(SOURCES[:4], shortlist=1):
            assert set(tokenizers.target.encode(found.text)) <= set(wanted)
        assert translator.translate(SOURCES[0], shortlist=1).text == TARGETS[0]
        assert translator.translate(SOURCES[1]).text != TARGETS[0]


def test_means_of_probabilities_need_all_pieces(tiny_directory, member_directory):
    both = load(tiny_directory, member_directory, ensemble_kind="arithmetic")
    both.lexicon = Lexicon(torch.zeros(9, 0, dtype=torch.int32), torch.tensor([4]))
    with pytest.raises(ConfigurationError, match=r"`search\.shortlist` leaves out pieces whose"):
        both.translate("Hund", shortlist=9)


def test_a_heavier_member_has_its_way(tiny_directory, member_directory, first, second):
    sources = [f"{one} {other}" for one in SOURCES[:4] for other in ("Park", "Brot Müller")]
    alone = [[t.text for t in member.translate(sources)] for member in (first, second)]
    assert alone[0] != alone[1]  # none of the two has learnt them
    for weights, expected in (([1e6, 1], alone[0]), ([1, 1e6], alone[1])):
        translator = load(tiny_directory, member_directory, ensemble_weights=weights)
        assert [t.text for t in translator.translate(sources)] == expected


def test_what_is_recorded_of_all_members_holds(changed_directory, tiny_directory):
    other = changed_directory(longest_source=7, sentences_per_source=1, bfloat16=True)
    translator = Translator.load(tiny_directory, "cpu", "auto", ensemble=[other])
    assert (translator.longest_source, translator.sentences_per_source) == (7, 1)
    assert translator.precision == "float32"


def test_the_most_careful_record_counts(tiny_directory):
    loaded = load_model_directory(tiny_directory)
    records = [
        {"bfloat16": True, "longest_source": 9, "sentences_per_source": 1},
        {"bfloat16": True, "longest_source": 7},
        {"bfloat16": True, "longest_source": 8, "sentences_per_source": 2},
    ]
    members = [dataclasses.replace(loaded, decode=record) for record in records]
    assert join_decode(members) == {
        "bfloat16": True,
        "longest_source": 7,
        "sentences_per_source": 1,
    }
    assert join_decode([loaded]) == {
        "bfloat16": False,
        "longest_source": None,
        "sentences_per_source": None,
    }


def test_members_that_do_not_fit_into_memory_have_smaller_batches(both, first):
    longest = "Müller " * 40
    sizes = {}
    for translator in (first, both):
        seen = sizes.setdefault(translator, [])
        step = translator.engine.network.step

        def watch(ids, state, seen=seen, step=step):
            seen.append(len(ids))
            return step(ids, state)

        translator.engine.network.step, kept = watch, step
        translator.translate([longest] * 10, batch_size=10)
        translator.engine.network.step = kept
    assert max(sizes[both]) <= max(sizes[first]) / 2 + 3


def test_other_languages_are_refused(tiny_directory, reverse_directory):
    with pytest.raises(ConfigurationError) as error:
        Translator.load(tiny_directory, ensemble=[reverse_directory])
    assert str(error.value) == (
        f"`ensemble` needs models of the same languages, but {tiny_directory} translates from de "
        f"to en and {reverse_directory} from en to de."
    )


def test_other_vocabularies_are_refused(tiny_directory, changed_directory, tiny_tokenizers):
    from seq2seq.models.encoder_decoder import build_model

    recipe = load_model_directory(tiny_directory).recipe
    state = build_model(recipe.model, 320, 320).state_dict()
    other = changed_directory(tokenizers=tiny_tokenizers, state=state)
    with pytest.raises(ConfigurationError) as error:
        Translator.load(tiny_directory, ensemble=[other])
    assert str(error.value) == (
        f"`ensemble` needs models with one vocabulary, but the source pieces of {other} are not "
        f"those of {tiny_directory}; train them on one corpus with the same `tokenizer`."
    )


def test_a_weight_for_each_model_is_needed(tiny_directory, member_directory):
    with pytest.raises(ConfigurationError, match="`ensemble_weights` must have one weight"):
        Translator.load(tiny_directory, ensemble_weights=[1.0] * 3, ensemble=[member_directory])


def test_a_changed_member_is_another_setting(tiny_directory, changed_directory):
    def settings(**options):
        job = Job(str(tiny_directory), "text", Loading("cpu", "float32", **options), {})
        return json.loads(json.dumps(LineTranslator(job, Listener()).settings()))

    other = changed_directory()
    before = settings(ensemble=[str(other)])
    assert before == settings(ensemble=[str(other)])
    assert before != settings()
    assert before != settings(ensemble=[str(other)], ensemble_weights=[1.0, 2.0])
    assert before != settings(ensemble=[str(other)], ensemble_kind="arithmetic")
    changed_directory(longest_source=7)
    assert before != settings(ensemble=[str(other)])


def run(capfd, *argv):
    code = cli.main([str(argument) for argument in argv])
    captured = capfd.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def files(tmp_path):
    for name, sentences in (("in.de", SOURCES), ("in.en", TARGETS)):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in sentences))
    return tmp_path / "in.de", tmp_path / "in.en"


class TestCommands:
    def test_translate(self, capfd, tiny_directory, member_directory, both, files):
        code, out, err = run(
            capfd,
            *("translate", tiny_directory, "--ensemble", member_directory, "--format", "jsonl"),
            *("--input", files[0]),
        )
        assert (code, err) == (
            0,
            "seq2seq: 2 models together, cpu with 1 thread in float32, beam 3, target pieces: all "
            "of them\n",
        )
        rows = [json.loads(line) for line in out.splitlines()]
        expected = both.translate(SOURCES)
        assert [row["text"] for row in rows] == [t.text for t in expected]
        assert [row["score"] for row in rows] == pytest.approx(
            [t.score for t in expected], abs=1e-5
        )

    def test_evaluate_against_one_member_alone(
        self, capfd, tiny_directory, member_directory, files
    ):
        code, out, _ = run(
            capfd,
            *("evaluate", tiny_directory, "--source", files[0], "--reference", files[1]),
            *("--ensemble", member_directory, "--ensemble_kind", "arithmetic"),
            *("--against", member_directory),
        )
        assert code == 0
        assert "BLEU" in out

    def test_score(self, capfd, tiny_directory, member_directory, both, files):
        code, out, _ = run(
            capfd,
            *("score", tiny_directory, "--source", files[0], "--target", files[1]),
            *("--ensemble", member_directory, "--ensemble_weights", "1", "1"),
        )
        assert code == 0
        scores = [float(line.split("\t")[0]) for line in out.splitlines()]
        assert scores == pytest.approx(both.score(SOURCES, TARGETS), abs=1e-5)

    def test_mistakes_are_one_sentence(self, capfd, tiny_directory, member_directory, files):
        code, _, err = run(
            capfd,
            *("translate", tiny_directory, "--ensemble", member_directory, "--ensemble_weights"),
            *("1", "--input", files[0]),
        )
        assert (code, err) == (
            2,
            "seq2seq: `--ensemble_weights` must have one weight for each of the 2 models, but has "
            "1.\n",
        )
