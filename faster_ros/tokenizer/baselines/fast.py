# Copyright 2026 the faster_ros authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""FAST (arXiv 2501.09747): DCT, rounding, byte-pair encoding; and FAST+ from its vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from faster_ros.interfaces import FloatArray
from faster_ros.tokenizer.protocol import (
    check_ids,
    IntArray,
    LIMIT,
    refuse_unfitted,
    TokenizerSpec,
    UndecodableError,
)
import numpy as np
from scipy.fft import dct, idct
import tokenizers
from tokenizers import models, trainers

_FIRST_LETTER = 0x4E00  # a long run of letters none of which is a space, a digit or a mark
_ALPHABET_MARGIN = 0.5  # the coefficients a fitted vocabulary knows beyond its training range
_SPELLED = 20  # coefficients that a given vocabulary is tried with


class _DctWords:
    """Chunks as words of one letter per rounded DCT coefficient, lowest frequency first."""

    def __init__(self, scale: float, first_letter: int, lowest: int, highest: int) -> None:
        self.scale = scale
        self.first_letter = first_letter
        self.lowest, self.highest = lowest, highest

    def coefficients(self, chunks: FloatArray) -> IntArray:
        """Return rounded DCT values (N, H * D), all dimensions of a frequency together."""
        values = np.rint(self.scale * dct(chunks, axis=1, norm='ortho'))
        flat: IntArray = values.reshape(len(chunks), -1).astype(np.int64)
        return flat

    def words(self, chunks: FloatArray) -> list[str]:
        """Return the word of each chunk; a coefficient outside the alphabet is clipped."""
        clipped = np.clip(self.coefficients(chunks), self.lowest, self.highest)
        letters = clipped - self.lowest + self.first_letter
        return [''.join(map(chr, row)) for row in letters]

    def chunk(self, word: str, shape: tuple[int, int]) -> FloatArray:
        """Return what a word decodes to, shape (H, D), or an UndecodableError."""
        if len(word) != shape[0] * shape[1]:
            raise UndecodableError(
                f'expected {shape[0] * shape[1]} coefficients, the tokens give {len(word)}')
        values = np.array([ord(letter) for letter in word]) - self.first_letter + self.lowest
        if values.min() < self.lowest or values.max() > self.highest:
            raise UndecodableError('the tokens give a letter that stands for no coefficient')
        chunk = idct(values.reshape(shape) / self.scale, axis=0, norm='ortho')
        clipped: FloatArray = np.clip(chunk, -LIMIT, LIMIT)
        return clipped


class _WordTokenizer:
    """What FAST and FAST+ share once there is a vocabulary."""

    def __init__(self, name: str, source: str, scale: float) -> None:
        self._name, self._source = name, source
        self._scale = scale
        self._shape = (0, 0)
        self._words = _DctWords(scale, _FIRST_LETTER, 0, 0)
        self._pieces: tokenizers.Tokenizer | None = None

    @property
    def spec(self) -> TokenizerSpec:
        """Return a number of tokens that varies."""
        size = self._pieces.get_vocab_size() if self._pieces is not None else 0
        return TokenizerSpec(self._name, size, None, self._source)

    def encode(self, chunks: FloatArray) -> list[IntArray]:
        """Return the pieces of each chunk's word."""
        pieces = self._fitted_pieces()
        return [np.array(pieces.encode(word, add_special_tokens=False).ids, dtype=np.int64)
                for word in self._words.words(chunks)]

    def decode(self, sequences: Sequence[IntArray]) -> FloatArray:
        """Return the chunks of sequences that spell a word of H * D letters."""
        for sequence in sequences:
            check_ids(sequence, self.spec, prefix_decodes=False)
        return np.stack([self._words.chunk(self._spell(sequence), self._shape)
                         for sequence in sequences])

    def _spell(self, sequence: IntArray) -> str:
        return str(self._fitted_pieces().decode(sequence.tolist()))

    def _fitted_pieces(self) -> tokenizers.Tokenizer:
        refuse_unfitted(self.spec, self._pieces is not None and self._shape[0] > 0)
        assert self._pieces is not None
        return self._pieces


class Fast(_WordTokenizer):
    """
    FAST with a vocabulary of its own.

    Published defaults: chunks of 1 s, scale 10, 1024 pieces. Published is byte-level BPE: pieces
    are of the UTF-8 bytes of letters, a pair must occur twice to be merged, and the alphabet is
    the range of the training coefficients. Here pieces are of whole letters, a pair that occurs
    once may be merged, and the alphabet reaches half of that range further at either end, since a
    coefficient outside it is clipped. A sequence that spells no chunk is an error, where the
    published decoder gives zeros.
    """

    def __init__(self, scale: float = 10.0, vocabulary: int = 1024) -> None:
        super().__init__(f'FAST scale {scale:g}', 'FAST: scale 10, 1024 pieces', scale)
        self._vocabulary = vocabulary

    def fit(self, chunks: FloatArray) -> None:
        """Learn the alphabet and the pieces."""
        self._shape = (chunks.shape[1], chunks.shape[2])
        values = self._words.coefficients(chunks)
        reach = int(np.ceil(self._scale * LIMIT * np.sqrt(chunks.shape[1])))
        margin = int(np.ceil(_ALPHABET_MARGIN * (values.max() - values.min())))
        self._words = _DctWords(self._scale, _FIRST_LETTER,
                                max(int(values.min()) - margin, -reach),
                                min(int(values.max()) + margin, reach))
        letters = range(self._words.highest - self._words.lowest + 1)
        self._pieces = tokenizers.Tokenizer(models.BPE())
        self._pieces.train_from_iterator(self._words.words(chunks), trainers.BpeTrainer(
            vocab_size=self._vocabulary, show_progress=False, special_tokens=[],
            initial_alphabet=[chr(_FIRST_LETTER + letter) for letter in letters],
            max_token_length=10_000))

    def _spell(self, sequence: IntArray) -> str:
        pieces = self._fitted_pieces()
        return ''.join(str(pieces.id_to_token(token)) for token in sequence.tolist())


class FastPlus(_WordTokenizer):
    """
    FAST with the published universal vocabulary, given as a file of the `tokenizers` library.

    Published defaults: scale 10, 2048 pieces, coefficients from -354 on; one letter for each
    coefficient minus -354.
    """

    def __init__(self, vocabulary_file: Path, scale: float = 10.0, lowest: int = -354) -> None:
        super().__init__('FAST+', 'FAST+: universal vocabulary, scale 10, 2048 pieces', scale)
        if not vocabulary_file.is_file():
            raise ValueError('expected the tokenizer.json of FAST+, there is no file '
                             f'{vocabulary_file}')
        self._words = _DctWords(scale, 0, lowest, -lowest)
        self._pieces = _pieces_of(vocabulary_file, ''.join(
            chr(coefficient - lowest) for coefficient in range(_SPELLED)))

    def fit(self, chunks: FloatArray) -> None:
        """Learn the chunk's shape; the vocabulary is given."""
        self._shape = (chunks.shape[1], chunks.shape[2])


def _pieces_of(path: Path, word: str) -> tokenizers.Tokenizer:
    """Return the pieces of a file, which must spell a word of coefficients as it is."""
    expected = f'{path}: expected the tokenizer.json of FAST+ in the format of `tokenizers`'
    try:
        pieces = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(f'{expected}, {error}') from error
    spelled = pieces.decode(pieces.encode(word, add_special_tokens=False).ids)
    if spelled != word:
        raise ValueError(f'{expected}, got one whose pieces do not spell the letters of '
                         f'coefficients 0 to {len(word) - 1}')
    return pieces
