"""Whisper's languages and the one place where a language from outside becomes a code.

The table is openai/whisper's own (``tokenizer.LANGUAGES``): 99 languages, and Cantonese since large-v3.
"""

from __future__ import annotations

import re
from types import MappingProxyType

from scriba.domain.errors import UnknownLanguageError

LANGUAGES = MappingProxyType(
    {
        "en": "english",
        "zh": "chinese",
        "de": "german",
        "es": "spanish",
        "ru": "russian",
        "ko": "korean",
        "fr": "french",
        "ja": "japanese",
        "pt": "portuguese",
        "tr": "turkish",
        "pl": "polish",
        "ca": "catalan",
        "nl": "dutch",
        "ar": "arabic",
        "sv": "swedish",
        "it": "italian",
        "id": "indonesian",
        "hi": "hindi",
        "fi": "finnish",
        "vi": "vietnamese",
        "he": "hebrew",
        "uk": "ukrainian",
        "el": "greek",
        "ms": "malay",
        "cs": "czech",
        "ro": "romanian",
        "da": "danish",
        "hu": "hungarian",
        "ta": "tamil",
        "no": "norwegian",
        "th": "thai",
        "ur": "urdu",
        "hr": "croatian",
        "bg": "bulgarian",
        "lt": "lithuanian",
        "la": "latin",
        "mi": "maori",
        "ml": "malayalam",
        "cy": "welsh",
        "sk": "slovak",
        "te": "telugu",
        "fa": "persian",
        "lv": "latvian",
        "bn": "bengali",
        "sr": "serbian",
        "az": "azerbaijani",
        "sl": "slovenian",
        "kn": "kannada",
        "et": "estonian",
        "mk": "macedonian",
        "br": "breton",
        "eu": "basque",
        "is": "icelandic",
        "hy": "armenian",
        "ne": "nepali",
        "mn": "mongolian",
        "bs": "bosnian",
        "kk": "kazakh",
        "sq": "albanian",
        "sw": "swahili",
        "gl": "galician",
        "mr": "marathi",
        "pa": "punjabi",
        "si": "sinhala",
        "km": "khmer",
        "sn": "shona",
        "yo": "yoruba",
        "so": "somali",
        "af": "afrikaans",
        "oc": "occitan",
        "ka": "georgian",
        "be": "belarusian",
        "tg": "tajik",
        "sd": "sindhi",
        "gu": "gujarati",
        "am": "amharic",
        "yi": "yiddish",
        "lo": "lao",
        "uz": "uzbek",
        "fo": "faroese",
        "ht": "haitian creole",
        "ps": "pashto",
        "tk": "turkmen",
        "nn": "nynorsk",
        "mt": "maltese",
        "sa": "sanskrit",
        "lb": "luxembourgish",
        "my": "myanmar",
        "bo": "tibetan",
        "tl": "tagalog",
        "mg": "malagasy",
        "as": "assamese",
        "tt": "tatar",
        "haw": "hawaiian",
        "ln": "lingala",
        "ha": "hausa",
        "ba": "bashkir",
        "jw": "javanese",
        "su": "sundanese",
        "yue": "cantonese",
    }
)
"""Whisper's code to its English name, lower case."""

_ISO_639_3 = MappingProxyType(
    {
        "eng": "en",
        "zho": "zh",
        "deu": "de",
        "spa": "es",
        "rus": "ru",
        "kor": "ko",
        "fra": "fr",
        "jpn": "ja",
        "por": "pt",
        "tur": "tr",
        "pol": "pl",
        "cat": "ca",
        "nld": "nl",
        "ara": "ar",
        "swe": "sv",
        "ita": "it",
        "ind": "id",
        "hin": "hi",
        "fin": "fi",
        "vie": "vi",
        "heb": "he",
        "ukr": "uk",
        "ell": "el",
        "msa": "ms",
        "ces": "cs",
        "ron": "ro",
        "dan": "da",
        "hun": "hu",
        "tam": "ta",
        "nor": "no",
        "tha": "th",
        "urd": "ur",
        "hrv": "hr",
        "bul": "bg",
        "lit": "lt",
        "lat": "la",
        "mri": "mi",
        "mal": "ml",
        "cym": "cy",
        "slk": "sk",
        "tel": "te",
        "fas": "fa",
        "lav": "lv",
        "ben": "bn",
        "srp": "sr",
        "aze": "az",
        "slv": "sl",
        "kan": "kn",
        "est": "et",
        "mkd": "mk",
        "bre": "br",
        "eus": "eu",
        "isl": "is",
        "hye": "hy",
        "nep": "ne",
        "mon": "mn",
        "bos": "bs",
        "kaz": "kk",
        "sqi": "sq",
        "swa": "sw",
        "glg": "gl",
        "mar": "mr",
        "pan": "pa",
        "sin": "si",
        "khm": "km",
        "sna": "sn",
        "yor": "yo",
        "som": "so",
        "afr": "af",
        "oci": "oc",
        "kat": "ka",
        "bel": "be",
        "tgk": "tg",
        "snd": "sd",
        "guj": "gu",
        "amh": "am",
        "yid": "yi",
        "lao": "lo",
        "uzb": "uz",
        "fao": "fo",
        "hat": "ht",
        "pus": "ps",
        "tuk": "tk",
        "nno": "nn",
        "mlt": "mt",
        "san": "sa",
        "ltz": "lb",
        "mya": "my",
        "bod": "bo",
        "tgl": "tl",
        "mlg": "mg",
        "asm": "as",
        "tat": "tt",
        "lin": "ln",
        "hau": "ha",
        "bak": "ba",
        "jav": "jw",
        "sun": "su",
    }
)

_ALIASES = MappingProxyType(
    {
        # openai/whisper, tokenizer.TO_LANGUAGE_CODE
        "burmese": "my",
        "valencian": "ca",
        "flemish": "nl",
        "haitian": "ht",
        "letzeburgesch": "lb",
        "pushto": "ps",
        "panjabi": "pa",
        "moldavian": "ro",
        "moldovan": "ro",
        "sinhalese": "si",
        "castilian": "es",
        "mandarin": "zh",
        # BCP 47, the language with its macrolanguage before it
        "zh-yue": "yue",
        "zh-cmn": "zh",
        # ISO 639-1 of Javanese (Whisper's table has the withdrawn code), and of written Norwegian
        "jv": "jw",
        "nb": "no",
        "nob": "no",
        # ISO 639-2/B, still sent by players and subtitle tools
        "alb": "sq",
        "arm": "hy",
        "baq": "eu",
        "bur": "my",
        "chi": "zh",
        "cmn": "zh",
        "cze": "cs",
        "dut": "nl",
        "fre": "fr",
        "geo": "ka",
        "ger": "de",
        "gre": "el",
        "ice": "is",
        "mac": "mk",
        "mao": "mi",
        "may": "ms",
        "per": "fa",
        "rum": "ro",
        "slo": "sk",
        "tib": "bo",
        "wel": "cy",
    }
)

_DETECT = frozenset({"", "auto", "automatic detection", "detect"})

_BY_NAME = MappingProxyType(
    {name: code for code, name in LANGUAGES.items()} | dict(_ISO_639_3) | dict(_ALIASES)
)

_SUBTAGS = re.compile(r"(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?(?:-[0-9][a-z0-9]{3})*(?:\.[a-z0-9-]+)?")
"""What may follow a language: script, region, year of spelling (RFC 5646), the encoding of a POSIX locale."""


def normalise_language(value: str | None, *, field: str = "language") -> str | None:
    """Whisper's code of a code, an English name or an alias in any case; None when detection is meant.

    Script and region are cut off: ``pt-BR``, ``zh_Hans_CN`` and ``en_US.UTF-8`` are ``pt``, ``zh``, ``en``.

    Raises:
        UnknownLanguageError: the value is no language that Whisper knows.
    """
    if value is None:
        return None
    text = " ".join(value.lower().split())
    if text in _DETECT:
        return None
    tag = text.replace("_", "-")
    candidates = [text, tag]
    base, dash, _ = tag.partition("-")
    if dash and _SUBTAGS.fullmatch(tag, len(base)):
        candidates.append(base)
    for candidate in candidates:
        if candidate in LANGUAGES:
            return candidate
        if candidate in _BY_NAME:
            return _BY_NAME[candidate]
    raise UnknownLanguageError(
        f"{field} {_shown(value)} is not a language Whisper knows. Send an ISO 639-1 or 639-3 code "
        "such as 'fr', an English name such as 'french', or leave it out to detect the language.",
        field=field,
    )


def require_language(code: str, *, field: str = "language") -> None:
    """Refuse anything but one of Whisper's own codes.

    Raises:
        UnknownLanguageError: ``code`` is not in ``LANGUAGES``.
    """
    if code not in LANGUAGES:
        raise UnknownLanguageError(
            f"{field} {_shown(code)} is not one of Whisper's language codes.", field=field
        )


def _shown(value: str) -> str:
    """The value as a message may quote it: of bounded length."""
    return repr(value if len(value) <= 40 else value[:40] + "…")


def language_name(code: str) -> str:
    """English name of one of Whisper's codes, lower case, as OpenAI's verbose JSON writes it."""
    return LANGUAGES[code]
