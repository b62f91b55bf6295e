"""The tables from archives to pairs."""

from __future__ import annotations

import pyarrow as pa

from schemas.table import TIMESTAMP, Table, field

PAGES = Table(
    "pages",
    "pages",
    2,
    pa.schema(
        [
            field("page_id", pa.string(), "hash of address and payload digest", False),
            field("url", pa.string(), "the record's target URI without angle brackets", False),
            field("title", pa.string(), "<title>, else og:title, else the first h1"),
            field("description", pa.string(), "meta description or og:description"),
            field("language", pa.string(), "ISO 639-1, from lang, header or detection"),
            field("canonical", pa.string(), "canonical address, resolved"),
            field("license", pa.string(), "address or name of the licence the page states"),
            field("opt_out", pa.string(), "comma-separated sorted opt-out signals; null when none was seen"),
            field("robots", pa.string(), "robots directives of headers and meta, sorted and comma-separated"),
            field("crawl_date", TIMESTAMP, "WARC-Date"),
            field("warc_file", pa.string(), "base name of the archive"),
            field("payload_digest", pa.string(), "hex SHA-256 of the decoded body", False),
            field("charset", pa.string(), "encoding the page was decoded with"),
            field("site", pa.string(), "registrable domain, or host:port for bare addresses", False),
            field(
                "alternates",
                pa.list_(pa.struct([("language", pa.string()), ("url", pa.string())])),
                "the page in other languages, as its hreflang links state",
            ),
        ]
    ),
    "one row for each page capture",
)

PAGE_IMAGES = Table(
    "page_images",
    "page_images",
    1,
    pa.schema(
        [
            field("page_id", pa.string(), "the page", False),
            field("position", pa.int32(), "0-based order in the document", False),
            field("url", pa.string(), "resolved address, fragment removed, otherwise as written", False),
            field("alt", pa.string(), "alt attribute"),
            field("title", pa.string(), "title attribute of the image or its link"),
            field("caption", pa.string(), "figcaption, or the common class conventions"),
            field("heading", pa.string(), "path of headings above the place, joined by ' > '"),
            field("text_before", pa.string(), "up to 300 characters of text before"),
            field("text_after", pa.string(), "up to 300 characters of text after"),
            field("declared_width", pa.int32(), "width that the markup states, in CSS pixels"),
            field("declared_height", pa.int32(), "height that the markup states, in CSS pixels"),
            field(
                "source",
                pa.string(),
                "which markup: img, srcset, picture, lazy, noscript, link, style, og, data",
                False,
            ),
            field("group", pa.int32(), "alternatives of one picture share it", False),
            field("chosen", pa.bool_(), "the alternative that mining prefers", False),
        ]
    ),
    "one row for each address that a page's markup names",
)

IMAGES = Table(
    "images",
    "images",
    1,
    pa.schema(
        [
            field("image_id", pa.string(), "hex SHA-256 of the decoded body", False),
            field("url", pa.string(), "the record's target URI, or the address that was fetched", False),
            field("bytes", pa.binary(), "the original file", False),
            field("mime", pa.string(), "media type told by the bytes, else the one declared"),
            field("source", pa.string(), "archive, fetched or data", False),
            field("opt_out", pa.string(), "comma-separated sorted opt-out signals of the image's headers"),
            field("crawl_date", TIMESTAMP, "when it was archived; null for a fetched one"),
        ]
    ),
    "one row or more for each (url, image_id)",
)

ANNOTATIONS = Table(
    "annotations",
    "annotations",
    3,
    pa.schema(
        [
            field("image_id", pa.string(), "the image", False),
            field("width", pa.int32(), "pixels", False),
            field("height", pa.int32(), "pixels", False),
            field("format", pa.string(), "JPEG, PNG, GIF, WEBP, BMP, TIFF, …", False),
            field("animated", pa.bool_(), "has more than one frame", False),
            field("phash", pa.string(), "64-bit DCT perceptual hash, 16 hex digits", False),
            field("flatness", pa.float32(), "share of the commonest grey level band, 0…1 (1 is blank)", False),
            field("label", pa.string(), "most likely class of the image model"),
            field("label_score", pa.float32(), "its probability"),
            field("nsfw", pa.float32(), "not-safe-for-work probability"),
            field("caption", pa.string(), "caption by the preset's captioner"),
            field("generated", pa.string(), "how the file says that a model made it; null where it says nothing"),
            field("generated_score", pa.float32(), "probability that a model made it, by a detector"),
            field("features", pa.list_(pa.float16()), "the image model's features"),
            field("sketch", pa.binary(), "int8 sketch of the features, at most 480 bytes: see mining.sketches", False),
            field("pattern_sketch", pa.binary(), "the same of the pattern model's features; null without one"),
            field("caption_sketch", pa.binary(), "the same of the caption's sentence embedding; null without one"),
            field("models", pa.string(), "names and revisions of the models that wrote this row", False),
        ]
    ),
    "one row for each image",
)

TEXTS = Table(
    "texts",
    "_work/side/texts",
    1,
    pa.schema(
        [
            field("text_id", pa.string(), "hash of the text", False),
            field("text", pa.string(), "cleaned text of a place", False),
            field("embedding", pa.list_(pa.float16()), "sentence embedding, unit length", False),
        ]
    ),
    "the distinct texts of a shard's places with their sentence embeddings",
)

#: Scores of pairs that a run may ask for (`mine_pairs.scores`): column, type, meaning; null where they were not asked.
PAIR_SCORES: list[tuple[str, pa.DataType, str]] = [
    ("agreement", pa.float32(), "of the two texts' scene graphs, 0…1: see mining.scores.scene_graphs"),
    ("thing_pmi", pa.float32(), "normalised pointwise mutual information of the two texts' things, -1…1"),
    ("query_alignment", pa.float32(), "cosine of the query image with its own text: see mining.scores.alignment"),
    ("target_alignment", pa.float32(), "the same of the target image"),
    ("query_hubness", pa.int32(), "in how many lists of ten nearest neighbours the query image stands"),
    ("target_hubness", pa.int32(), "the same of the target image"),
]

PAIRS = Table(
    "pairs",
    "pairs",
    3,
    pa.schema(
        [
            field("pair_id", pa.string(), "hash of page, query image and target image", False),
            field("page_id", pa.string(), "the page both stand on, or that of the query image", False),
            field("query_image_id", pa.string(), "the query image", False),
            field("target_image_id", pa.string(), "the target image", False),
            field("visual_similarity", pa.float32(), "cosine of the sketches, rounded to 4 decimals", False),
            field("text_similarity", pa.float32(), "cosine of the texts' embeddings, rounded; null without texts"),
            field("mining", pa.string(), "names of the miners that found it, joined by +", False),
            field("mining_details", pa.string(), "what each of them saw, in a few words, joined by ;"),
            field("hard_negatives", pa.list_(pa.string()), "image ids, first the query image", False),
            field("page_url", pa.string(), "", False),
            field("page_title", pa.string(), ""),
            field("query_image_url", pa.string(), "page_images.url on this page", False),
            field("target_image_url", pa.string(), "page_images.url on this page", False),
            field("query_text", pa.string(), "cleaned text of the query image"),
            field("target_text", pa.string(), "cleaned text of the target image"),
            field("target_text_shared", pa.bool_(), "another image of the page has the target's text"),
            field("query_label", pa.string(), "label of the query image if sure"),
            field("target_label", pa.string(), "label of the target image if sure"),
            field("language", pa.string(), ""),
            field("license", pa.string(), ""),
            field("opt_out", pa.string(), "union of page's and images' signals (only with --opt-out keep)"),
            field("crawl_date", TIMESTAMP, ""),
            field("site", pa.string(), "registrable domain or host:port", False),
            field("target_page_id", pa.string(), "the target image's page, where it is another one"),
            field("target_page_url", pa.string(), "its address"),
            field("target_page_title", pa.string(), "its title"),
            field("query_box", pa.list_(pa.float32()), "x, y, width, height of the object, as shares of the image"),
            field("target_box", pa.list_(pa.float32()), "the same in the target image"),
            field("query_generated", pa.string(), "what says that a model made the query image"),
            field("target_generated", pa.string(), "the same of the target image"),
            *(field(name, kind, doc) for name, kind, doc in PAIR_SCORES),
        ]
    ),
    "one row for each ordered pair of images that mining kept",
)

ELIGIBLE = Table(
    "eligible",
    "_work/side/eligible",
    3,
    pa.schema(
        [
            field("page_id", pa.string(), "a page that was mined", False),
            field("page_url", pa.string(), "address of the page on which the image stands", False),
            field("site", pa.string(), "that page's registrable domain or host:port", False),
            field("image_id", pa.string(), "an image that entered pairing on that page", False),
            field("position", pa.int32(), "position of its place on the page", False),
            field("url", pa.string(), "page_images.url of that place", False),
            field("text", pa.string(), "cleaned text of that place"),
            field("embedding", pa.list_(pa.float16()), "sentence embedding of the text, unit length"),
            field("sketch", pa.binary(), "int8 sketch of the image's features", False),
            field("phash", pa.string(), "perceptual hash, 16 hex digits", False),
            field("width", pa.int32(), "pixels", False),
            field("height", pa.int32(), "pixels", False),
            field("label", pa.string(), "label of the image if sure"),
            field("generated", pa.string(), "what says that a model made the image"),
            field("own_page_id", pa.string(), "the page on which the image stands, where pairs name it under another"),
            field("page_title", pa.string(), ""),
            field("language", pa.string(), ""),
            field("license", pa.string(), ""),
            field("opt_out", pa.string(), "union of page's and image's signals (only with --opt-out keep)"),
            field("crawl_date", TIMESTAMP, ""),
            field("caption", pa.string(), "caption of the image by a model"),
            field("pattern_sketch", pa.binary(), "sketch of the pattern model's features, where they are searched"),
            field("caption_sketch", pa.binary(), "sketch of the caption's embedding, where captions are searched"),
        ]
    ),
    "one row for each image of each mined page: the candidates of verification, and what splits are decided on",
)

#: Columns of `eligible` that only the search of a corpus reads: null in the rows that stand beside pairs.
SEARCHED = ("pattern_sketch", "caption_sketch")

MATCHES = Table(
    "matches",
    "_work/side/matches",
    1,
    pa.schema(
        [
            field("image_id", pa.string(), "an image that matches one of a benchmark's", False),
            field("benchmark", pa.string(), "name of the benchmark", False),
            field("how", pa.string(), "hash or features", False),
            field("detail", pa.string(), "the benchmark's image, and how near both are", False),
        ]
    ),
    "one row for each image of a shard that decontamination found in a benchmark",
)

ROBOTS = Table(
    "robots",
    "_work/side/robots",
    1,
    pa.schema(
        [
            field("origin", pa.string(), "scheme://host[:port] in lower case", False),
            field("status", pa.int32(), "HTTP status", False),
            field("body", pa.binary(), "up to 512 KiB", False),
            field("crawl_date", TIMESTAMP, "WARC-Date"),
        ]
    ),
    "robots.txt files that the archives hold",
)

PAYLOADS = Table(
    "payloads",
    "_work/side/payloads",
    1,
    pa.schema(
        [
            field("digest", pa.string(), "payload digest that the record states, else the body's", False),
            field("archive", pa.string(), "the archive", False),
            field("member", pa.string(), "member of a container, or ''", False),
            field("offset", pa.int64(), "where the record, or the compressed member with it, begins", False),
            field("index", pa.int32(), "how many records stand before it in that member", False),
            field("url", pa.string(), "target URI", False),
            field("kind", pa.string(), "page or image", False),
        ]
    ),
    "where the payloads lie that revisits may mean",
)

REVISITS = Table(
    "revisits",
    "_work/side/revisits",
    1,
    pa.schema(
        [
            field("digest", pa.string(), "payload digest; uri: and an address where none is stated", False),
            field("url", pa.string(), "target URI", False),
            field("refers_to", pa.string(), "WARC-Refers-To-Target-URI"),
            field("crawl_date", TIMESTAMP, "WARC-Date"),
            field(
                "headers",
                pa.list_(pa.struct([("name", pa.string()), ("value", pa.string())])),
                "headers of the revisit's own answer",
            ),
            field("key", pa.string(), "the record's name in marks and rejections", False),
            field("archive", pa.string(), "the archive", False),
        ]
    ),
    "revisit records, to be resolved when all payloads are known",
)
