"""What language codes mean: the language without its region, its name, how it is written."""

import re
import unicodedata

LANGUAGES = {
    "ar": "Arabic",
    "cs": "Czech",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "it": "Italian",
    "ja": "Japanese",
    "km": "Khmer",
    "ko": "Korean",
    "lo": "Lao",
    "my": "Burmese",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "sv": "Swedish",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
_LETTER_OF_SPACED = re.compile("[^\\W\u0e00-\uffff]")  # not of Thai and what comes after it
_UNSPACED = ("ja", "km", "lo", "my", "th", "zh")


def base_language(code: str) -> str:
    """The language without region, script or the like: zh of zh-Hans, ja of ja_JP, en of en.tok."""
    return re.split(r"[-_.]", code)[0].lower()


def language_name(code: str) -> str:
    """The English name of a language, the code itself where it is not known."""
    return LANGUAGES.get(base_language(code), code)


def is_unspaced(code: str) -> bool:
    """Whether the language is written without spaces between words."""
    return base_language(code) in _UNSPACED


def is_word_character(character: str) -> bool:
    """Whether it stands within words: letters, digits, the underscore, and marks on them."""
    return (
        character.isalnum() or character == "_" or unicodedata.category(character).startswith("M")
    )


def parts_word(text: str, place: int) -> bool:
    """Whether a border before a character stands within a word of a script that uses spaces."""
    beside = text[max(place - 1, 0) : place + 1]
    return len(beside) == 2 and place > 0 and all(map(_LETTER_OF_SPACED.match, beside))
