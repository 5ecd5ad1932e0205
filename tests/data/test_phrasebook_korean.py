"""Particles and conjugation, by tables of forms."""

import pytest

from seq2seq.data.phrasebook.korean import (
    Predicate,
    adnominal,
    attach_particle,
    conjugate,
    conjugate_copula,
    finish,
)

PARTICLE_CASES = """
은/는: 책은 사과는 학생은 나는 물은 서울은
이/가: 책이 사과가 학생이 고양이가 물이 의사가
을/를: 책을 사과를 물을 커피를 옷을 차를
과/와: 책과 사과와 물과 커피와 형과 누나와
으로/로: 손으로 버스로 연필로 서울로 지하철로 집으로 칼로
이나/나: 책이나 사과나
에서: 집에서 학교에서
까지: 집까지 학교까지
"""

CONJUGATION_CASES = """
먹다: -고=먹고 -(으)면=먹으면 -아/어요=먹어요 -았/었다=먹었다 -ㄴ/는다=먹는다 -ㅂ/습니다=먹습니다
가다: -아/어요=가요 -았/었다=갔다 -ㄴ/는다=간다 -ㅂ/습니다=갑니다 -(으)ㄹ=갈 -(으)ㄴ=간 -(으)면=가면
보다: -아/어요=봐요 -았/었다=봤다 -ㄴ/는다=본다 -(으)ㄹ까요=볼까요
오다: -아/어요=와요 -았/었다=왔다 -(으)니까=오니까
마시다: -아/어요=마셔요 -았/었다=마셨다 -(으)ㄹ=마실 -(으)ㅂ시다=마십시다
되다: -아/어요=돼요 -았/었다=됐다 -ㄴ/는다=된다
배우다: -아/어요=배워요 -았/었다=배웠다 -(으)러=배우러
주다: -아/어요=줘요 -았/었다=줬다
세다: -아/어요=세요 -았/었다=셌다
보내다: -아/어요=보내요 -았/었다=보냈다
켜다: -아/어요=켜요 -았/었다=켰다
서다: -아/어요=서요 -았/었다=섰다
쉬다: -아/어요=쉬어요 -았/었다=쉬었다
치다: -아/어요=쳐요 -았/었다=쳤다
돕다: -아/어요=도와요 -았/었다=도왔다 -(으)면=도우면 -(으)ㄴ=도운 -ㄴ/는다=돕는다
춥다: -아/어요=추워요 -았/었다=추웠다 -(으)ㄴ=추운 -ㅂ/습니다=춥습니다 -(으)니까=추우니까
굽다: -아/어요=구워요 -(으)ㄹ=구울
줍다: -았/었다=주웠다
입다: -아/어요=입어요 -(으)면=입으면 -았/었다=입었다
잡다: -아/어요=잡아요 -(으)ㄴ=잡은
좁다: -아/어요=좁아요 -(으)ㄴ=좁은
듣다: -아/어요=들어요 -았/었다=들었다 -(으)면=들으면 -는=듣는 -(으)ㄹ=들을
걷다: -아/어요=걸어요 -ㄴ/는다=걷는다
싣다: -아/어요=실어요
받다: -아/어요=받아요 -(으)면=받으면
믿다: -아/어요=믿어요 -(으)ㄴ=믿은
닫다: -아/어요=닫아요
짓다: -아/어요=지어요 -았/었다=지었다 -(으)ㄹ=지을 -ㄴ/는다=짓는다
낫다: -아/어요=나아요
웃다: -아/어요=웃어요 -(으)면=웃으면
씻다: -아/어요=씻어요 -(으)ㄴ=씻은
모르다: -아/어요=몰라요 -았/었다=몰랐다 -(으)면=모르면
부르다: -아/어요=불러요 -(으)ㄹ=부를
고르다: -아/어요=골라요 -았/었다=골랐다
자르다: -아/어요=잘라요
빠르다: -아/어요=빨라요 -(으)ㄴ=빠른
치르다: -아/어요=치러요
따르다: -아/어요=따라요 -았/었다=따랐다
들르다: -아/어요=들러요
푸르다: -아/어요=푸르러요
푸다: -아/어요=퍼요
하얗다: -아/어요=하얘요 -(으)ㄴ=하얀 -ㅂ/습니다=하얗습니다 -(으)면=하야면
빨갛다: -아/어요=빨개요 -(으)ㄴ=빨간 -았/었다=빨갰다
까맣다: -아/어요=까매요 -(으)ㄴ=까만
허옇다: -아/어요=허예요
퍼렇다: -아/어요=퍼레요
그렇다: -아/어요=그래요 -(으)ㄴ=그런
좋다: -아/어요=좋아요 -(으)ㄴ=좋은
넣다: -아/어요=넣어요 -(으)면=넣으면
쓰다: -아/어요=써요 -았/었다=썼다 -(으)ㄴ=쓴
끄다: -아/어요=꺼요
바쁘다: -아/어요=바빠요 -았/었다=바빴다 -(으)ㄴ=바쁜
예쁘다: -아/어요=예뻐요
슬프다: -아/어요=슬퍼요
모으다: -아/어요=모아요
살다: -ㅂ/습니다=삽니다 -는=사는 -(으)ㄹ=살 -(으)면=살면 -ㄴ/는다=산다 -(으)세요=사세요 -니=사니
만들다: -아/어요=만들어요 -(으)ㄴ=만든 -(으)러=만들러 -(으)려고=만들려고 -(으)ㅂ시다=만듭시다
놀다: -아/어요=놀아요 -(으)니까=노니까 -지=놀지
열다: -(으)세요=여세요 -(으)십시오=여십시오 -아/어라=열어라
길다: -(으)ㄴ=긴 -ㅂ/습니다=깁니다
하다: -아/어요=해요 -았/었다=했다 -(으)ㄹ=할
공부하다: -아/어요=공부해요 -ㅂ/습니다=공부합니다 -아/어야=공부해야 -아/어서=공부해서
있다: -아/어요=있어요 -(으)면=있으면 -는=있는
없다: -아/어요=없어요 -ㅂ/습니다=없습니다
읽다: -아/어요=읽어요 -ㄴ/는다=읽는다 -(으)ㄹ=읽을 -고=읽고 -자=읽자 -기=읽기
앉다: -아/어요=앉아요 -았/었다=앉았다
얇다: -아/어요=얇아요 -(으)ㄴ=얇은
보여 주다: -았/었다=보여 줬다 -(으)ㄹ=보여 줄
기다리다: -아/어요=기다려요 -(으)면서=기다리면서
지키다: -았/었다=지켰다
싫어하다: -지=싫어하지
"""

FINISH_CASES = [
    ("먹다", "verb", "present", "plain", "statement", "먹는다"),
    ("먹다", "verb", "future", "plain", "statement", "먹을 것이다"),
    ("먹다", "verb", "future", "polite", "statement", "먹을 거예요"),
    ("먹다", "verb", "future", "formal", "question", "먹을 겁니까"),
    ("크다", "adjective", "present", "plain", "statement", "크다"),
    ("크다", "adjective", "present", "polite", "statement", "커요"),
    ("있다", "existence", "present", "plain", "statement", "있다"),
    ("싶다", "adjective", "past", "formal", "statement", "싶었습니다"),
    ("아니다", "adjective", "present", "polite", "statement", "아니에요"),
    ("아니다", "adjective", "past", "plain", "statement", "아니었다"),
    ("고양이이다", "copula", "present", "plain", "statement", "고양이다"),
    ("고양이이다", "copula", "present", "archaic", "statement", "고양이로소이다"),
    ("학생이다", "copula", "present", "archaic", "statement", "학생이로소이다"),
    ("의사이다", "copula", "present", "polite", "statement", "의사예요"),
    ("학생이다", "copula", "present", "polite", "statement", "학생이에요"),
    ("의사이다", "copula", "past", "plain", "statement", "의사였다"),
    ("학생이다", "copula", "past", "formal", "statement", "학생이었습니다"),
    ("것이다", "copula", "present", "formal", "question", "것입니까"),
    ("열다", "verb", "present", "polite", "request", "여세요"),
    ("닫다", "verb", "present", "formal", "prohibition", "닫지 마십시오"),
    ("굽다", "verb", "present", "polite", "favour", "구워 주세요"),
    ("만들다", "verb", "present", "formal", "suggestion", "만듭시다"),
    ("듣다", "verb", "present", "polite", "offer", "들을까요"),
    ("돕다", "verb", "future", "polite", "promise", "도울게요"),
    ("가다", "verb", "present", "plain", "question", "가니"),
]


def _table(text):
    for line in text.strip().splitlines():
        head, _, forms = line.partition(": ")
        for form in forms.split():
            yield head, form


def _conjugations():
    for line in CONJUGATION_CASES.strip().splitlines():
        word, _, forms = line.partition(": ")
        cells = forms.replace(" -", "\t-").split("\t")
        for cell in cells:
            ending, _, expected = cell.partition("=")
            yield word, ending, expected


@pytest.mark.parametrize(("particle", "form"), list(_table(PARTICLE_CASES)))
def test_a_particle_follows_the_final_consonant(particle, form):
    length = max(len(part) for part in particle.split("/")) if "/" in particle else len(particle)
    candidates = {
        attach_particle(form[:-cut], particle) for cut in range(1, min(length, len(form) - 1) + 1)
    }
    assert form in candidates


@pytest.mark.parametrize(("word", "ending", "expected"), list(_conjugations()))
def test_a_word_conjugates(word, ending, expected):
    assert conjugate(word, ending) == expected


def test_the_table_of_conjugations_is_long_enough():
    assert len(list(_conjugations())) >= 120


@pytest.mark.parametrize(("word", "kind", "tense", "level", "mood", "expected"), FINISH_CASES)
def test_a_sentence_ends_in_its_level(word, kind, tense, level, mood, expected):
    assert finish(Predicate(word, kind), tense, level, mood) == expected


@pytest.mark.parametrize(
    ("word", "kind", "tense", "expected"),
    [
        ("읽다", "verb", "present", "읽는"),
        ("읽다", "verb", "past", "읽은"),
        ("읽다", "verb", "future", "읽을"),
        ("크다", "adjective", "present", "큰"),
        ("맛있다", "existence", "present", "맛있는"),
        ("재미없다", "adjective", "present", "재미없는"),
        ("가볍다", "adjective", "present", "가벼운"),
        ("의사이다", "copula", "present", "의사인"),
    ],
)
def test_a_predicate_stands_before_a_noun(word, kind, tense, expected):
    assert adnominal(Predicate(word, kind), tense) == expected


def test_a_word_without_dictionary_form_is_refused():
    with pytest.raises(ValueError, match="must be a dictionary form that ends in 다, but is '먹'"):
        conjugate("먹", "-고")


def test_an_ending_without_hyphen_is_refused():
    with pytest.raises(ValueError, match="must begin with a hyphen, but is '고'"):
        conjugate("먹다", "고")


def test_an_unknown_copula_ending_is_refused():
    with pytest.raises(ValueError, match=r"`ending` must be one of -다, .* but is '-자'"):
        conjugate_copula("의사", "-자")


def test_a_form_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"No form of .* for past, polite, request"):
        finish(Predicate("먹다"), "past", "polite", "request")
