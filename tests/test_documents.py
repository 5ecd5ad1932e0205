import pytest

from seq2seq.documents import read_paragraph

PARAGRAPHS = {
    "": ("", []),
    "   ": ("   ", []),
    "Ein Hund. Eine Katze!": ("", ["Ein Hund.", "Eine Katze!"]),
    "  Ein Hund": ("  ", ["Ein Hund"]),
    "- Ein Hund": ("- ", ["Ein Hund"]),
    "\t* [x] Ein Hund": ("\t* [x] ", ["Ein Hund"]),
    "1.2. Ein Hund. Ja.": ("1.2. ", ["Ein Hund.", "Ja."]),
    "(a) Ein Hund": ("(a) ", ["Ein Hund"]),
    "iv) Ein Hund": ("iv) ", ["Ein Hund"]),
    "## Ein Hund": ("## ", ["Ein Hund"]),
    "> > Ein Hund": ("> > ", ["Ein Hund"]),
    "A. Smith kam.": ("", ["A. Smith kam."]),
    "-5 Grad": ("", ["-5 Grad"]),
    "Dr. Kim kommt am 3. Mai. Gut.": ("", ["Dr. Kim kommt am 3. Mai.", "Gut."]),
}


@pytest.mark.parametrize("line", PARAGRAPHS, ids=repr)
def test_heads_stay_and_sentences_are_found(line):
    paragraph = read_paragraph(line, "de")
    assert (paragraph.head, paragraph.sentences) == PARAGRAPHS[line]


def test_spaces_of_several_bytes_are_spaces():
    paragraph = read_paragraph("A\u00a0. Ein\u3000Hund.\u00a0Ja.", "de")
    assert paragraph.sentences == ["A\u00a0. Ein\u3000Hund.", "Ja."]


@pytest.mark.parametrize("line", ["-----", "* * *", "12 %", "3.5", "…", "1. 2."])
def test_what_holds_no_letters_stays_as_it_is(line):
    paragraph = read_paragraph(line, "de")
    assert paragraph.to_translate() == []
    assert paragraph.join(iter([]), "en") == line


def test_sentences_are_joined_as_the_target_language_joins_them():
    paragraph = read_paragraph("  - 12 %! Ein Hund.  Eine Katze. Ende.", "de")
    assert paragraph.to_translate() == ["Ein Hund.", "Eine Katze.", "Ende."]
    assert paragraph.join(iter(["A dog.", "", "End."]), "en") == "  - 12 %! A dog. End."
    assert paragraph.join(iter(["犬。", "猫。", "終。"]), "ja") == "  - 12 %!犬。猫。終。"
    unspaced = read_paragraph("犬。猫。", "ja")
    assert unspaced.join(iter(["A dog.", "A cat."]), "en") == "A dog. A cat."


@pytest.mark.parametrize(
    "text, language",
    [
        pytest.param("彼は「はい。」と答えた。次の日。", "ja", id="ja"),
        pytest.param("그는 “안녕.”이라고 말했다. 그리고 갔다.", "ko", id="ko"),
        pytest.param("He said: “Yes.”, then left. He is gone.", "en", id="en"),
    ],
)
def test_quotations_do_not_end_the_sentence_around_them(text, language):
    assert len(read_paragraph(text, language).sentences) == 2
