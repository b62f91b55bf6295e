"""Making the fingerprints of a benchmark: its images and its texts, from a folder on any filesystem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from mining.annotation import AnnotateConfig
from mining.decoding import UndecodableError, decode, square
from mining.decontamination.benchmark_texts import ENDS, UnreadableTextsError, sentences
from mining.decontamination.config import FingerprintConfig
from mining.decontamination.file_format import FingerprintInfo, model_name
from mining.decontamination.ngrams import ngram_hashes
from mining.decontamination.variants import variants
from mining.decontamination.write import ImagePrints, Origin, TextPrints, write_fingerprints
from mining.hashing import flatness, grey, perceptual_hash
from mining.sketches import sketches
from schemas.errors import ConfigurationError
from schemas.protocols import ImageEncoder, UInt8Array
from schemas.storage import Folder

#: Files that are tried as images; those without an end as well: their bytes decide.
_IMAGE_ENDS = frozenset("jpg jpeg jpe jfif png gif webp avif bmp tif tiff ico jp2 j2k ppm pgm".split())
#: Images in one call of the model.
_BATCH = 16
#: The gram numbers that are kept before equal ones are dropped.
_PENDING = 1 << 22

#: (name, bytes) of files.
NamedFiles = Iterable[tuple[str, bytes]]


def benchmark_files(folder: Folder) -> tuple[list[str], list[str]]:
    """Paths below a folder, sorted, of its images and of its texts. Raises ConfigurationError without either."""
    root = folder.root
    found = sorted(path[len(root) :].lstrip("/") for path in folder.fs.find(root))
    visible = [one for one in found if not any(part.startswith(".") for part in one.split("/"))]
    images = [one for one in visible if _end(one) in _IMAGE_ENDS or not _end(one)]
    texts = [one for one in visible if one.lower().endswith(ENDS)]
    if not images and not texts:
        raise ConfigurationError(
            f"{folder.path} holds no images and no texts (TXT, JSON, JSONL, CSV, TSV): name a benchmark's folder."
        )
    return images, texts


def _end(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[2].lower() if "." in path.rpartition("/")[2] else ""


def image_prints(
    files: NamedFiles, encoder: ImageEncoder, config: FingerprintConfig, max_pixels: int, seen: Callable[[], None]
) -> ImagePrints:
    """Fingerprints of image files; `seen` is called after each. Left out: what `decode` cannot read, by its reason,
    and images that are `flat`."""
    prints = ImagePrints()
    looked = _looked(files, encoder, config, max_pixels, prints, seen)
    while batch := list(islice(looked, _BATCH)):
        prints.sketches.append(sketches(encoder.encode(np.stack(batch))[0]))
    return prints


def _looked(
    files: NamedFiles,
    encoder: ImageEncoder,
    config: FingerprintConfig,
    max_pixels: int,
    prints: ImagePrints,
    seen: Callable[[], None],
) -> Iterator[UInt8Array]:
    """The model's inputs; names and hashes go to `prints`."""
    for name, data in files:
        try:
            picture = decode(data, max_pixels).picture
        except UndecodableError as error:
            prints.left_out[error.reason] += 1
            continue
        except MemoryError:
            prints.left_out["out_of_memory"] += 1
            continue
        finally:
            seen()
        shades = grey(picture)
        if flatness(shades) > config.max_flatness:
            prints.left_out["flat"] += 1
            continue
        prints.names.append(name)
        prints.hashes.extend(int(perceptual_hash(one), 16) for one in variants(shades))
        yield square(picture, encoder.resize, encoder.crop)


def text_prints(files: NamedFiles, words: int, seen: Callable[[], None]) -> TextPrints:
    """n-grams of the sentences of text files; `seen` is called after each. A file that breaks off counts as unreadable,
    with what stands before the break kept."""
    prints = TextPrints()
    pending: list[npt.NDArray[np.uint64]] = []
    waiting = 0
    for name, data in files:
        try:
            for text in sentences(name, data):
                grams = ngram_hashes(text, words)
                prints.texts += bool(len(grams))
                prints.short += not len(grams)
                pending.append(grams)
                waiting += len(grams)
                if waiting > _PENDING:
                    prints.grams = np.unique(np.concatenate([prints.grams, *pending]))
                    pending, waiting = [], 0
        except UnreadableTextsError as error:
            prints.unreadable[error.reason] += 1
        seen()
    prints.grams = np.unique(np.concatenate([prints.grams, *pending]))
    return prints


def make_fingerprints(
    folder: Folder,
    output: str,
    benchmark: str,
    encoder: ImageEncoder,
    config: FingerprintConfig,
    models: AnnotateConfig,
    say: Callable[[str, int, int], None],
) -> FingerprintInfo:
    """Write the fingerprints of a benchmark's folder to the file `output` (a path or an address).

    `encoder` is the image model of `models`. `say` is told what is being read, how many of it are, and of how many.
    Equal folders give equal bytes, if the model does. Memory: about 700 bytes an image. Raises ConfigurationError.
    """
    images, texts = benchmark_files(folder)
    prints = image_prints(
        _read(folder, images), encoder, config, models.max_pixels, _counting("images", len(images), say)
    )
    said = text_prints(_read(folder, texts), config.words, _counting("files of texts", len(texts), say))
    if not prints.names and not len(said.grams):
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(prints.left_out.items())) or "none"
        raise ConfigurationError(
            f"nothing in {folder.path} gives a fingerprint (images left out: {reasons}; texts of fewer than "
            f"{config.words} words: {said.short}): name a folder of readable images."
        )
    about = Origin(benchmark, model_name(encoder.name, encoder.revision), config, models.max_pixels)
    return write_fingerprints(output, about, prints, said)


def _read(folder: Folder, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    for name in names:
        yield name, folder.read(name)


def _counting(what: str, total: int, say: Callable[[str, int, int], None]) -> Callable[[], None]:
    done = 0

    def seen() -> None:
        nonlocal done
        done += 1
        say(what, done, total)

    return seen
