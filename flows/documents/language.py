"""Which language a text is in, told from a sample of its words.

Danger: a detector names a language for anything, also for a table, a list of names or a key. So only words count, each once, and a
text that has too few of them is in no language.
"""

from __future__ import annotations

import re
from functools import cache

import gcld3

#: Characters a language is told from.
SAMPLE = 2_000
#: Characters of different words below which a guess is as often wrong as right: some fifteen words.
WORDS_FROM = 90
#: Letters that stand for themselves, with the marks above and below them; of two to thirty, which keys and hashes are not.
_WORD = re.compile(
    r"(?<![\w.@/-])(?:[^\W\d_][\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0e7f\u200c\u200d'\u2019]*){2,200}(?![\w@/])"
)
_LONGEST = 30
#: Scripts that put no spaces between words, or whose letters are syllables.
_DENSE = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff]")

#: ISO 639-3 for what the detector says (BCP 47, some of it by old names); what it reads as a transliteration is no language.
_CODES = {
    "af": "afr", "am": "amh", "ar": "ara", "az": "aze", "be": "bel", "bg": "bul", "bn": "ben", "bs": "bos", "ca": "cat", "ceb": "ceb",
    "co": "cos", "cs": "ces", "cy": "cym", "da": "dan", "de": "deu", "el": "ell", "en": "eng", "eo": "epo", "es": "spa", "et": "est",
    "eu": "eus", "fa": "pes", "fi": "fin", "fil": "fil", "fr": "fra", "fy": "fry", "ga": "gle", "gd": "gla", "gl": "glg", "gu": "guj",
    "ha": "hau", "haw": "haw", "hi": "hin", "hmn": "hmn", "hr": "hrv", "ht": "hat", "hu": "hun", "hy": "hye", "id": "ind", "ig": "ibo",
    "is": "isl", "it": "ita", "iw": "heb", "ja": "jpn", "jv": "jav", "ka": "kat", "kk": "kaz", "km": "khm", "kn": "kan", "ko": "kor",
    "ku": "kur", "ky": "kir", "la": "lat", "lb": "ltz", "lo": "lao", "lt": "lit", "lv": "lav", "mg": "mlg", "mi": "mri", "mk": "mkd",
    "ml": "mal", "mn": "mon", "mr": "mar", "ms": "msa", "mt": "mlt", "my": "mya", "ne": "nep", "nl": "nld", "no": "nob", "ny": "nya",
    "pa": "pan", "pl": "pol", "ps": "pus", "pt": "por", "ro": "ron", "ru": "rus", "sd": "snd", "si": "sin", "sk": "slk", "sl": "slv",
    "sm": "smo", "sn": "sna", "so": "som", "sq": "sqi", "sr": "srp", "st": "sot", "su": "sun", "sv": "swe", "sw": "swa", "ta": "tam",
    "te": "tel", "tg": "tgk", "th": "tha", "tr": "tur", "uk": "ukr", "ur": "urd", "uz": "uzb", "vi": "vie", "xh": "xho", "yi": "yid",
    "yo": "yor", "zh": "cmn", "zu": "zul",
}  # fmt: skip


def language(text: str) -> str | None:
    """ISO 639-3 code of a text; None where that cannot be told."""
    words = list(dict.fromkeys(map(str.lower, _WORD.findall(text[:SAMPLE]))))
    sample = " ".join(word for word in words if len(word) <= _LONGEST or _DENSE.match(word))
    # A letter of these scripts says as much as three of others.
    if len(sample) + 2 * len(_DENSE.findall(sample)) < WORDS_FROM:
        return None
    found = _detector().FindLanguage(sample)
    return _CODES.get(found.language) if found.is_reliable else None


@cache
def _detector() -> gcld3.NNetLanguageIdentifier:
    return gcld3.NNetLanguageIdentifier(min_num_bytes=0, max_num_bytes=4 * SAMPLE)
