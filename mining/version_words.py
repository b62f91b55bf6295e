"""Words of file names and addresses that say which version of a picture or page stands there."""

from __future__ import annotations

#: Languages by ISO 639-1 code, with the names that file names use.
LANGUAGES = {
    code: (code, *names.split())
    for code, names in {
        "ar": "arabic",
        "bg": "bulgarian",
        "ca": "catalan",
        "cs": "czech cesky",
        "da": "danish dansk",
        "de": "german deutsch",
        "el": "greek",
        "en": "english",
        "es": "spanish espanol castellano",
        "et": "estonian",
        "eu": "basque",
        "fa": "persian farsi",
        "fi": "finnish suomi",
        "fr": "french francais",
        "he": "hebrew",
        "hi": "hindi",
        "hr": "croatian",
        "hu": "hungarian magyar",
        "id": "indonesian",
        "it": "italian italiano",
        "ja": "japanese",
        "ko": "korean",
        "lt": "lithuanian",
        "lv": "latvian",
        "ml": "malayalam",
        "nb": "norwegian norsk",
        "nl": "dutch nederlands",
        "pl": "polish polski",
        "pt": "portuguese portugues",
        "ro": "romanian",
        "ru": "russian",
        "sk": "slovak",
        "sl": "slovenian",
        "sr": "serbian",
        "sv": "swedish svenska",
        "ta": "tamil",
        "te": "telugu",
        "th": "thai",
        "tr": "turkish",
        "uk": "ukrainian",
        "vi": "vietnamese",
        "zh": "chinese",
    }.items()
}
#: Word → ISO 639-1 code.
LANGUAGE_WORDS = {word: code for code, words in LANGUAGES.items() for word in words}
#: Codes that are words of English or of technology where they stand between others in a file name.
AMBIGUOUS_CODES = frozenset("ar ca da de el es et fa he hi hr id it lt ml pt ro sk sl sr ta te th tr".split())

#: Groups of states that exclude one another, in the order in which a pair is told first.
STATES = tuple(
    tuple(group.split())
    for group in (
        "before after",
        "off on",
        "closed close open opened",
        "old new",
        "light dark",
        "day night",
        "morning noon evening",
        "sunrise sunset",
        "disabled enabled",
        "inactive active",
        "normal hover pressed",
        "unchecked checked",
        "deselected unselected selected",
        "collapsed expanded",
        "empty full",
        "input output",
        "source src result dest destination",
        "original orig modified edited processed corrected fixed enhanced",
        "raw cooked",
        "wrong right",
        "bad good",
        "incorrect correct",
        "without with",
        "uncompressed compressed",
        "unfiltered filtered",
        "noisy denoised",
        "blurred sharp",
        "distorted undistorted corrected",
        "wireframe shaded",
        "wet dry",
        "clean dirty",
        "assembled disassembled",
        "portrait landscape",
        "horizontal vertical",
        "desktop mobile tablet",
        "linux windows win macos mac osx android",
        "gtk qt kde gnome",
        "wide narrow",
        "positive negative",
        "vorher nachher",
        "alt neu",
        "aus an",
        "tag nacht",
        "avant apres",
        "antes despues depois",
        "prima dopo",
    )
)
VIEWS = ("front", "back", "rear", "left", "right", "top", "bottom", "side", "above", "below", "inside", "outside")
SEASONS = ("spring", "summer", "autumn", "fall", "winter", "fruehling", "sommer", "herbst")
COLOURS = tuple(
    "black white gray grey silver red orange yellow gold green cyan teal blue navy purple violet magenta pink brown "
    "beige sepia grayscale greyscale monochrome bw colour color".split()
)
#: Words of sizes and of derived files: taken off, so that all sizes of a picture share a template.
SIZES = frozenset(
    "thumb thumbs thumbnail thumbnails small sm medium med large lg xl xs big tiny mini preview lowres hires hi-res "
    "lo-res fullsize scaled resized retina px".split()
)
#: Parameters of addresses that ask for a size or a fresh copy, and those that ask for a language.
SIZE_PARAMETERS = frozenset("w h width height size sz s resize fit quality q dpr v ver version rev ts t cb _".split())
LANGUAGE_PARAMETERS = frozenset("lang language hl locale l lng uselang setlang".split())
#: First words of names that cameras, programs and habit give: nothing is known of two files that share them alone.
PLAIN_NAMES = frozenset(
    "img image images pic pics picture photo foto fig figure screen screenshot screenshots shot dsc dscn dscf dcim "
    "pict bild abb slide page scan file untitled unnamed snap capture clip graph plot example sample demo test icon "
    "logo button banner p i a b c".split()
)
