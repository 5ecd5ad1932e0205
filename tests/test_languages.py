import pytest

from seq2seq.languages import base_language, is_unspaced, language_name


@pytest.mark.parametrize("code", ["zh", "ZH", "zh-Hant", "zh_TW", "zh.tok"])
def test_region_and_script_do_not_count(code):
    assert base_language(code) == "zh"
    assert is_unspaced(code)
    assert language_name(code) == "Chinese"


def test_an_unknown_language_keeps_its_code():
    assert language_name("tlh") == "tlh"
    assert not is_unspaced("tlh")


@pytest.mark.parametrize("code", ["ja", "th", "lo", "km", "my_MM"])
def test_unspaced_languages(code):
    assert is_unspaced(code)
    assert language_name(code) != code


@pytest.mark.parametrize("code", ["ko", "en", "de", "vi"])
def test_spaced_languages(code):
    assert not is_unspaced(code)
