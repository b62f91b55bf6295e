"""Whether an image file says that a model made it: statements of its metadata, never a guess from pixels.

Read are the IPTC digital source type in XMP (IPTC Photo Metadata Standard 2025.1), C2PA manifests (C2PA 2.1), and what
generators write of their own accord: PNG texts, EXIF, comments. A file without such statements may be generated all the
same: most sites strip metadata. Statements are believed as they stand, signatures are not checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mining.c2pa import Manifest, manifests
from mining.image_metadata import image_metadata

#: Digital source types of IPTC that say so of a whole image, or of a part of it.
_SOURCES = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia")
_CODE = "|".join(_SOURCES)
#: An attribute, an element, an `rdf:resource` or JSON; the vocabulary's address may stand before the code.
_SOURCE_TYPE = re.compile(
    rb"DigitalSourceType[\"']?(?:\s+rdf:resource)?\s{0,8}[=:>]\s{0,64}[\"']?"
    rb"(?:https?://cv\.iptc\.org/newscodes/digitalsourcetype/)?(" + _CODE.encode() + rb")\b"
)
#: IPTC 2025.1: the system that generated the image.
_AI_SYSTEM = re.compile(rb"Iptc4xmpExt:AISystemUsed(?:\s{0,8}=\s{0,8}[\"'][^\"'\s]|>\s{0,64}[^<\s])")
_CREDIT = re.compile(rb"photoshop:Credit[^<]{0,8}[\"'>]Made with Google AI\b")
_CREATOR = re.compile(rb"(?:CreatorTool|tiff:Software)(?:\s{0,8}=\s{0,8}[\"']|>)([^<\"']{1,200})")

#: Names of generators where a field names a program; none that is a word of another thing stands alone (Imagen, Flux).
_PROGRAM = re.compile(
    r"(?<![A-Za-z])(Midjourney|DALL[\s·.\-]?E|Stable[ _]Diffusion|NovelAI|ComfyUI|InvokeAI|AUTOMATIC1111|Fooocus"
    r"|SwarmUI|Draw Things|DreamStudio|Stability[ .]?AI|Adobe[ _]Firefly|Bing Image Creator|Microsoft Designer"
    r"|ChatGPT|GPT-4o|OpenAI|Google (?:Imagen|Gemini|AI)|Ideogram(?:\.ai|[ ]AI)|Leonardo\.?AI|Imagine with Meta"
    r"|Amazon Titan|Black Forest Labs|FLUX\.1|Recraft|Playground AI|NightCafe|Craiyon|Grok)(?![A-Za-z])",
    re.IGNORECASE,
)
#: What generators write of their settings: AUTOMATIC1111 and its heirs, Midjourney's jobs, DALL-E's own file titles.
_SETTINGS = re.compile(r"\bSteps: \d+, (?:Sampler|Schedule type|CFG scale|Seed|Size|Model)\b")
_JOB = re.compile(r"\bJob ID: [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TITLE = re.compile(r"^\s{0,8}DALL[·.-]E \d{4}-\d\d-\d\d")
_MADE_BY = re.compile(r"\b(?:generated|created|made) (?:by|with|using) (?:the )?", re.IGNORECASE)
_GRAPH = re.compile(r"[\"']class_type[\"']\s*:")
_WORKFLOW = re.compile(r"[\"']nodes[\"']\s*:\s*\[|" + _GRAPH.pattern)
_JSON_SETTINGS = re.compile(
    r"[\"'](?:sampler|sampler_name|sampling_method|cfg_scale|guidance_scale|fooocus_scheme)[\"']\s*:"
)
#: PNG keywords that no other program writes.
_OWN_KEYWORDS = frozenset(
    {"invokeai_metadata", "invokeai_graph", "invokeai_workflow", "sd-metadata", "Dream", "generation_data"}
    | {"fooocus_scheme"}
)
#: Fields that name a program.
_PROGRAM_FIELDS = frozenset({"png:Software", "exif:Software", "png:Source", "png:Author", "exif:Artist"})
#: Fields of free text.
_TEXT_FIELDS = frozenset(
    {"png:Description", "png:Title", "png:Comment", "exif:ImageDescription", "exif:UserComment", "exif:XPComment"}
    | {"jpeg:comment"}
)


def generated_by(data: bytes) -> str | None:
    """The evidence that an image file is a model's work, None where it says nothing of the kind; never raises.

    `iptc:CODE`, `iptc:AISystemUsed`, `iptc:credit`; `c2pa:CODE` (the image was created so), `c2pa:edited:CODE` (a part
    of it), `c2pa:ingredient:CODE` (of what went into it), `c2pa:PROGRAM`; `png:FIELD`, `exif:FIELD`, `jpeg:comment`,
    `xmp:PROGRAM`. The first of these in this order.
    """
    found = image_metadata(data)
    for packet in found.xmp:
        if said := _in_xmp(packet):
            return said
    if found.c2pa and (said := _in_c2pa(manifests(found.c2pa))):
        return said
    for place, text in found.texts:
        if _in_text(place, text):
            return place
    for packet in found.xmp:
        for creator in _CREATOR.findall(packet):
            if name := _program(creator.decode("utf-8", "replace")):
                return f"xmp:{name}"
    return None


def _in_xmp(packet: bytes) -> str | None:
    if source := _SOURCE_TYPE.search(packet):
        return f"iptc:{source[1].decode()}"
    if _AI_SYSTEM.search(packet):
        return "iptc:AISystemUsed"
    return "iptc:credit" if _CREDIT.search(packet) else None


def _in_c2pa(found: list[Manifest]) -> str | None:
    """Of the active manifest what made the image, then what changed it; of the others what went into it."""
    for one in found[-1:]:
        if said := next(_statements(one), None):
            return f"c2pa:{said}"
        for generator in one.generators:
            if name := _program(generator):
                return f"c2pa:{name}"
    for one in found[:-1]:
        if said := next(_statements(one), None):
            return f"c2pa:ingredient:{said.removeprefix('edited:')}"
    return None


def _statements(manifest: Manifest) -> Iterator[str]:
    created = [source for action, source in manifest.actions if action == "c2pa.created"]
    edited = [source for action, source in manifest.actions if action != "c2pa.created"]
    yield from (source for source in created if source in _SOURCES)
    for text in manifest.json:
        yield from (code.decode() for code in _SOURCE_TYPE.findall(text))
    yield from (f"edited:{source}" for source in edited if source in _SOURCES)


def _in_text(place: str, text: str) -> bool:
    field = place.partition(":")[2]
    if field in _OWN_KEYWORDS:
        return True
    if field == "parameters":
        return _SETTINGS.search(text) is not None or _JSON_SETTINGS.search(text) is not None or "sui_image" in text
    if field == "prompt":
        return _GRAPH.search(text) is not None
    if field == "workflow":
        return _WORKFLOW.search(text) is not None
    if place in ("exif:Make", "exif:Model"):
        # ComfyUI's WebP files carry its two texts here.
        return text.startswith(("prompt:", "workflow:")) and _WORKFLOW.search(text) is not None
    if place in _PROGRAM_FIELDS:
        return _program(text) is not None
    return place in _TEXT_FIELDS and _in_prose(text)


def _in_prose(text: str) -> bool:
    if _JOB.search(text) or _TITLE.search(text) or _SETTINGS.search(text):
        return True
    if text.lstrip()[:1] == "{" and _JSON_SETTINGS.search(text):
        return True
    return any(_PROGRAM.match(text, made.end()) for made in _MADE_BY.finditer(text))


def _program(text: str) -> str | None:
    """The generator that a field names, in lower case with hyphens: `stable-diffusion`."""
    found = _PROGRAM.search(text[:1000])
    return re.sub(r"[^a-z0-9]+", "-", found[1].lower()) if found else None
