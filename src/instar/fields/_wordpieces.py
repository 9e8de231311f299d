"""The vocabulary of a pretrained encoder: whole words and pieces of words (Wu et al. 2016), as BERT has them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from instar.fields._state import array, expect
from instar.fields._symbols import UNKNOWN, Tokenization, stored_texts
from instar.pretrained import BEGIN, END, Vocabulary
from instar.pretrained import UNKNOWN as UNKNOWN_PIECE

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Letters of a word beyond which it is unknown, as in BERT's own code.
_LONGEST_WORD = 100


class WordPieces(Tokenization):
    """texts: the pieces in the order of their codes; one within a word begins with ``##``.

    ways: bool (3,), whether capitals are taken for small letters, accents are kept, and ideographs stand alone.
    """

    name, unit, unit_of_known = "wordpieces", "words and pieces of words", "pieces"

    def __init__(self, texts: pl.Series, ways: np.ndarray) -> None:
        super().__init__(texts)
        self.ways = ways

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> WordPieces:
        """Two pieces have fixed codes: the one that fills rows and the unknown one."""
        ways = np.array([vocabulary.lowercase, vocabulary.accents, vocabulary.ideographs])
        return cls(pl.Series(vocabulary.pieces[2:], dtype=pl.String), ways)

    def encode(self, texts: pl.Series, most: int) -> tuple[np.ndarray, np.ndarray]:
        """As every text of the encoder's own training, each begins and ends with a piece of its own."""
        between = max(0, most - 2)
        spelled = [found.ids[:between] for found in self._tokenizer.encode_batch_fast(texts.to_list())]
        begin, end = self._ends
        rows = [[begin, *pieces, end] for pieces in spelled]
        codes = np.fromiter((code for row in rows for code in row), np.int32)
        return codes, np.fromiter(map(len, rows), np.int64, len(rows))

    def state(self) -> dict[str, np.ndarray]:
        return {**super().state(), "ways": self.ways}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray]) -> WordPieces:
        found = cls(stored_texts(arrays), array(arrays, "ways", np.bool_, 3))
        expect(UNKNOWN_PIECE not in found._places and {BEGIN, END} <= found._places.keys(), "pieces")
        return found

    @cached_property
    def _places(self) -> dict[str, int]:
        return {text: code for code, text in enumerate(self.texts, UNKNOWN + 1)}

    @property
    def _ends(self) -> tuple[int, int]:
        return self._places[BEGIN], self._places[END]

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer
        from tokenizers.models import WordPiece
        from tokenizers.normalizers import BertNormalizer
        from tokenizers.pre_tokenizers import BertPreTokenizer

        codes = {UNKNOWN_PIECE: UNKNOWN, **self._places}
        tokenizer = Tokenizer(WordPiece(codes, unk_token=UNKNOWN_PIECE, max_input_chars_per_word=_LONGEST_WORD))
        lowercase, accents, ideographs = self.ways.tolist()
        tokenizer.normalizer = BertNormalizer(
            clean_text=True, handle_chinese_chars=ideographs, strip_accents=not accents, lowercase=lowercase
        )
        tokenizer.pre_tokenizer = BertPreTokenizer()
        return tokenizer
