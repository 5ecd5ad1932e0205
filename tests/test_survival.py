import dataclasses
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tiny_translator import SOURCES, TARGETS

from seq2seq import Source, Translator
from seq2seq.batches import TooLongError
from seq2seq.constraints import ConstraintError
from seq2seq.items import Item, find_items
from seq2seq.survival import (
    has_survived,
    mend,
    preserve,
    put_numbers,
    take_numbers,
)
from seq2seq.translation import Translation, Word

ITEMS = [
    "https://example.org/a_(b)?c=1&d=%20#e",
    "http://x.de",
    "file:///x/y",
    "SFTP://X.DE/A",
    "http://例え.jp",
    "www.example.org/{id}/",
    "ftp://files.example.org/a-b_c~d",
    "max.mueller+1@mail.example.org",
    "{name}",
    "{}",
    "${x}",
    "{{ user.name }}",
    "{0:.2f}",
    '<x id="1"/>',
    "%s",
    "%1$s",
    "%(name)s",
    "%.2f",
    "7",
    "-7",
    "1,200.50",
    "14:30",
    "2016-05-12",
    "3/4",
]
WORDS = [
    "Hund",
    "läuft",
    "개가",
    "猫",
    "the",
    "-",
    "{",
    "}",
    "%",
    "<",
    "$",
    "(",
    ")",
    ".",
    "!",
    "'",
]


def texts(parts, joints=(" ",)):
    """Random parts, and what stands between them."""
    pairs = st.tuples(st.sampled_from(parts), st.sampled_from(joints))
    return st.lists(pairs, max_size=8).map(lambda pairs: "".join(map("".join, pairs)).strip())


@pytest.mark.parametrize("item", ITEMS)
@pytest.mark.parametrize(
    "frame", ["Siehe {} an.", "({})", "Ja: {}!", "{}에서", "„{}“", "{}, oder?"], ids=str
)
def test_what_must_survive_is_found_whole(item, frame):
    assert [found.text for found in find_items(frame.replace("{}", item, 1))] == [item]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5km, 25 %, 3. Mai, 1990er, A4", ["5", "25", "3", "1990", "4"]),
        ("von 5-10 Grad, bei 20-jährigen", ["5-10", "20"]),
        ("http://a.de.http://b.de", ["http://a.de.http://b.de"]),
        ("a@b ist keine, 100% und 100%ig auch nicht, { weder noch", ["100", "100"]),
        ("{a}{b}%s%d", ["{a}", "{b}", "%s", "%d"]),
        ("<b>fett</b> <br/>", ["<br/>"]),
        (
            "https://sub.例え.jp:80/?q=ö, www.münchen.пример.рф/путь. und",
            ["https://sub.例え.jp:80/?q=ö", "www.münchen.пример.рф/путь"],
        ),
        (
            "http://例え.jp/パス und file:///x/y. http://예.kr에서, http://x.de에서. Ja",
            ["http://例え.jp/パス", "file:///x/y", "http://예.kr", "http://x.de"],
        ),
    ],
    ids=["units", "hyphens", "points", "none", "neighbours", "tags", "paths", "scripts"],
)
def test_what_stands_around_items_is_left_alone(text, expected):
    assert [found.text for found in find_items(text)] == expected


def test_kinds_are_told_apart():
    text = "{a} b@c.de http://d.de 5"
    assert [item.kind for item in find_items(text)] == ["placeholder", "email", "url", "number"]


def test_long_lines_are_read_in_linear_time():
    """Patterns that try each beginning anew would take hours for a million characters."""
    for text in (
        "a" * 10**6,
        "a." * 10**5 + "@",
        "http://" + "(" * 10**5,
        "http://" + "例" * 10**5,
        "http://" + "例." * 10**5,
        "{" * 10**6,
        "1," * 10**5,
    ):
        assert len(find_items(text)) <= 2


@given(source=texts([*ITEMS, *WORDS], joints=(" ", "", "-", ", ")))
@example(source="{a}-{b}")
def test_numbers_give_back_what_they_stand_for(source):
    items = set(find_items(source))
    stand = put_numbers(Source(source), items)
    restored = find_items(take_numbers(stand.items, stand.source.text))
    assert Counter(restored) >= Counter(find_items(source))
    assert all(item.kind == "number" for item in find_items(stand.source.text))


def test_numbers_stand_where_something_was_lost_and_are_new_ones():
    source = Source("{a} 50 {b} {a}", prefix="{a} is", terms=("{b}", "x"), forbidden=("11", "{a}"))
    stand = put_numbers(source, {Item("placeholder", "{a}"), Item("placeholder", "{b}")})
    first, other, second = stand.items
    assert stand.source.text == f"{first} 50 {other} {second}"
    assert stand.source.prefix == f"{first} is"
    assert stand.source.terms == (other, "x")
    assert not {"50", "11"} & stand.items.keys()


@given(
    source=texts([*ITEMS, *WORDS], joints=(" ", "", "-")),
    target=texts([*ITEMS, *WORDS], joints=(" ", "", "-")),
)
@example(source="https://a.de/}", target="a {")
@example(source="%s", target="5% .")
@example(source="-7", target="(x)-3")
@example(source="{x}", target="a {")
@example(source="www.a.de/.() 7", target="www.a.de/.()")
def test_what_is_mended_has_lost_nothing(source, target):
    mended = mend(source, target)
    assert has_survived(source, mended)
    assert mend(source, mended) == mended


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("um 14:30 da", "there at 14.", "there at 14:30."),
        ("Hallo {name}!", "Hello!", "Hello {name}!"),
        ("Siehe http://a.de .", "See .", "See http://a.de ."),
        ("{a} und {b}", "{b} and {c}", "{b} and {a}"),
        ("{a}", "{a} {a} x", "{a} x"),
        ("zwei", "2 {x} dogs", "2 dogs"),
        ("5 5", "5", "5 5"),
        ("ein  Hund", "a  dog", "a  dog"),
    ],
    ids=["number", "end", "space", "invented", "doubled", "foreign", "twice", "nothing"],
)
def test_texts_are_mended_as_little_as_possible(source, target, expected):
    assert mend(source, target) == expected


class Network:
    """Translates by upper case; what it does not copy is lost.

    Args:
        copied: Items that it copies.
    """

    def __init__(self, copied, *, obeys=False):
        self.copied = copied
        self.obeys = obeys
        self.asked = []

    def translate(self, sources):
        self.asked.append(sources)
        return [self._translate(source) for source in sources]

    def _translate(self, source):
        known = {*self.copied, *(source.terms if self.obeys else ())}
        words = [w.upper() if not find_items(w) or w in known else "" for w in source.text.split()]
        text = " ".join(filter(None, words))
        plain = Translation(text, -1.0, -1.0, [], [])
        return dataclasses.replace(plain, alternatives=(plain, plain))

    def preserve(self, *texts):
        sources = [Source(text) for text in texts]
        found = self.translate(sources)
        return preserve(sources, found, self.translate, ("de", "en"))


def test_what_survives_is_left_alone():
    network = Network(["5"])
    (translation,) = network.preserve("nimm 5 davon")
    assert translation.text == "NIMM 5 DAVON"
    assert not translation.repaired
    assert sum(map(len, network.asked)) == 1


def test_numbers_that_are_copied_bring_back_what_was_lost():
    network = Network(["50", "11"])
    before, translation, after = network.preserve("davor", "nimm {x} und http://a.de mit", "danach")
    assert translation.text == "NIMM {x} UND http://a.de MIT"
    assert translation.repaired
    assert all(one.text == translation.text for one in translation.alternatives)
    assert (before.text, after.text) == ("DAVOR", "DANACH")
    assert not before.repaired and not after.repaired
    assert [len(sources) for sources in network.asked] == [3, 1]
    assert network.asked[-1][0].terms == ()


def test_numbers_that_are_not_copied_become_terms():
    network = Network([], obeys=True)
    first, second = network.preserve("nimm {x} mit 7", "{y}")
    assert (first.text, second.text) == ("NIMM {x} MIT 7", "{y}")
    assert [source.terms for source in network.asked[-1]] == [("50", "7"), ("50",)]


def test_what_survived_at_first_is_a_term_when_it_might_get_lost():
    network = Network(["7"], obeys=True)
    (translation,) = network.preserve("nimm {x} mit 7")
    assert translation.text == "NIMM {x} MIT 7"
    assert network.asked[-1][0].terms == ("50", "7")


def test_a_wrong_number_is_exchanged_without_another_search():
    network = Network(["8", "9"])
    sources = [Source("nimm 5 davon und 8"), Source("nimm 5")]
    found = network.translate([Source("nimm 9 davon und 8"), Source("nimm")])
    first, second = preserve(sources, found, network.translate, ("de", "en"))
    assert first.text == "NIMM 5 DAVON UND 8"
    assert first.repaired
    assert second.text == "NIMM 5"
    assert [[source.text for source in asked] for asked in network.asked[1:]] == [["nimm 5"]]


def test_what_is_doubled_is_searched_again():
    asked = []

    def translate(sources):
        asked.extend(source.text for source in sources)
        texts = [source.text.replace("{x}", "{x} {x}") for source in sources]
        return [Translation(text, -1.0, -1.0, [], []) for text in texts]

    sources = [Source("nimm {x} mit")]
    (translation,) = preserve(sources, translate(sources), translate, ("de", "en"))
    assert (translation.text, asked) == ("nimm {x} mit", ["nimm {x} mit", "nimm 50 mit"])


def test_a_source_in_parts_is_not_held_together_by_terms():
    network = Network([], obeys=True)
    parts = ["nimm", "</s>", "{x}", "</s>"]

    def translate(sources):
        found = network.translate(sources)
        return [dataclasses.replace(one, source_pieces=parts) for one in found]

    sources = [Source("nimm {x}")]
    (translation,) = preserve(sources, translate(sources), translate, ("de", "en"))
    assert translation.text == "NIMM {x}"
    assert [source.terms for asked in network.asked for source in asked] == [(), ()]


def test_many_things_are_mended_at_once():
    """One after another they would take minutes."""
    source = " ".join(f"{{{number}}} {number}" for number in range(5_000))
    assert has_survived(source, mend(source, "nothing 1 1 2."))


def test_what_no_search_brings_back_is_mended():
    (translation,) = Network([]).preserve("nimm {x} mit")
    assert translation.text == "NIMM MIT {x}"
    assert translation.repaired


def test_a_number_with_letters_stands_for_nothing():
    item = Item("placeholder", "{x}")
    assert take_numbers({"50": item}, "die 50, 50s, 50에서, 50") == "die {x}, 50s, {x}에서, {x}"


def test_words_keep_their_places_when_numbers_go():
    source = Source("nimm {x} mit")

    def translate(sources):
        words = [Word("take", 0, -0.1, 0.5, (0,)), Word("50", 5, -0.2, 0.6, (1,))]
        plain = Translation("take 50", -1.0, -1.0, [], [], words=tuple(words))
        plain = dataclasses.replace(plain, source_words=("nimm", "50", "mit"))
        return [dataclasses.replace(plain, alternatives=(plain,)) for _ in sources]

    found = [Translation("take", -1.0, -1.0, [], [])]
    (translation,) = preserve([source], found, translate, ("de", "en"))
    assert translation.text == "take {x}"
    assert [(word.text, word.start) for word in translation.words] == [("take", 0), ("{x}", 5)]
    assert translation.source_words == ("nimm", "{x}", "mit")


@pytest.mark.parametrize("fault", [TooLongError, ConstraintError], ids=["memory", "terms"])
def test_a_source_that_cannot_be_searched_is_named_by_its_own_number(fault):
    def translate(sources):
        raise fault(0, "9 pieces")

    with pytest.raises(fault, match=r"sentence 2.*9 pieces") as error:
        preserve(
            [Source("a"), Source("{x}")],
            [Translation("b", -1.0, -1.0, [], [])] * 2,
            translate,
            ("de", "en"),
        )
    assert error.value.index == 1


@pytest.fixture(scope="module")
def translator(tiny_directory):
    return Translator.load(tiny_directory, "cpu", "float32")


MARKED = [
    f"{source.removesuffix('.')}{item} ." for source, item in zip(SOURCES, ITEMS, strict=False)
]


@pytest.mark.parametrize("settings", [{}, {"samples": 2}, {"n_best": 3}], ids=str)
def test_everything_survives_a_real_search(translator, settings):
    """The tiny network has never seen any of it."""
    sources = ["", SOURCES[0], *MARKED]
    found = translator.translate(sources, preserve=True, **settings)
    for source, translation in zip(sources, found, strict=True):
        for one in translation.alternatives:
            assert has_survived(source, one.text), (source, one.text)
        assert translation.text == translation.alternatives[0].text
    assert [t.repaired for t in found] == [False, False] + [True] * len(MARKED)
    assert found[0].text == ""
    if not settings:
        assert found[1].text == TARGETS[0]


def test_the_batch_does_not_change_what_survives(translator):
    alone = [translator.translate(source, preserve=True).text for source in MARKED[:4]]
    together = translator.translate(MARKED[:4], preserve=True, batch_size=3)
    assert alone == [translation.text for translation in together]


@pytest.mark.parametrize("forbidden", ["14:30", "14", "{x}", "X"])
def test_what_must_survive_and_is_forbidden_is_refused(translator, forbidden):
    """Whether the search has lost it or not, which nobody can foresee."""
    sources = [SOURCES[0], Source("ein Hund {x} 14:30", forbidden=(forbidden,))]
    with pytest.raises(ConstraintError, match=f"sentence 2: `preserve` asks .*{forbidden}"):
        translator.translate(sources, preserve=True)


def test_an_exchange_says_nothing_forbidden():
    network = Network([], obeys=True)
    source = Source("5 nimm", forbidden=("5 davon",))
    (translation,) = preserve(
        [source], [Translation("9 DAVON", -1.0, -1.0, [], [])], network.translate, ("de", "en")
    )
    assert translation.text == "5 NIMM"


def test_what_only_mending_would_say_is_refused():
    source = Source("nimm 5", forbidden=("nimm 5",))
    found = Translation("NIMM", -1.0, -1.0, [], [])
    with pytest.raises(ConstraintError, match=r"sentence 1: `preserve` puts .*'nimm 5'"):
        preserve([source], [found], Network([]).translate, ("de", "en"))


def test_things_in_terms_and_prefixes_stay():
    source = Source("nimm 5", prefix="4 {y}", terms=("{x} 43",))
    found = Translation("4 {y} {x} 43", -1.0, -1.0, [], [])
    (translation,) = preserve([source], [found], lambda _: [found], ("de", "en"))
    assert translation.text == "4 {y} {x} 43 5"
    assert mend("nimm 5", "4 {y} {x} 43", allowed="4 {y} {x} 43") == "4 {y} {x} 43 5"


def test_words_are_not_found_within_others():
    source = Source("nimm {x} a")
    words = (Word("9", 0, 0.0, 0.0, ()), Word("a", 2, -0.3, 0.1, (2,)))
    found = Translation("{y} a", -1.0, -1.0, [], [], words=words, source_words=("nimm", "{x}", "a"))
    found = dataclasses.replace(found, text="{a} a")
    (translation,) = preserve([source], [found], Network([]).translate, ("de", "en"))
    assert translation.text == "{x} a"
    assert [(word.text, word.start) for word in translation.words] == [("a", 4)]


def test_things_in_a_long_source_survive_together(translator, monkeypatch):
    monkeypatch.setattr(translator, "sentences_per_source", 1)
    source = f"{SOURCES[9]} {MARKED[10]} {MARKED[11]}"
    translation = translator.translate(source, preserve=True)
    assert has_survived(source, translation.text) and translation.repaired


def test_details_are_those_of_the_text(translator):
    translation = translator.translate(MARKED[5], preserve=True, with_details=True)
    for word in translation.words:
        assert translation.text[word.start :].startswith(word.text)
    assert ITEMS[5] in " ".join(translation.source_words)


@pytest.mark.parametrize(
    "settings",
    [
        {"keep_case": True},
        {"copy_unknown": True},
        {"mbr": True},
        {"no_repeat_ngram": 2},
        {"diversity_groups": 3},
        {"samples": 3, "mbr": True, "copy_unknown": True, "keep_case": True},
    ],
    ids=lambda settings: "+".join(settings),
)
def test_things_survive_whatever_else_is_asked_for(translator, settings):
    sources = ["EIN HUND http://a.de/B SCHLÄFT .", *MARKED[3:7]]
    for source, translation in zip(
        sources, translator.translate(sources, preserve=True, **settings), strict=True
    ):
        assert has_survived(source, translation.text), (source, translation.text)


def test_capitals_are_kept_beside_what_survives(translator):
    source = SOURCES[0].upper()
    plain = translator.translate(source, keep_case=True).text
    assert plain == TARGETS[0].upper()
    assert translator.translate(source, keep_case=True, preserve=True).text == plain


def test_a_prefix_and_terms_hold_beside_what_survives(translator):
    source = Source("ein Hund {x} schläft 7 .", prefix="a d", terms=("park",), forbidden=("eats",))
    translation = translator.translate(source, preserve=True)
    assert has_survived(source.text, translation.text)
    assert translation.text.startswith("a d") and "park" in translation.text.split()
