import dataclasses
from collections import Counter
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data.cleaning import clean_sentence
from seq2seq.markup import read_fragment, write_fragment
from seq2seq.translation import Translation, Word


def translated(fragment, target, links):
    """A translation of a fragment; links are (source word, target word)."""
    words, start = [], 0
    for number, text in enumerate(target.split()):
        start = target.index(text, start)
        sources = tuple(sorted({s for s, t in links if t == number}))
        words.append(Word(text, start, 0.0, 0.0, sources))
        start += len(text)
    return Translation(
        text=target,
        score=0.0,
        log_probability=0.0,
        pieces=[],
        source_pieces=[],
        words=tuple(words),
        source_words=tuple(fragment.text.split()),
    )


def carry(html, target, links):
    fragment = read_fragment(html)
    return write_fragment(fragment, translated(fragment, target, links))


def straight(count):
    return [(number, number) for number in range(count)]


@pytest.mark.parametrize(
    ("html", "target", "links", "expected"),
    [
        pytest.param(
            "Ein <b>Mann</b> schläft.",
            "A man sleeps.",
            straight(3),
            "A <b>man</b> sleeps.",
            id="one word",
        ),
        pytest.param(
            'Ich <i>habe</i> <a href="x?a=1&amp;b=2">ihn</a> gesehen',
            "I have seen him",
            [(0, 0), (1, 1), (3, 2), (2, 3)],
            'I <i>have</i> seen <a href="x?a=1&amp;b=2">him</a>',
            id="another order",
        ),
        pytest.param(
            "<p>Der <em>kleine <u>Hund</u></em> rennt.</p>",
            "The dog is little.",
            [(0, 0), (2, 1), (3, 2), (1, 3)],
            "<p>The <em><u>dog</u></em> is little.</p>",
            id="torn apart",
        ),
        pytest.param(
            "Das ist <b>gut</b>.",
            "This is good.",
            straight(3),
            "This is <b>good</b>.",
            id="a mark outside",
        ),
        pytest.param(
            "Das ist <b>gut.</b>",
            "This is good.",
            straight(3),
            "This is <b>good.</b>",
            id="a mark inside",
        ),
        pytest.param(
            "Eins &lt; zwei &amp; <i>drei</i>",
            "One < two & three",
            straight(5),
            "One &lt; two &amp; <i>three</i>",
            id="entities",
        ),
        pytest.param(
            "Ein Satz.<br>Noch einer<img src='a'>",
            "A sentence. Another",
            [(0, 0), (1, 1), (2, 2), (3, 2)],
            "A sentence.<br> Another<img src='a'>",
            id="tags without text",
        ),
        pytest.param(
            "<!-- Anfang -->Guten Tag",
            "Good day",
            straight(2),
            "<!-- Anfang -->Good day",
            id="a comment",
        ),
        pytest.param(
            "Ein <b>Mann</b> schläft",
            "He sleeps",
            [(2, 1)],
            "<b>He</b> sleeps",
            id="a word that came from none",
        ),
        pytest.param(
            "Der <b>M</b>ann schläft",
            "The man sleeps",
            straight(3),
            "The <b>man</b> sleeps",
            id="a part of a word",
        ),
        pytest.param(
            "Eins zwei<br>",
            "One two three",
            straight(2),
            "One two three<br>",
            id="a tag at the end",
        ),
        pytest.param(
            "<ul><li>Eins</li><li>Zwei</li></ul>",
            "One Two",
            straight(2),
            "<ul><li>One</li> <li>Two</li></ul>",
            id="blocks that touch",
        ),
    ],
)
def test_tags_stand_around_the_words_that_came_from_theirs(html, target, links, expected):
    assert carry(html, target, links) == expected


@pytest.mark.parametrize(
    ("html", "target", "links", "expected"),
    [
        pytest.param(
            "zeigt auf <b>www.a.de</b> und {a b}, <i>7</i> &amp; 8.",
            "shows www.a.de ({a b}), 18, 8 7.",
            [(0, 0), (2, 3), (3, 4), (4, 5), (6, 1)],
            "shows <b>www.a.de</b> ({a b}), 18, 8 <i>7</i>.",
            id="by what they hold",
        ),
        pytest.param(
            '<a href="x">Besuchen Sie {name}</a> um <b>14:30</b> Uhr',
            "{name} cars 14:30's.",
            [(0, 0), (2, 1), (0, 2)],
            '<a href="x">{name}</a> cars <b>14:30\'s</b>.',
            id="whatever attention says",
        ),
        pytest.param(
            "<b>{a}</b>-{b}, {a}",
            "{b} {a}-{a}",
            [],
            "{b} <b>{a}</b>-{a}",
            id="neighbours in order",
        ),
        pytest.param(
            "Ein <b>Hund</b> {a}",
            "{a}",
            [(1, 0)],
            "<b></b>{a}",
            id="none of their own",
        ),
        pytest.param(
            "Nutze <code>a</code> hier",
            "Has",
            [(0, 0)],
            "Has<code>a</code>",
            id="code within a word",
        ),
    ],
)
def test_no_tag_parts_what_must_survive(html, target, links, expected):
    assert carry(html, target, links) == expected


def test_no_tag_parts_a_term_or_a_word_that_the_search_knows_nothing_of():
    fragment = read_fragment("Die <b>rote</b> Katze <i>rennt</i>")
    found = translated(fragment, "The Dr. Red (1 %) runs", [(1, 2), (3, 4)])
    words = [word for word in found.words if word.text != "runs"]
    words.append(Word("un", found.text.index("un"), 0.0, 0.0, (3,)))
    found = dataclasses.replace(found, words=tuple(words), terms=("Dr. Red (1 %)",))
    assert write_fragment(fragment, found) == "The <b>Dr. Red (1 %)</b> <i>runs</i>"


@pytest.mark.parametrize(
    ("html", "target", "expected"),
    [
        ("<p>Ein Hund</p>", "A dog.", "<p>A dog.</p>"),
        ("<i><b>Ein Hund</b></i><br>", "A dog.", "<i><b>A dog.</b></i><br>"),
        (
            "<ul><li>Ein</li><li>Hund</li></ul>",
            "A, dog.",
            "<ul><li>A,</li> <li>dog.</li></ul>",
        ),
        ("<p>Ein <b>Hund</b></p>", "A dog.", "<p>A <b>dog</b>.</p>"),
    ],
    ids=["block", "nested", "list", "inner"],
)
def test_what_encloses_all_encloses_the_marks_that_come_in(html, target, expected):
    assert carry(html, target, straight(2)) == expected


@pytest.mark.parametrize(
    ("html", "is_kept"),
    [
        ('<p><span translate="no">Ein Hund</span>.</p>', True),
        ("<code>x</code> und", False),
        ("<b>7</b>", False),
        ("<script>x</script>", False),
    ],
    ids=["kept", "beside", "number", "script"],
)
def test_fragments_without_anything_to_translate_are_told(html, is_kept):
    assert read_fragment(html).is_kept is is_kept


@pytest.mark.parametrize(
    ("html", "text", "kept", "target", "links", "expected"),
    [
        pytest.param(
            "Nutze <code>a &lt; <b>b</b></code> hier",
            "Nutze a < b hier",
            ("a < b",),
            "Here use a < b now",
            [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)],
            "Here use <code>a &lt; <b>b</b></code> now",
            id="code",
        ),
        pytest.param(
            "Ein <span translate='no'>Hund</span>, ja",
            "Ein Hund, ja",
            ("Hund",),
            "A Hund, yes",
            straight(3),
            "A <span translate='no'>Hund</span>, yes",
            id="no translation",
        ),
        pytest.param(
            "Ein <code>Hund</code> rennt",
            "Ein Hund rennt",
            ("Hund",),
            "A dog runs",
            straight(3),
            "A <code>Hund</code> runs",
            id="translated all the same",
        ),
        pytest.param(
            "Ein<script>if (a < b) '</b>'</script> Hund",
            "Ein Hund",
            (),
            "A dog",
            straight(2),
            "A<script>if (a < b) '</b>'</script> dog",
            id="a script",
        ),
        pytest.param(
            "Rufe <code>f(<code>x</code>)</code>",
            "Rufe f(x)",
            ("f(x)",),
            "Call f(x)",
            straight(2),
            "Call <code>f(<code>x</code>)</code>",
            id="the same inside",
        ),
        pytest.param(
            "Rufe <code>f\x07  g</code>",
            "Rufe f g",
            ("f g",),
            "Call f g",
            straight(3),
            "Call <code>f\x07  g</code>",
            id="a control character",
        ),
        pytest.param(
            "Rufe <code>f",
            "Rufe f",
            ("f",),
            "Call f",
            straight(2),
            "Call <code>f",
            id="no end",
        ),
    ],
)
def test_code_is_not_translated(html, text, kept, target, links, expected):
    fragment = read_fragment(html)
    assert (fragment.text, fragment.kept) == (text, kept)
    assert write_fragment(fragment, translated(fragment, target, links)) == expected


def test_words_of_other_spaces_are_counted_by_their_characters():
    """Sources may be cleaned of all their spaces, as recipes for Japanese do."""
    fragment = read_fragment("<b>東京 に</b> 行く")
    translation = translated(read_fragment("東京 に行く"), "go to Tokyo", [(0, 2), (1, 0), (1, 1)])
    assert write_fragment(fragment, translation) == "<b>go to Tokyo</b>"


class Tags(HTMLParser):
    """Tags and text of a fragment, and whether its elements stand within one another."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.open, self.text, self.is_sound = Counter(), [], "", True
        self.feed(html)
        self.close()
        self.is_sound &= not self.open

    def handle_starttag(self, tag, attrs):
        self.tags["start", tag, tuple(attrs)] += 1
        if tag != "br":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags["empty", tag, tuple(attrs)] += 1

    def handle_endtag(self, tag):
        self.tags["end", tag] += 1
        self.is_sound &= bool(self.open) and self.open.pop() == tag

    def handle_comment(self, data):
        self.tags["comment", data] += 1

    def handle_data(self, data):
        self.text += data


WORDS = st.text(st.sampled_from("ab,.é&lt;"), min_size=1, max_size=4).map(
    lambda word: word.replace("&", "&amp;").replace("<", "&lt;")
)
POINTS = st.sampled_from(["<br>", "<img src='a'/>", "<!--x-->"])


def _around(parts):
    names = st.sampled_from(["b", "i", "p", "span", "li"])
    several = st.lists(parts, max_size=4)
    return st.builds(
        lambda name, inner, space: f"<{name} id='{len(inner)}'>{space.join(inner)}</{name}>",
        names,
        several,
        st.sampled_from([" ", ""]),
    )


SOUND = st.lists(st.recursive(WORDS | POINTS, _around, max_leaves=12), max_size=5).map(" ".join)
BROKEN = st.lists(
    st.sampled_from(["<b>", "</b>", "<i>", "</i>", "<br>", "<p>", "</p>", "x", " ", "y.", "&amp;"]),
    max_size=25,
).map("".join)
LINKS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6)), max_size=20)
TARGETS = st.lists(st.text(st.sampled_from("AB<&.,"), min_size=1, max_size=4), max_size=7)


@given(SOUND, TARGETS, LINKS)
def test_no_tag_is_lost_and_none_crosses_another(html, target, links):
    written = carry(html, " ".join(target), links)
    before, after = Tags(html), Tags(written)
    assert after.tags == before.tags
    assert after.is_sound
    assert after.text == " ".join(target)


@given(BROKEN, TARGETS, LINKS)
def test_no_tag_of_broken_html_is_lost(html, target, links):
    written = carry(html, " ".join(target), links)
    assert Tags(written).tags == Tags(html).tags
    assert Tags(written).text == " ".join(target)


@given(st.text())
def test_any_text_can_be_read(text):
    fragment = read_fragment(text)
    written = write_fragment(fragment, translated(fragment, "A B", straight(2)))
    assert "A" in written
    if "<" not in text:
        assert fragment.text.split() == clean_sentence(unescape(text)).split()
        assert written == "A B"


def test_thousands_of_tags_are_carried():
    """A recursion would be too deep, and a quadratic way through them would take minutes."""
    html = "<b>" * 8_000 + "x" + "</i>" * 8_000
    assert carry(html, "y", [(0, 0)]) == "<b>" * 8_000 + "y" + "</i>" * 8_000
    html = "<b>" * 3_000 + "x" + "</b>" * 3_000
    assert carry(html, "y", [(0, 0)]) == html.replace("x", "y")
