"""What the training benchmark trains on and with: datasets of noise of any size, and a small CLIP of chance."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

#: Pixels of the CLIP.
SIDE = 64
_WORDS = tuple("a the same in show it instead of not this and one with red green blue old large from above at".split())
_IMAGES_A_PAGE = 4
#: Rows of a row group of `images`, as datasets are published.
_GROUP = 256


def write_dataset(root: Path, rows: int, side: int) -> Path:
    """A dataset of `rows` triplets on pages of four images and four triplets, pictures of noise with `side` pixels."""
    rng = np.random.default_rng(0)
    (root / "ids").mkdir(parents=True)
    (root / "images").mkdir()
    ids = [(page, place) for page in range(rows // _IMAGES_A_PAGE) for place in range(_IMAGES_A_PAGE)]

    def name(page: int, place: int) -> str:
        return f"{page:032x}{place:032x}"

    table = {
        "triplet_id": [f"{page:024x}{place:08x}" for page, place in ids],
        "query_image_id": [name(page, place) for page, place in ids],
        "target_image_id": [name(page, (place + 1) % _IMAGES_A_PAGE) for page, place in ids],
        "instruction": [f"{' '.join(rng.choice(_WORDS, 6))} {page} {place}" for page, place in ids],
        "page_id": [f"{page:032x}" for page, _ in ids],
    }
    pq.write_table(pa.table(table), root / "ids" / "train-00000-of-00001.parquet", row_group_size=1000)
    schema = pa.schema({"image_id": pa.string(), "image": pa.struct({"bytes": pa.binary(), "path": pa.string()})})
    with pq.ParquetWriter(root / "images" / "train-00000-of-00001.parquet", schema, use_dictionary=False) as writer:
        for start in range(0, len(ids), _GROUP):
            part = ids[start : start + _GROUP]
            files = [{"bytes": _noise(rng, side), "path": None} for _ in part]
            writer.write_table(pa.table({"image_id": [name(*one) for one in part], "image": files}, schema=schema))
    return root


def _noise(rng: np.random.Generator, side: int) -> bytes:
    from PIL import Image

    sink = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize((side, side)).save(sink, "JPEG")
    return sink.getvalue()


def write_clip(folder: Path) -> Path:
    """A CLIP of four layers of width 192 at 64 pixels, with weights of chance and a tokenizer of words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, PreTrainedTokenizerFast
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *_WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", bos_token="[CLS]", eos_token="[SEP]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    half = {"hidden_size": 192, "intermediate_size": 768, "num_hidden_layers": 4, "num_attention_heads": 4}
    text = {"vocab_size": len(vocabulary), "max_position_embeddings": 16, "bos_token_id": 2, "eos_token_id": 3}
    config = CLIPConfig(
        text_config=half | text | {"pad_token_id": 0},
        vision_config=half | {"image_size": SIDE, "patch_size": 16},
        projection_dim=192,
    )
    CLIPModel(config).save_pretrained(folder)
    sizes = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
    CLIPImageProcessorPil(**sizes).save_pretrained(folder)
    return folder
