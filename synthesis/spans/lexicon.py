"""Closed lists of words, and what the letters of a word tell."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from synthesis.words import content_words, words

PREPOSITIONS = frozenset(
    "in on at with without from under over after before during by near through using behind above below between "
    "inside outside against along across around beside beneath towards toward among within via while as".split()
)
JOINTS = frozenset("and or but of for to that which who whose where when than nor vs".split()) | PREPOSITIONS
DETERMINERS = frozenset("a an the some any each every".split())
VERBS = frozenset(
    "is are was were be been being has have had does do did can could will would may might must should shows show "
    "displays contains becomes appears looks seems allows lets makes gives means isn't aren't don't doesn't "
    "can't".split()
)
#: Who speaks or is spoken to, and what points at a place of the page: no words of an instruction.
POINTERS = frozenset(
    "i we you he she they my our your his her their its us me this that these those here there above following next "
    "previous left-hand right-hand same other another".split()
)
FUNCTION_WORDS = JOINTS | DETERMINERS | VERBS
#: At the end of a span these belong to it ("edge out"); another preposition there means that something is cut off.
PARTICLES = frozenset("out in off up down on over".split())
#: What says nothing of a picture beside its neighbours.
GENERIC = frozenset(
    "example examples result results output input overview introduction more details detail untitled test sample "
    "figure page file click link courtesy permission copyright credit credits photographer author demo preview "
    "screenshot screenshots screen shot image picture photo illustration larger enlarge tutorial "
    "note notes new img pic fig graphic logo icon misc usage help method methods syntax installation image images "
    "pictures photos files tests samples demos previews detailed description descriptions documentation property "
    "properties procedure summary about use uses shape shapes".split()
)
#: At the end of a title these say nothing.
SAMPLES = frozenset("example examples sample samples demo screenshot screenshots test".split())
#: A version of what another picture shows, and no thing.
STATES = frozenset(
    "original default normal final finished unmodified raw plain modified untouched uncompressed initial unedited "
    "edited uncorrected corrected unprocessed processed".split()
)
#: What comes first: one goes back to it.
ORIGINS = frozenset("original default normal unmodified raw untouched initial unedited uncorrected unprocessed".split())
#: A number behind one of these is a place in a row, and tells nothing.
COUNTED = frozenset(
    "step example figure fig image picture photo part page screenshot screen slide plot test case exercise chapter "
    "section no number frame stage phase item table diagram panel listing".split()
)
TIMES = frozenset(
    "morning evening night noon midday midnight day daylight dawn dusk sunset sunrise winter summer spring autumn fall "
    "snow rain fog mist storm sunlight moonlight january february march april june july august september october "
    "november december today flood construction".split()
)
#: Parts of a thing that a reader sees: "its engine".
PARTS = frozenset(
    "interior exterior inside outside engine dashboard roof door wheel window entrance facade tower garden keyboard "
    "handle lens tail wing leaf leaves flower flowers fruit seed seeds bark skull shell nest underside".split()
)
#: Sides from which a thing is seen.
SIDES = frozenset("front rear side back top bottom left right aerial inside outside close-up closeup".split())
#: Verbs that open a heading on how something is done, where nothing tells them from nouns.
_DEEDS = frozenset(
    "add adjust apply assign build calculate change choose combine compute configure connect convert copy create "
    "define delete determine disable download draw edit enable enhance enter estimate extract find generate import "
    "insert install load make merge move open optimize optimise place remove rename rotate run save select set "
    "simulate solve specify split unpack visualize visualise write".split()
)
#: Heads of names of windows: "create project dialog" is a thing.
_WINDOWS = frozenset(
    "popup dialog dialogue window menu tab button panel page wizard toolbar editor settings preferences options screen "
    "view box form list".split()
)
#: Names of peoples and languages keep their capital everywhere.
NATIONS = frozenset(
    "african american arabic asian australian austrian belgian brazilian british bulgarian canadian chinese croatian "
    "czech danish dutch egyptian english european finnish french german greek hebrew hungarian indian irish italian "
    "japanese korean latin mexican norwegian persian polish portuguese roman romanian russian scottish spanish swedish "
    "swiss thai turkish ukrainian victorian vietnamese welsh".split()
)
_MANY = frozenset("multiple several many all both two three four five six seven eight nine ten few various".split())
_THINGS_ON_ING = frozenset(
    "building ceiling clothing drawing evening lightning morning opening painting railing setting shading spring "
    "string wedding wiring".split()
)
#: Function words of the commonest other languages that are no English words.
_FOREIGN = frozenset(
    "und mit der das dem den ein eine einen für von zum zur auf ist nicht les des une dans avec pour sur est du aux el "
    "los las del con para por una il gli della nel het een voor met van och för med dla nad przez".split()
)
_VERB_END = re.compile(r"(?:\w{4,}i[sz]e|ify|rpen|thicken|ighten|ilate|rode|plode)$")
_NOUN_END = re.compile(r"(?:tion|sion|ment|ness|ity|ism|ance|ence|ure|graphy|ogram|meter|scope|noise|blur|tone)s?$")
_ADJECTIVE_END = re.compile(r"(?:ical|ular|ial|ous|ible|able|less|ary|ic|ive|ful)$")
_PARTICIPLE = re.compile(r"^[a-z]{3,}(?:ed|ing)$")
#: Letters whose names begin with a vowel, for acronyms; sounds that a letter does not tell.
_VOWEL_NAMES = frozenset("AEFHILMNORSX")
_CONSONANT_SOUNDS = re.compile(r"^(?:uni|use|usu|uti|eu|ewe|one\b|once)", re.IGNORECASE)
_SILENT = re.compile(r"^(?:hour|honest|hono|heir)", re.IGNORECASE)


def article(text: str) -> str:
    """`a` or `an`, as the sound of the first word asks."""
    first = text.split(maxsplit=1)[0]
    if len(first) > 1 and first.isupper():
        return "an" if first[0] in _VOWEL_NAMES else "a"
    if _SILENT.match(first):
        return "an"
    return "an" if first[0].lower() in "aeiou" and not _CONSONANT_SOUNDS.match(first) else "a"


def plural(word: str) -> bool:
    """Whether a noun looks like many."""
    return len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is", "ous", "'s"))


def names_action(word: str) -> bool:
    """Whether a word names an operation rather than a thing ("sharpen", "solarize")."""
    return word in _DEEDS or bool(_VERB_END.search(word))


def names_noun(word: str) -> bool:
    """Whether the end of a word says that it is a noun."""
    return bool(_NOUN_END.search(word)) and not names_action(word)


def names_quality(word: str) -> bool:
    """Whether a word is an adjective or participle, as far as its end tells."""
    return word in STATES | SIDES or bool(_ADJECTIVE_END.search(word) or _PARTICIPLE.match(word))


def participle(tokens: Sequence[str], index: int) -> bool:
    """Whether "covered by …" or "sitting on …" begins here."""
    following = tokens[index + 1].lower() if index + 1 < len(tokens) else ""
    return bool(_PARTICIPLE.match(tokens[index].lower())) and following in PREPOSITIONS


def gerund(tokens: Sequence[str]) -> bool:
    """Whether tokens open with what is being done: "building a model"."""
    return len(tokens) > 2 and bool(re.match(r"^[a-z]{3,}ing$", tokens[0].lower())) and tokens[1].lower() in DETERMINERS


def doing(tokens: Sequence[str]) -> bool:
    """Whether tokens may open with what is being done: "browsing files". Such a heading gets no article."""
    first = tokens[0].lower() if tokens else ""
    return first not in _THINGS_ON_ING and bool(re.match(r"^[a-z]{3,}ing$", first))


def deed(tokens: Sequence[str]) -> bool:
    """Whether tokens open with an order: "calculate confidence intervals"."""
    if len(tokens) < 2 or tokens[-1].lower() in _WINDOWS:
        return False
    second = tokens[1].lower()
    return tokens[0].lower() in _DEEDS or (
        second in _MANY and plural(tokens[-1].lower()) and tokens[0].lower() not in JOINTS | DETERMINERS
    )


def counted(tokens: Sequence[str]) -> bool:
    """Whether tokens open with a number of things: "two images in the window"."""
    return tokens[0].lower() in _MANY and any(plural(token.lower()) for token in tokens[1:3])


def number(word: str) -> bool:
    """Whether a word is a number or measure: "3", "4x4", "h180"."""
    return any(map(str.isdigit, word)) and sum(map(str.isalpha, word)) <= 2


def measure(word: str) -> bool:
    """Whether a word is a value with its unit: "4x4", "h180", and no bare number, which may belong to a name."""
    return number(word) and not word.isdigit()


def debris(token: str) -> bool:
    """Pieces of file names, addresses, code and machine names."""
    digits = sum(sign.isdigit() for sign in token)
    return (
        len(token) > 28
        or "@" in token
        or "://" in token
        or token.startswith("_")
        or token.count("_") > 1
        or (digits > 3 and len(token) > digits and not token.rstrip("s").isdigit())
        or bool(re.search(r"\.(?:[a-z]{2,4}\d?)$", token, re.IGNORECASE) and not token.endswith(".js"))
        or bool(re.search(r"[a-z][A-Z]{2,}[a-z]|[a-z][A-Z][a-z]*\d|[A-Z]{3,}[a-z]{2,}\d|^[a-z]{3,}\d+$", token))
    )


def spoken(text: str) -> bool:
    """Whether a text is in Latin letters, and not in one of the commonest other languages."""
    letters = [sign for sign in text if sign.isalpha()]
    strange = sum(not _latin(sign) for sign in letters)
    accented = sum(sign not in "éèöüñç" and not sign.isascii() for sign in letters)
    return not strange and accented * 12 <= len(letters) and sum(word in _FOREIGN for word in words(text)) < 2


def year(word: str) -> bool:
    """Whether a word is a year."""
    return bool(re.match(r"^1[0-9]{3}$|^20[0-9]{2}$", word))


def telling(text: str, known: set[str]) -> set[str]:
    """Content words of a text beside those that are known, those of any page, and numbers."""
    return {word for word in content_words(text) - known if word not in GENERIC and not number(word) and len(word) > 1}


def _latin(sign: str) -> bool:
    return sign.isascii() or unicodedata.name(sign, "").startswith("LATIN")
