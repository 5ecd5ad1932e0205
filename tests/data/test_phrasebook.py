"""The embedded corpus: sizes, splits, unseen pairs, translations that never disagree."""

import hashlib
import os
import subprocess
import sys
import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from seq2seq.data.phrasebook.corpus import SPLITS, load_phrasebook
from seq2seq.data.phrasebook.draw import is_reserved_object, is_reserved_subject
from seq2seq.data.phrasebook.english import (
    comparative,
    inflect,
    pluralize,
    superlative,
    with_article,
)
from seq2seq.data.phrasebook.korean import conjugate
from seq2seq.data.phrasebook.lexicon import content_words, nouns_of
from seq2seq.data.phrasebook.patterns import PATTERNS
from seq2seq.data.phrasebook.tables import read_table

GOLDEN = Path(__file__).with_name("golden_phrasebook.tsv")


@pytest.fixture(scope="module")
def phrasebook():
    return load_phrasebook()


@pytest.fixture(scope="module")
def pairs(phrasebook):
    return [pair for split in SPLITS for pair in phrasebook[split]]


def words_of(sentence):
    return sentence.rstrip(".?!").replace(",", "").split()


def test_the_splits_have_their_sizes(phrasebook, pairs):
    assert tuple(phrasebook) == SPLITS
    assert 30_000 <= len(pairs) <= 34_000
    assert len(phrasebook["train"]) >= 27_000
    assert all(1_000 <= len(phrasebook[split]) <= 1_600 for split in SPLITS[1:])


def test_there_are_many_patterns_and_none_rules(pairs):
    shares = Counter(pair.pattern for pair in pairs)
    assert len(shares) >= 60
    assert set(shares) == set(PATTERNS)
    assert max(shares.values()) <= 0.05 * len(pairs)


def test_sentences_are_long_enough(pairs):
    mean = sum(len(words_of(pair.english)) for pair in pairs) / len(pairs)
    assert 6 <= mean <= 9


def test_every_korean_sentence_has_one_translation(pairs):
    translations = {}
    for pair in pairs:
        assert translations.setdefault(pair.korean, pair.english) == pair.english
    assert len(translations) == len(pairs)


def test_no_sentence_of_another_split_is_in_train(phrasebook):
    for side in ("korean", "english"):
        seen = Counter()
        for split in SPLITS:
            seen.update({getattr(pair, side) for pair in phrasebook[split]})
        assert max(seen.values()) == 1, side


def test_unseen_pairs_are_not_in_the_other_splits(phrasebook):
    seen = {
        (kind, pair)
        for split in ("train", "dev", "test")
        for sentence in phrasebook[split]
        for kind in ("verb_object", "subject_verb")
        for pair in getattr(sentence, kind)
    }
    for sentence in phrasebook["test_unseen"]:
        assert sentence.verb_object
        for kind in ("verb_object", "subject_verb"):
            assert not {(kind, pair) for pair in getattr(sentence, kind)} & seen


def test_the_words_of_unseen_sentences_are_in_train(phrasebook):
    english = {word for pair in phrasebook["train"] for word in words_of(pair.english)}
    korean = Counter(word for pair in phrasebook["train"] for word in words_of(pair.korean))
    lexemes = _lexemes(phrasebook["train"])
    for pair in phrasebook["test_unseen"]:
        assert english.issuperset(words_of(pair.english))
    for lexeme in _lexemes(phrasebook["test_unseen"]) - lexemes:
        assert _count(korean, (lexeme,)), lexeme  # a noun seen as a place or a vehicle


def _lexemes(sentences):
    return {
        word
        for sentence in sentences
        for pair in sentence.verb_object + sentence.subject_verb
        for word in pair
    }


def test_reserved_pairs_do_not_depend_on_the_seed():
    assert any(is_reserved_object("읽다", noun.korean) for noun in nouns_of("readable"))
    assert not all(is_reserved_object("읽다", noun.korean) for noun in nouns_of("readable"))
    assert any(is_reserved_subject("읽다", noun.korean) for noun in nouns_of("name", "role"))


def test_the_same_seed_gives_the_same_corpus(phrasebook):
    code = (
        "import hashlib; from seq2seq.data.phrasebook.corpus import load_phrasebook;"
        "print(hashlib.sha256(repr(load_phrasebook(1)).encode()).hexdigest())"
    )
    # Another process, whose sets and dictionaries of text have another order.
    other = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.strip() == hashlib.sha256(repr(phrasebook).encode()).hexdigest()


def test_another_seed_gives_another_corpus(phrasebook):
    other = load_phrasebook(2)
    assert other["train"] != phrasebook["train"]
    assert {pair.korean for pair in other["train"]} >= {"나는 고양이다.", "나는 고양이로소이다."}


def test_the_lexicon_is_large():
    assert len(content_words()) >= 500


def test_every_content_word_is_frequent_in_train(phrasebook):
    words = Counter(word for pair in phrasebook["train"] for word in words_of(pair.korean))
    counts = {}
    for table in ("people", "animals", "things", "places"):
        for row in read_table(table):
            counts[row["korean"]] = _count(words, (row["korean"],))
    for table in ("verbs", "intransitive", "motion", "adjectives"):
        for row in read_table(table):
            counts[row["korean"]] = _count(words, _prefixes(row["korean"].split()[-1]))
    assert {word: count for word, count in counts.items() if count < 40} == {}


def _prefixes(word):
    """What the forms of a verb or an adjective begin with."""
    cuts = {"-(으)ㄴ": 0, "-(으)ㄹ": 0, "-(으)면": 1, "-아/어": 0, "-았/었다": 1, "-ㄴ/는다": 1}
    forms = {conjugate(word, ending)[: -cut or None] for ending, cut in cuts.items()}
    return (word[:-1], conjugate(word, "-ㅂ/습니다")[:-2], *forms)


def _count(words, prefixes):
    return sum(count for word, count in words.items() if word.startswith(prefixes))


def test_both_cats_are_in_train(phrasebook):
    train = {pair.korean: pair.english for pair in phrasebook["train"]}
    assert train["나는 고양이다."] == "I am a cat."
    assert train["나는 고양이로소이다."] == "I am a cat."


def test_sentences_are_clean(pairs):
    for pair in pairs:
        for sentence in (pair.korean, pair.english):
            assert sentence.endswith((".", "?", "!"))
            assert unicodedata.is_normalized("NFC", sentence)
            assert "  " not in sentence
            assert "{" not in sentence
        assert pair.english[0].isupper()


def test_articles_and_pronouns_agree(pairs):
    for pair in pairs:
        words = words_of(pair.english)
        for first, second in pairwise(words):
            if first.lower() in ("a", "an"):
                assert with_article(second).split()[0] == first.lower(), pair.english
            assert not (first == "I" and second in ("is", "has", "does")), pair.english
            assert not (first in ("He", "She") and second in ("are", "have", "do")), pair.english


def test_alignments_point_into_the_sentences(pairs):
    for pair in pairs[::20]:
        assert pair.sure
        assert set(pair.sure) <= set(pair.possible)
        assert list(pair.possible) == sorted(pair.possible)
        for korean, english in pair.possible:
            assert korean < len(pair.korean.split())
            assert english < len(pair.english.split())


def test_every_word_has_a_link_but_a_pronoun_that_korean_leaves_out(pairs):
    unlinked = Counter()
    for pair in pairs:
        linked_korean, linked_english = map(set, zip(*pair.possible, strict=True))
        assert linked_korean == set(range(len(pair.korean.split()))), pair
        words = pair.english.split()
        unlinked.update(words[j] for j in set(range(len(words))) - linked_english)
    assert set(unlinked) == {"I", "you"}


def test_a_noun_is_surely_linked_with_its_one_translation(pairs):
    """What a lexicon entry says is told from the sentences alone, by counting."""
    nouns = {
        row["korean"]: row["english"].lower()
        for table in ("animals", "things")
        for row in read_table(table)
        if " " not in row["english"] and row["korean"] != "개"  # a counter too
    }
    checked = 0
    for pair in pairs[::5]:
        korean, english = pair.korean.split(), words_of(pair.english)
        for i, j in pair.sure:
            english_noun = nouns.get(korean[i][:-1])  # without a particle of one syllable
            if english_noun and korean[i][-1] in "이가을를은는":
                assert english[j].lower() in (english_noun, pluralize(english_noun)) or (
                    english_noun[:3] == english[j].lower()[:3]  # knives, mice
                ), (pair.korean, pair.english, i, j)
                checked += 1
    assert checked > 1_000


@pytest.mark.parametrize(
    ("korean", "sure", "only_possible"),
    [
        (
            "나는 고양이다.",
            "나는-I 고양이다-cat",
            "고양이다-a 고양이다-am",
        ),
        (
            "그녀는 얼굴을 씻은 후에 장미를 그렸다.",
            "그녀는-She 얼굴을-face 장미를-roses 그렸다-drew",
            "얼굴을-her 씻은-washing 후에-washing 후에-after",
        ),
        (
            "이 커피는 그 차보다 더 뜨거워요?",
            "이-this 커피는-coffee 그-that 차보다-tea 뜨거워요-hotter",
            "더-than 차보다-than 뜨거워요-Is",
        ),
        (
            "철수는 시간이 없어서 영어를 배우지 못했습니다.",
            "철수는-Cheolsu 영어를-English 배우지-learn 못했습니다-could 못했습니다-not",
            "철수는-he 시간이-had 시간이-no 시간이-time 없어서-had 없어서-no 없어서-time "
            "없어서-because",
        ),
    ],
    ids=["being", "order", "comparison", "reason"],
)
def test_known_sentences_are_aligned_as_people_do(pairs, korean, sure, only_possible):
    pair = next(pair for pair in pairs if pair.korean == korean)
    words, others = words_of(pair.korean), words_of(pair.english)

    def named(links):
        return {f"{words[i]}-{others[j]}" for i, j in links}

    assert named(pair.sure) == set(sure.split())
    assert named(pair.possible) == set(sure.split()) | set(only_possible.split())


def test_speech_levels_and_persons_have_their_names(pairs):
    assert {pair.speech_level for pair in pairs} == {"plain", "polite", "formal", "archaic"}
    assert {pair.tense for pair in pairs} == {"past", "present", "future"}
    assert {pair.person for pair in pairs} == {"first", "second", "third"}


def test_i_is_humble_in_polite_sentences(pairs):
    for pair in pairs:
        words = set(pair.korean.rstrip(".?").split())
        if pair.speech_level in ("polite", "formal"):
            assert not words & {"나는", "내가", "나와", "너는", "네가"}, pair.korean
        else:
            assert not words & {"저는", "제가"}, pair.korean


def test_the_golden_pairs_stand(phrasebook):
    lines = GOLDEN.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "split\tpattern\tkorean\tenglish"
    known = {
        (split, pair.pattern, pair.korean, pair.english)
        for split in SPLITS
        for pair in phrasebook[split]
    }
    golden = [tuple(line.split("\t")) for line in lines[1:]]
    assert len(golden) >= 200
    assert set(golden) <= known
    counts = Counter(pattern for _, pattern, _, _ in golden)
    assert set(counts) == set(PATTERNS)
    assert min(counts.values()) >= 2


@pytest.mark.parametrize(
    ("verb", "form", "expected"),
    [
        ("read", "past", "read"),
        ("study", "past", "studied"),
        ("study", "third", "studies"),
        ("play", "third", "plays"),
        ("wash", "third", "washes"),
        ("go", "third", "goes"),
        ("plan", "past", "planned"),
        ("put", "gerund", "putting"),
        ("write", "gerund", "writing"),
        ("begin", "gerund", "beginning"),
        ("listen to", "past", "listened to"),
        ("pick up", "gerund", "picking up"),
        ("fix", "third", "fixes"),
        ("eat", "participle", "eaten"),
        ("clean", "past", "cleaned"),
        ("order", "past", "ordered"),
    ],
)
def test_english_verbs_inflect(verb, form, expected):
    assert inflect(verb, form) == expected


def test_an_unknown_verb_form_is_refused():
    with pytest.raises(ValueError, match=r"`form` must be one of base, .* but is 'imperfect'"):
        inflect("read", "imperfect")


@pytest.mark.parametrize(
    ("adjective", "degree", "more", "most"),
    [
        ("big", "er", "bigger", "biggest"),
        ("pretty", "er", "prettier", "prettiest"),
        ("large", "er", "larger", "largest"),
        ("quiet", "er", "quieter", "quietest"),
        ("expensive", "more", "more expensive", "most expensive"),
        ("good", "better/best", "better", "best"),
    ],
)
def test_english_adjectives_compare(adjective, degree, more, most):
    assert comparative(adjective, degree) == more
    assert superlative(adjective, degree) == most


def test_english_nouns_have_plurals_and_articles():
    assert [pluralize(noun) for noun in ("box", "baby", "key", "dish")] == [
        "boxes",
        "babies",
        "keys",
        "dishes",
    ]
    assert [with_article(noun) for noun in ("apple", "hour", "university", "book")] == [
        "an apple",
        "an hour",
        "a university",
        "a book",
    ]


def test_a_class_without_nouns_is_refused():
    with pytest.raises(ValueError, match="`fruits` must be a class or a noun of the lexicon"):
        nouns_of("fruits")


def test_a_row_of_the_wrong_width_is_refused(monkeypatch, tmp_path):
    (tmp_path / "lexicon").mkdir()
    (tmp_path / "lexicon" / "broken.tsv").write_text("korean\tenglish\n물\n", encoding="utf-8")
    monkeypatch.setattr("seq2seq.data.phrasebook.tables.files", lambda package: tmp_path)
    with pytest.raises(
        ValueError, match=r"`broken.tsv` must have 2 columns, but a row is \['물'\]"
    ):
        read_table("broken")
