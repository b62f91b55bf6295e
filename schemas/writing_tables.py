"""The tables of what models are asked, what they answer, and what becomes of it."""

from __future__ import annotations

import pyarrow as pa

from schemas.crawl_tables import PAIRS
from schemas.table import Table, field

GENERATIONS = Table(
    "generations",
    "generations",
    2,
    pa.schema(
        [
            field("request_id", pa.string(), "hash of everything the answer depends on", False),
            field("prompt", pa.string(), "prompt name and version", False),
            field("model", pa.string(), "model name and revision", False),
            field("parameters", pa.string(), "canonical JSON", False),
            field("messages", pa.string(), "canonical JSON of the rendered messages", False),
            field("image_ids", pa.list_(pa.string()), "images that the request shows", False),
            field("text", pa.string(), "the answer; null if the model gave none"),
            field("finish_reason", pa.string(), "stop, length, …"),
            field("error", pa.string(), "the model's own error for this request"),
            field("follows", pa.string(), "the request whose answer could not be read, where this one asks again"),
            field("prompt_tokens", pa.int32(), "tokens of the prompt, as the server counted them"),
            field("completion_tokens", pa.int32(), "tokens of the answer, as the server counted them"),
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
            field("request_id", pa.string(), "the first of several samples of one question", False),
            field("sample", pa.int32(), "number of the sample that is best by the reward", False),
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
            field("page_id", pa.string(), "the page", False),
            field("image_id", pa.string(), "an image of it that a pair names", False),
            field("text", pa.string(), "the caption", False),
            field("method", pa.string(), "task that wrote it", False),
            field("model", pa.string(), "model that wrote it", False),
            field("prompt", pa.string(), "prompt name and version", False),
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
            field("page_id", pa.string(), "the page", False),
            field("image_id", pa.string(), "an image of it that a pair names", False),
            field("kind", pa.string(), "page (its text there) or written (by a model)", False),
            field("text", pa.string(), "the text", False),
            field("method", pa.string(), "task that wrote it; null for the page's own text"),
            field("model", pa.string(), "model that wrote it"),
            field("prompt", pa.string(), "prompt name and version"),
            field("alignment", pa.float32(), "similarity of image and text; null where no encoder tells"),
            field("alignment_level", pa.int8(), "bucket of the alignment, 0 the weakest: see docs/synthesis.md"),
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
            field("text_triplet_id", pa.string(), "hash of its three texts", False),
            field("page_id", pa.string(), "the page of the image", False),
            field("image_id", pa.string(), "the image that the caption is of", False),
            field("caption", pa.string(), "the caption", False),
            field("edit", pa.string(), "the instruction that leads from caption to edited caption", False),
            field("edited", pa.string(), "the edited caption", False),
            field("method", pa.string(), "task that wrote it", False),
            field("model", pa.string(), "model that wrote it", False),
            field("prompt", pa.string(), "prompt name and version", False),
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
    field("triplet_id", pa.string(), "hash of pair and instruction", False),
    field("instruction", pa.string(), "the best of the list", False),
    field("instructions", pa.list_(INSTRUCTION), "all texts that passed the filters, best first", False),
    *(field(name, PARSE_TYPES[name], doc) for name, doc in PARSE.items()),
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
            field("rank_text", pa.int32(), "1-based rank of the target on its page by the text alone"),
            field("rank_query", pa.int32(), "1-based rank of the target on its page by the query image alone"),
            field("rank_both", pa.int32(), "1-based rank of the target on its page by both"),
            field("rank_caption", pa.int32(), "the same by the caption that `target_caption` wrote for the target"),
            field("candidates", pa.int32(), "how many images were ranked"),
            field("verdict", pa.string(), "pass, fail, ambiguous or unchecked", False),
            field("distractors", pa.list_(pa.string()), "image ids: the target's most similar other images"),
            field("judged_by", pa.string(), "image or text: what a model saw that judged the instruction"),
            field(
                "votes",
                pa.list_(pa.int32()),
                "its tries: 0 the target, 1, 2, … a distractor, -1 several fit, -2 none fits, -3 unread",
            ),
            field("judged_order", pa.list_(pa.int32()), "target (0) and distractors (1, 2, …) as it was shown them"),
            field("rewritten_from", pa.string(), "the text that failed, where the instruction was written anew"),
        ]
    ),
    "triplets with the verifier's columns",
)
