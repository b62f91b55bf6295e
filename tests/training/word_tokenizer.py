"""A tokenizer of the words that are said of drawn pictures."""

from __future__ import annotations

from pathlib import Path

from drawn_pictures import COLOURS, SHAPES

WORDS = sorted({*COLOURS, *SHAPES, *"a the same in show it instead of not this and one".split()})


def save_word_tokenizer(folder: Path) -> int:
    """Save it as transformers does; gives the size of its vocabulary."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", bos_token="[CLS]", eos_token="[SEP]"
    ).save_pretrained(folder)
    return len(vocabulary)
