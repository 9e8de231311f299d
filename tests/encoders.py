"""A pretrained encoder of BERT's family, as small as can be, in a folder as Hugging Face's libraries write it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

WORDS = ["the", "room", "soup", "bed", "was", "there", "and", "very", "cafe", "kind", "lovely", "warm", "awful", "rude"]
WORDS += ["cold", ".", "!"]
ENDINGS = ["##s", "##er", "##ly", "##r"]
# The order is not Instar's, so that whoever forgets to sort is found out.
PIECES = ["[PAD]", "[unused0]", "a", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *ENDINGS]
DEPTH, WIDTH, HEADS, INNER, POSITIONS = 2, 8, 2, 12, 24


def configuration():
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": POSITIONS,
        "num_attention_heads": HEADS,
        "num_hidden_layers": DEPTH,
        "type_vocab_size": 2,
        "vocab_size": len(PIECES),
    }


def tokenizer():
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {piece: code for code, piece in enumerate(PIECES)},
        },
    }


def weights():
    """Numbers that follow from their place alone, the same with every version of every library."""
    shapes = {
        "embeddings.word_embeddings.weight": (len(PIECES), WIDTH),
        "embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    for place in range(DEPTH):
        layer = f"encoder.layer.{place}"
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            shapes |= {f"{layer}.attention.{name}.weight": (WIDTH, WIDTH), f"{layer}.attention.{name}.bias": (WIDTH,)}
        shapes |= {f"{layer}.intermediate.dense.weight": (INNER, WIDTH), f"{layer}.intermediate.dense.bias": (INNER,)}
        shapes |= {f"{layer}.output.dense.weight": (WIDTH, INNER), f"{layer}.output.dense.bias": (WIDTH,)}
    for name in norms:
        shapes |= {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}
    made = {}
    for number, (name, shape) in enumerate(sorted(shapes.items())):
        waves = np.sin(np.arange(np.prod(shape)) * 1.7 + number).reshape(shape).astype(np.float32)
        made[name] = 1 + 0.2 * waves if name.endswith("LayerNorm.weight") else 0.5 * waves
    return made


def write_encoder(folder: Path, *, config=None, vocabulary=None, tensors=None) -> Path:
    """The three files, as they should be where nothing else is given."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config or configuration()))
    (folder / "tokenizer.json").write_text(json.dumps(vocabulary or tokenizer()))
    save_file(tensors or weights(), folder / "model.safetensors")
    return folder
