"""Statements of metadata that an image is a model's work: every carrier, what is like them, and hostile files."""

from __future__ import annotations

import io
import json
import random
import struct
import time
import zlib

import pytest
from made_images import encoded, picture
from made_manifests import action, box, chunk, in_jpeg, in_png, in_webp, manifest, segment, store, superbox
from PIL import Image, PngImagePlugin

from mining.c2pa import manifests
from mining.generated_images import generated_by
from mining.image_metadata import image_metadata

PHOTO = {kind: encoded(picture(), kind) for kind in ("JPEG", "PNG", "WEBP")}
VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SETTINGS = "a cat, detailed\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"
GRAPH = json.dumps({"3": {"class_type": "KSampler", "inputs": {"seed": 1}}})
JOB = "a cat in a hat --ar 3:2 --v 6 Job ID: 01234567-89ab-cdef-0123-456789abcdef"


def xmp(inside: str, attributes: str = "") -> bytes:
    space = 'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>'
        f'<rdf:Description rdf:about="" {space} {attributes}>{inside}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


def with_xmp(kind: str, packet: bytes) -> bytes:
    if kind == "PNG":
        return in_png(PHOTO["PNG"], (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet))
    return encoded(picture(), kind, xmp=packet)


def with_texts(kind: bytes = b"tEXt", **texts: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        name = key.replace("_dash_", "-")
        if kind == b"iTXt":
            info.add_itxt(name, text, zip=True)
        else:
            info.add_text(name, text, zip=kind == b"zTXt")
    return encoded(picture(), "PNG", pnginfo=info)


def with_exif(kind: str, tags: dict[int, object], inner: dict[int, object] | None = None) -> bytes:
    exif = Image.Exif()
    # Pillow leaves out EXIF whose first directory is empty.
    exif.update({0x0112: 1} | tags)
    if inner:
        exif.get_ifd(0x8769).update(inner)
    return encoded(picture(), kind, exif=exif)


def with_store(kind: str, held: bytes) -> bytes:
    if kind == "JPEG":
        return in_jpeg(PHOTO["JPEG"], held)
    return in_png(PHOTO["PNG"], (b"caBX", held)) if kind == "PNG" else in_webp(PHOTO["WEBP"], b"C2PA", held)


@pytest.mark.parametrize("kind", PHOTO)
def test_a_plain_picture_says_nothing(kind: str) -> None:
    assert generated_by(PHOTO[kind]) is None
    assert image_metadata(PHOTO[kind]).xmp == []


@pytest.mark.parametrize("kind", PHOTO)
@pytest.mark.parametrize(
    "code", ["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia"]
)
def test_iptcs_digital_source_type(kind: str, code: str) -> None:
    element = xmp(f"<Iptc4xmpExt:DigitalSourceType>{VOCABULARY}{code}</Iptc4xmpExt:DigitalSourceType>")
    attribute = xmp("", f'Iptc4xmpExt:DigitalSourceType="{VOCABULARY}{code}"')
    resource = xmp(f'<Iptc4xmpExt:DigitalSourceType rdf:resource="{VOCABULARY}{code}"/>')
    for packet in (element, attribute, resource):
        assert generated_by(with_xmp(kind, packet)) == f"iptc:{code}"


@pytest.mark.parametrize(
    "packet",
    [
        xmp(f"<Iptc4xmpExt:DigitalSourceType>{VOCABULARY}digitalCapture</Iptc4xmpExt:DigitalSourceType>"),
        xmp(f"<Iptc4xmpExt:DigitalSourceType>{VOCABULARY}algorithmicallyEnhanced</Iptc4xmpExt:DigitalSourceType>"),
        xmp("<dc:description>no trainedAlgorithmicMedia here</dc:description>"),
        xmp("<Iptc4xmpExt:AISystemUsed></Iptc4xmpExt:AISystemUsed>"),
        xmp("", 'xmp:CreatorTool="Adobe Photoshop 26.0"'),
        b"",
    ],
)
def test_xmp_of_photographs_says_nothing(packet: bytes) -> None:
    assert generated_by(with_xmp("PNG", packet)) is None


def test_other_statements_in_xmp() -> None:
    assert generated_by(with_xmp("JPEG", xmp("", 'Iptc4xmpExt:AISystemUsed="Some Model 2"'))) == "iptc:AISystemUsed"
    assert generated_by(with_xmp("WEBP", xmp("", 'photoshop:Credit="Made with Google AI"'))) == "iptc:credit"
    assert generated_by(with_xmp("PNG", xmp("", 'xmp:CreatorTool="Midjourney v7"'))) == "xmp:midjourney"
    assert generated_by(with_xmp("PNG", xmp("<xmp:CreatorTool>ComfyUI</xmp:CreatorTool>"))) == "xmp:comfyui"


def test_extended_xmp_is_read() -> None:
    packet = xmp("", f'Iptc4xmpExt:DigitalSourceType="{VOCABULARY}algorithmicMedia"')
    body = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">II", len(packet), 0) + packet
    file = PHOTO["JPEG"]
    assert generated_by(file[:2] + segment(0xE1, body) + file[2:]) == "iptc:algorithmicMedia"


@pytest.mark.parametrize("kind", PHOTO)
def test_c2pa_of_a_generated_image(kind: str) -> None:
    made = action("c2pa.created", "trainedAlgorithmicMedia")
    for open_end in (False, True):
        held = store(manifest(made, open_end=open_end))
        assert generated_by(with_store(kind, held)) == "c2pa:trainedAlgorithmicMedia"
    assert manifests(held)[0].generators == ("a camera/1.0",)


@pytest.mark.parametrize("kind", PHOTO)
def test_c2pa_of_a_photograph_says_nothing(kind: str) -> None:
    held = store(manifest(action("c2pa.created", "digitalCapture"), action("c2pa.cropped")))
    assert generated_by(with_store(kind, held)) is None
    assert image_metadata(with_store(kind, held)).c2pa[:4] == held[:4]


def test_c2pa_of_edits_ingredients_and_generators() -> None:
    made = manifest(action("c2pa.created", "trainedAlgorithmicMedia"), label="urn:c2pa:0")
    filled = manifest(action("c2pa.opened"), action("c2pa.edited", "compositeWithTrainedAlgorithmicMedia"))
    later = manifest(action("c2pa.opened"), action("c2pa.resized"))
    said = generated_by(with_store("PNG", store(filled)))
    assert said == "c2pa:edited:compositeWithTrainedAlgorithmicMedia"
    assert generated_by(with_store("PNG", store(made, later))) == "c2pa:ingredient:trainedAlgorithmicMedia"
    assert generated_by(with_store("PNG", store(made, filled))) == said
    firefly = manifest(action("c2pa.created"), generator="Adobe_Firefly")
    assert generated_by(with_store("JPEG", store(firefly))) == "c2pa:adobe-firefly"
    work = json.dumps({"digitalSourceType": "x", "Iptc4xmpExt:DigitalSourceType": VOCABULARY + "algorithmicMedia"})
    assert generated_by(with_store("PNG", store(manifest(json=work.encode())))) == "c2pa:algorithmicMedia"


def test_a_store_in_many_segments_in_any_order() -> None:
    held = store(manifest(action("c2pa.created", "trainedAlgorithmicMedia")))
    file = in_jpeg(PHOTO["JPEG"], held, 300)
    assert image_metadata(file).c2pa == held
    parts = file[2 : -len(PHOTO["JPEG"]) + 2]
    # The first segment is the only one that is not found by its length alone.
    first = 2 + int.from_bytes(parts[2:4])
    assert image_metadata(file[:2] + parts[first:] + parts[:first] + PHOTO["JPEG"][2:]).c2pa == held


def test_a_jumbf_box_of_something_else_is_no_store() -> None:
    assert generated_by(in_jpeg(PHOTO["JPEG"], superbox(b"abcd", "other", box(b"json", b"{}")))) is None
    assert manifests(superbox(b"abcd", "other", box(b"json", b"{}"))) == []


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_texts_of_generators_in_png(kind: bytes) -> None:
    assert generated_by(with_texts(kind, parameters=SETTINGS)) == "png:parameters"
    assert generated_by(with_texts(kind, prompt=GRAPH)) == "png:prompt"
    assert generated_by(with_texts(kind, workflow='{"nodes": []}')) == "png:workflow"
    assert generated_by(with_texts(kind, invokeai_metadata="{}")) == "png:invokeai_metadata"
    assert generated_by(with_texts(kind, sd_dash_metadata="{}")) == "png:sd-metadata"
    assert generated_by(with_texts(kind, Software="NovelAI", Title="AI generated image")) == "png:Software"
    assert generated_by(with_texts(kind, Description=JOB)) == "png:Description"
    assert generated_by(with_texts(kind, Title="DALL·E 2022-09-01 12.13.14 - a cat")) == "png:Title"
    assert generated_by(with_texts(kind, Comment='{"sampler": "k_euler", "steps": 28}')) == "png:Comment"
    assert generated_by(with_texts(kind, Comment="Created with Stable Diffusion XL")) == "png:Comment"


@pytest.mark.parametrize(
    "texts",
    [
        {"Software": "Adobe ImageReady"},
        {"Software": "gnome-screenshot", "Title": "Screenshot"},
        {"parameters": "exposure=3"},
        {"prompt": "C:\\>"},
        {"workflow": "scanned, cropped"},
        {"Description": "Una imagen de Midjourney, la empresa"},
        {"Description": "a firefly made with flux and ideograms"},
        {"Title": "Drawing steps: 20, seed bed"},
        {"Comment": "Created with GIMP"},
        {"Author": "OpenAir Festival"},
        {"Comment": "generated by gnuplot"},
    ],
)
def test_texts_of_other_programs_say_nothing(texts: dict[str, str]) -> None:
    assert generated_by(with_texts(**texts)) is None


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_exif(kind: str) -> None:
    for code, text in (
        (b"UNICODE\0", SETTINGS.encode("utf-16-be")),
        (b"UNICODE\0", SETTINGS.encode("utf-16-le")),
        (b"ASCII\0\0\0", SETTINGS.encode()),
    ):
        assert generated_by(with_exif(kind, {}, {0x9286: code + text})) == "exif:UserComment"
    assert generated_by(with_exif(kind, {0x0131: "Midjourney 6"})) == "exif:Software"
    assert generated_by(with_exif(kind, {0x0131: "Adobe Photoshop", 0x010E: JOB})) == "exif:ImageDescription"
    assert generated_by(with_exif(kind, {0x010F: 'workflow:{"nodes": []}'})) == "exif:Make"
    assert generated_by(with_exif(kind, {0x010F: "Canon", 0x0110: "EOS 5D", 0x0131: "GIMP 2.10"})) is None
    assert generated_by(with_exif(kind, {0x9C9C: SETTINGS.encode("utf-16-le")})) == "exif:XPComment"


def test_comments_of_jpeg() -> None:
    file = PHOTO["JPEG"]
    assert generated_by(file[:2] + segment(0xFE, SETTINGS.encode()) + file[2:]) == "jpeg:comment"
    assert generated_by(file[:2] + segment(0xFE, b"CREATOR: gd-jpeg v1.0") + file[2:]) is None


def test_statements_of_standards_come_first() -> None:
    file = in_png(
        with_texts(parameters=SETTINGS), (b"caBX", store(manifest(action("c2pa.created", "algorithmicMedia"))))
    )
    assert generated_by(file) == "c2pa:algorithmicMedia"


def _samples() -> list[bytes]:
    held = store(
        manifest(action("c2pa.created", "trainedAlgorithmicMedia"), label="urn:c2pa:0", open_end=True),
        manifest(action("c2pa.opened"), json=b"{}"),
    )
    packet = xmp("", 'photoshop:Credit="Someone"')
    return [
        *(with_store(kind, held) for kind in PHOTO),
        in_jpeg(PHOTO["JPEG"], held, 200),
        *(with_xmp(kind, packet) for kind in PHOTO),
        *(with_exif(kind, {0x010F: "Canon", 0x010E: "x" * 40}, {0x9286: b"UNICODE\0" + b"\0x" * 30}) for kind in PHOTO),
        with_texts(b"zTXt", parameters=SETTINGS, Comment="x"),
        with_texts(b"iTXt", prompt=GRAPH),
    ]


def test_mutated_files_never_raise() -> None:
    """2,000 files: bytes changed near the head, cut, doubled, and lengths made huge."""
    random_numbers = random.Random(7)
    samples = _samples()
    for number in range(2000):
        data = bytearray(samples[number % len(samples)])
        for _ in range(random_numbers.randint(1, 12)):
            kind, at = random_numbers.randrange(5), random_numbers.randrange(max(1, min(len(data), 4000)))
            if kind == 0:
                data[at : at + 1] = bytes([random_numbers.randrange(256)])
            elif kind == 1:
                data[at : at + 4] = struct.pack(">I", random_numbers.choice([0, 1, 2, 7, 8, 1 << 31, (1 << 32) - 1]))
            elif kind == 2:
                del data[at : at + random_numbers.randrange(40)]
            elif kind == 3:
                data[at:at] = data[at : at + random_numbers.randrange(200)]
            else:
                data = data[: max(4, len(data) - random_numbers.randrange(len(data)))]
            if len(data) < 4:
                break
        assert generated_by(bytes(data)) is None or isinstance(generated_by(bytes(data)), str)


def test_every_cut_of_a_file() -> None:
    for sample in _samples():
        for end in range(0, min(len(sample), 3000), 7):
            generated_by(sample[:end])


@pytest.mark.parametrize("name", ["segments", "chunks", "packed", "boxes", "nested", "cbor", "terms"])
def test_hostile_sizes_are_bounded(name: str) -> None:
    """Each of some megabytes, and each done in a fraction of what it would take without bounds."""
    deep = b"\x81" * 100_000
    files = {
        "segments": b"\xff\xd8\xff" + b"\xff" * 3_000_000,
        "chunks": PHOTO["PNG"][:33] + chunk(b"teSt", b"") * 200_000,
        "packed": in_png(PHOTO["PNG"], *[(b"zTXt", b"a\0\0" + zlib.compress(bytes(4_000_000)))] * 300),
        "boxes": in_png(PHOTO["PNG"], (b"caBX", box(b"jumb", b"") * 300_000)),
        "nested": in_png(PHOTO["PNG"], (b"caBX", _nested(3_000))),
        "cbor": with_store(
            "PNG",
            superbox(b"c2pa", "c2pa", superbox(b"c2ma", "m", superbox(b"c2cl", "c2pa.claim", box(b"cbor", deep)))),
        ),
        "terms": with_texts(Comment="made with " * 25_000),
    }
    began = time.perf_counter()
    assert generated_by(files[name]) is None
    assert time.perf_counter() - began < 2


def _nested(depth: int) -> bytes:
    held = b""
    for _ in range(depth):
        held = superbox(b"c2pa", "c2pa", held)
    return held


def test_a_photograph_costs_a_small_part_of_its_decoding() -> None:
    file = encoded(picture(1200, 900), "JPEG", exif=_camera())
    began = time.perf_counter()
    for _ in range(200):
        generated_by(file)
    flagging = (time.perf_counter() - began) / 200
    began = time.perf_counter()
    Image.open(io.BytesIO(file)).load()
    assert flagging * 20 < time.perf_counter() - began


def _camera() -> Image.Exif:
    exif = Image.Exif()
    exif.update({0x010F: "Canon", 0x0110: "EOS", 0x0131: "1.0"})
    return exif
