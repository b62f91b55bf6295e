"""The definition of every table: name, version, Arrow schema and, for published ones, `datasets.Features`.

The only place where a column is named, typed or explained; `docs/tables.md` is generated from here.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Table:
    """One table: where its rows lie under the output folder, its columns and the version of both."""

    name: str
    folder: str
    version: int
    schema: pa.Schema
    doc: str

    def with_metadata(self) -> pa.Schema:
        """The schema with the table's name and version in its metadata, as files carry it."""
        return self.schema.with_metadata({"lensmith.table": self.name, "lensmith.version": str(self.version)})


def _field(name: str, kind: pa.DataType, doc: str, nullable: bool = True) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"doc": doc})


TIMESTAMP = pa.timestamp("us", tz="UTC")

PAGES = Table(
    "pages",
    "pages",
    1,
    pa.schema(
        [
            _field("page_id", pa.string(), "hash of address and payload digest", False),
            _field("url", pa.string(), "the record's target URI without angle brackets", False),
            _field("title", pa.string(), "<title>, else og:title, else the first h1"),
            _field("description", pa.string(), "meta description or og:description"),
            _field("language", pa.string(), "ISO 639-1, from lang, header or detection"),
            _field("canonical", pa.string(), "canonical address, resolved"),
            _field("license", pa.string(), "address or name of the licence the page states"),
            _field("opt_out", pa.string(), "comma-separated sorted opt-out signals; null when none was seen"),
            _field("robots", pa.string(), "robots directives of headers and meta, sorted and comma-separated"),
            _field("crawl_date", TIMESTAMP, "WARC-Date"),
            _field("warc_file", pa.string(), "base name of the archive"),
            _field("payload_digest", pa.string(), "hex SHA-256 of the decoded body", False),
            _field("charset", pa.string(), "encoding the page was decoded with"),
            _field("site", pa.string(), "registrable domain, or host:port for bare addresses", False),
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
            _field("page_id", pa.string(), "the page", False),
            _field("position", pa.int32(), "0-based order in the document", False),
            _field("url", pa.string(), "resolved address, fragment removed, otherwise as written", False),
            _field("alt", pa.string(), "alt attribute"),
            _field("title", pa.string(), "title attribute of the image or its link"),
            _field("caption", pa.string(), "figcaption, or the common class conventions"),
            _field("heading", pa.string(), "path of headings above the place, joined by ' > '"),
            _field("text_before", pa.string(), "up to 300 characters of text before"),
            _field("text_after", pa.string(), "up to 300 characters of text after"),
            _field("declared_width", pa.int32(), "width that the markup states, in CSS pixels"),
            _field("declared_height", pa.int32(), "height that the markup states, in CSS pixels"),
            _field(
                "source",
                pa.string(),
                "which markup: img, srcset, picture, lazy, noscript, link, style, og, data",
                False,
            ),
            _field("group", pa.int32(), "alternatives of one picture share it", False),
            _field("chosen", pa.bool_(), "the alternative that mining prefers", False),
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
            _field("image_id", pa.string(), "hex SHA-256 of the decoded body", False),
            _field("url", pa.string(), "the record's target URI, or the address that was fetched", False),
            _field("bytes", pa.binary(), "the original file", False),
            _field("mime", pa.string(), "media type told by the bytes, else the one declared"),
            _field("source", pa.string(), "archive, fetched or data", False),
            _field("opt_out", pa.string(), "comma-separated sorted opt-out signals of the image's headers"),
            _field("crawl_date", TIMESTAMP, "when it was archived; null for a fetched one"),
        ]
    ),
    "one row or more for each (url, image_id)",
)

ANNOTATIONS = Table(
    "annotations",
    "annotations",
    1,
    pa.schema(
        [
            _field("image_id", pa.string(), "the image", False),
            _field("width", pa.int32(), "pixels", False),
            _field("height", pa.int32(), "pixels", False),
            _field("format", pa.string(), "JPEG, PNG, GIF, WEBP, BMP, TIFF, …", False),
            _field("animated", pa.bool_(), "has more than one frame", False),
            _field("phash", pa.string(), "64-bit DCT perceptual hash, 16 hex digits", False),
            _field("flatness", pa.float32(), "share of the commonest grey level band, 0…1 (1 is blank)", False),
            _field("label", pa.string(), "most likely class of the image model"),
            _field("label_score", pa.float32(), "its probability"),
            _field("nsfw", pa.float32(), "not-safe-for-work probability"),
            _field("caption", pa.string(), "caption by the preset's captioner"),
            _field("features", pa.list_(pa.float16()), "the image model's features"),
            _field("sketch", pa.binary(), "int8 sketch of the features, at most 480 bytes: see mining.sketches", False),
            _field("models", pa.string(), "names and revisions of the models that wrote this row", False),
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
            _field("text_id", pa.string(), "hash of the text", False),
            _field("text", pa.string(), "cleaned text of a place", False),
            _field("embedding", pa.list_(pa.float16()), "sentence embedding, unit length", False),
        ]
    ),
    "the distinct texts of a shard's places with their sentence embeddings",
)

PAIRS = Table(
    "pairs",
    "pairs",
    2,
    pa.schema(
        [
            _field("pair_id", pa.string(), "hash of page, query image and target image", False),
            _field("page_id", pa.string(), "the page both stand on", False),
            _field("query_image_id", pa.string(), "the query image", False),
            _field("target_image_id", pa.string(), "the target image", False),
            _field("visual_similarity", pa.float32(), "cosine of the sketches, rounded to 4 decimals", False),
            _field("text_similarity", pa.float32(), "cosine of the texts' embeddings, rounded; null without texts"),
            _field("mining", pa.string(), "name of the miner", False),
            _field("hard_negatives", pa.list_(pa.string()), "image ids, first the query image", False),
            _field("page_url", pa.string(), "", False),
            _field("page_title", pa.string(), ""),
            _field("query_image_url", pa.string(), "page_images.url on this page", False),
            _field("target_image_url", pa.string(), "page_images.url on this page", False),
            _field("query_text", pa.string(), "cleaned text of the query image"),
            _field("target_text", pa.string(), "cleaned text of the target image"),
            _field("target_text_shared", pa.bool_(), "another image of the page has the target's text"),
            _field("query_label", pa.string(), "label of the query image if sure"),
            _field("target_label", pa.string(), "label of the target image if sure"),
            _field("language", pa.string(), ""),
            _field("license", pa.string(), ""),
            _field("opt_out", pa.string(), "union of page's and images' signals (only with --opt-out keep)"),
            _field("crawl_date", TIMESTAMP, ""),
            _field("site", pa.string(), "registrable domain or host:port", False),
        ]
    ),
    "one row for each ordered pair of images that mining kept",
)

ELIGIBLE = Table(
    "eligible",
    "_work/side/eligible",
    1,
    pa.schema(
        [
            _field("page_id", pa.string(), "a page that was mined", False),
            _field("site", pa.string(), "its registrable domain or host:port", False),
            _field("image_id", pa.string(), "an image that entered pairing on that page", False),
            _field("position", pa.int32(), "position of its place on the page", False),
            _field("url", pa.string(), "page_images.url of that place", False),
            _field("text", pa.string(), "cleaned text of that place"),
            _field("embedding", pa.list_(pa.float16()), "sentence embedding of the text, unit length"),
            _field("sketch", pa.binary(), "int8 sketch of the image's features", False),
            _field("phash", pa.string(), "perceptual hash, 16 hex digits", False),
        ]
    ),
    "one row for each image of each mined page: the candidates of verification, and what splits are decided on",
)

GENERATIONS = Table(
    "generations",
    "generations",
    2,
    pa.schema(
        [
            _field("request_id", pa.string(), "hash of everything the answer depends on", False),
            _field("prompt", pa.string(), "prompt name and version", False),
            _field("model", pa.string(), "model name and revision", False),
            _field("parameters", pa.string(), "canonical JSON", False),
            _field("messages", pa.string(), "canonical JSON of the rendered messages", False),
            _field("image_ids", pa.list_(pa.string()), "images that the request shows", False),
            _field("text", pa.string(), "the answer; null if the model gave none"),
            _field("finish_reason", pa.string(), "stop, length, …"),
            _field("error", pa.string(), "the model's own error for this request"),
            _field("follows", pa.string(), "the request whose answer could not be read, where this one asks again"),
            _field("prompt_tokens", pa.int32(), "tokens of the prompt, as the server counted them"),
            _field("completion_tokens", pa.int32(), "tokens of the answer, as the server counted them"),
        ]
    ),
    "one row for each request that was answered",
)

BATCH_REQUESTS = Table(
    "batch_requests",
    "_work/side/batch_requests",
    1,
    pa.schema(
        [
            GENERATIONS.schema.field(name)
            for name in ("request_id", "prompt", "model", "parameters", "messages", "image_ids", "follows")
        ]
    ),
    "requests that wait to be written into batch files",
)

CHOICES = Table(
    "choices",
    "_work/side/choices",
    1,
    pa.schema(
        [
            _field("request_id", pa.string(), "the first of several samples of one question", False),
            _field("sample", pa.int32(), "number of the sample that is best by the reward", False),
        ]
    ),
    "which of several samples was chosen",
)

WRITTEN_CAPTIONS = Table(
    "written_captions",
    "_work/side/written_captions",
    1,
    pa.schema(
        [
            _field("page_id", pa.string(), "the page", False),
            _field("image_id", pa.string(), "an image of it that a pair names", False),
            _field("text", pa.string(), "the caption", False),
            _field("method", pa.string(), "task that wrote it", False),
            _field("model", pa.string(), "model that wrote it", False),
            _field("prompt", pa.string(), "prompt name and version", False),
        ]
    ),
    "captions that models wrote, before they are compared with their images",
)

CAPTIONS = Table(
    "captions",
    "captions",
    1,
    pa.schema(
        [
            _field("page_id", pa.string(), "the page", False),
            _field("image_id", pa.string(), "an image of it that a pair names", False),
            _field("kind", pa.string(), "page (its text there) or written (by a model)", False),
            _field("text", pa.string(), "the text", False),
            _field("method", pa.string(), "task that wrote it; null for the page's own text"),
            _field("model", pa.string(), "model that wrote it"),
            _field("prompt", pa.string(), "prompt name and version"),
            _field("alignment", pa.float32(), "similarity of image and text; null where no encoder tells"),
            _field("alignment_level", pa.int8(), "bucket of the alignment, 0 the weakest: see docs/synthesis.md"),
        ]
    ),
    "texts of images, the pages' own and written ones, with how well each fits its image",
)

TEXT_TRIPLETS = Table(
    "text_triplets",
    "text_triplets",
    1,
    pa.schema(
        [
            _field("text_triplet_id", pa.string(), "hash of its three texts", False),
            _field("page_id", pa.string(), "the page of the image", False),
            _field("image_id", pa.string(), "the image that the caption is of", False),
            _field("caption", pa.string(), "the caption", False),
            _field("edit", pa.string(), "the instruction that leads from caption to edited caption", False),
            _field("edited", pa.string(), "the edited caption", False),
            _field("method", pa.string(), "task that wrote it", False),
            _field("model", pa.string(), "model that wrote it", False),
            _field("prompt", pa.string(), "prompt name and version", False),
        ]
    ),
    "triplets of texts alone: caption, edit, edited caption",
)

INSTRUCTION = pa.struct(
    [
        ("text", pa.string()),
        ("category", pa.string()),
        ("direction", pa.string()),
        ("length", pa.string()),
        ("method", pa.string()),
        ("model", pa.string()),
        ("prompt", pa.string()),
        ("score", pa.float32()),
        ("verdict", pa.string()),
    ]
)

#: The parse of one text into what it does to the query image (FineCIR): name and meaning of the columns.
PARSE = {
    "parsed_text": "the most precise of `instructions` that has a parse; the next four columns are its parse",
    "keep": "what the parsed text leaves as it is",
    "add": "what it adds",
    "remove": "what it takes away",
    "change": "what it changes",
}

PARSE_TYPES = {name: pa.string() if name == "parsed_text" else pa.list_(pa.string()) for name in PARSE}

_TRIPLET_FIELDS = [
    _field("triplet_id", pa.string(), "hash of pair and instruction", False),
    _field("instruction", pa.string(), "the best of the list", False),
    _field("instructions", pa.list_(INSTRUCTION), "all texts that passed the filters, best first", False),
    *(_field(name, PARSE_TYPES[name], doc) for name, doc in PARSE.items()),
    *PAIRS.schema,
]

TRIPLETS = Table("triplets", "triplets", 2, pa.schema(_TRIPLET_FIELDS), "one row for each pair with at least one text")

VERIFIED = Table(
    "verified",
    "verified",
    2,
    pa.schema(
        [
            *_TRIPLET_FIELDS,
            _field("rank_text", pa.int32(), "1-based rank of the target on its page by the text alone"),
            _field("rank_query", pa.int32(), "1-based rank of the target on its page by the query image alone"),
            _field("rank_both", pa.int32(), "1-based rank of the target on its page by both"),
            _field("rank_caption", pa.int32(), "the same by the caption that `target_caption` wrote for the target"),
            _field("candidates", pa.int32(), "how many images were ranked"),
            _field("verdict", pa.string(), "pass, fail, ambiguous or unchecked", False),
            _field("distractors", pa.list_(pa.string()), "image ids: the target's most similar other images"),
            _field("judged_by", pa.string(), "image or text: what a model saw that judged the instruction"),
            _field(
                "votes",
                pa.list_(pa.int32()),
                "its tries: 0 the target, 1, 2, … a distractor, -1 several fit, -2 none fits, -3 unread",
            ),
            _field("judged_order", pa.list_(pa.int32()), "target (0) and distractors (1, 2, …) as it was shown them"),
            _field("rewritten_from", pa.string(), "the text that failed, where the instruction was written anew"),
        ]
    ),
    "triplets with the verifier's columns",
)

ASSIGNED = Table(
    "assigned",
    "_work/side/assigned",
    1,
    pa.schema([*VERIFIED.schema, _field("split", pa.string(), "train, validation or test", False)]),
    "verified triplets that are published, with their split; hard negatives of other splits are left out",
)

ASSIGNED_IMAGES = Table(
    "assigned_images",
    "_work/side/assigned_images",
    1,
    pa.schema(
        [
            _field("image_id", pa.string(), "an image that a published triplet of the shard names", False),
            _field("split", pa.string(), "its split", False),
            _field("url", pa.string(), "address from which it came", False),
            _field("license", pa.string(), "licence of a page that shows it"),
            _field("source", pa.int32(), "number of the shard that holds its bytes", False),
            _field("file", pa.int32(), "number of the file in that shard", False),
            _field("row", pa.int64(), "row in that file", False),
            _field("bytes", pa.int64(), "size of the image file", False),
        ]
    ),
    "where the images of a shard's published triplets lie",
)

REJECTED = Table(
    "rejected",
    "rejected",
    1,
    pa.schema(
        [
            _field(
                "unit",
                pa.string(),
                "record, page, place, address, image, text, candidate_pair, pair, request, triplet",
                False,
            ),
            _field("id", pa.string(), "the unit's id", False),
            _field("url", pa.string(), "its address, where it has one"),
            _field("reason", pa.string(), "snake_case; failures begin with error:", False),
            _field("detail", pa.string(), "up to 500 characters"),
        ]
    ),
    "one row for each unit that a stage dropped",
)

DEFERRED = Table("deferred", "_work/deferred", 1, REJECTED.schema, "units put off because a budget ran out")

ROBOTS = Table(
    "robots",
    "_work/side/robots",
    1,
    pa.schema(
        [
            _field("origin", pa.string(), "scheme://host[:port] in lower case", False),
            _field("status", pa.int32(), "HTTP status", False),
            _field("body", pa.binary(), "up to 512 KiB", False),
            _field("crawl_date", TIMESTAMP, "WARC-Date"),
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
            _field("digest", pa.string(), "payload digest that the record states, else the body's", False),
            _field("archive", pa.string(), "the archive", False),
            _field("member", pa.string(), "member of a container, or ''", False),
            _field("offset", pa.int64(), "where the record, or the compressed member with it, begins", False),
            _field("index", pa.int32(), "how many records stand before it in that member", False),
            _field("url", pa.string(), "target URI", False),
            _field("kind", pa.string(), "page or image", False),
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
            _field("digest", pa.string(), "payload digest; uri: and an address where none is stated", False),
            _field("url", pa.string(), "target URI", False),
            _field("refers_to", pa.string(), "WARC-Refers-To-Target-URI"),
            _field("crawl_date", TIMESTAMP, "WARC-Date"),
            _field(
                "headers",
                pa.list_(pa.struct([("name", pa.string()), ("value", pa.string())])),
                "headers of the revisit's own answer",
            ),
            _field("key", pa.string(), "the record's name in marks and rejections", False),
            _field("archive", pa.string(), "the archive", False),
        ]
    ),
    "revisit records, to be resolved when all payloads are known",
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        PAGES,
        PAGE_IMAGES,
        IMAGES,
        ROBOTS,
        PAYLOADS,
        REVISITS,
        ANNOTATIONS,
        TEXTS,
        PAIRS,
        ELIGIBLE,
        GENERATIONS,
        BATCH_REQUESTS,
        CHOICES,
        WRITTEN_CAPTIONS,
        CAPTIONS,
        TEXT_TRIPLETS,
        TRIPLETS,
        VERIFIED,
        ASSIGNED,
        ASSIGNED_IMAGES,
        REJECTED,
        DEFERRED,
    )
}
