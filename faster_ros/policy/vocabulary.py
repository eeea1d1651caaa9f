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
"""Words of instructions as ids, for backbones without a language model of their own."""

from __future__ import annotations

import re

PAD = 0  # id of the padding on the left of a short instruction


class WordVocabulary:
    """The words a policy was trained with; id 0 is padding."""

    def __init__(self, words: tuple[str, ...], max_words: int) -> None:
        self._ids = {word: index for index, word in enumerate(words, start=1)}
        self._max_words = max_words

    @staticmethod
    def words_of(instruction: str) -> list[str]:
        """Return the lower-case words of an instruction."""
        return re.findall(r"[a-z0-9']+", instruction.lower())

    def encode(self, instruction: str) -> list[int]:
        """
        Return ``max_words`` ids, padded on the left.

        An empty instruction, a word the policy never met, or too many words is a ValueError: a
        policy that does not know a word would move anyway.
        """
        words = self.words_of(instruction)
        if not words:
            raise ValueError(f'instruction is empty, got {instruction!r}; expected a task such as '
                             f"words from: {', '.join(self._ids)}")
        unknown = [word for word in words if word not in self._ids]
        if unknown:
            raise ValueError(f"instruction '{instruction}': the policy does not know "
                             f"{', '.join(map(repr, unknown))}; it knows {', '.join(self._ids)}")
        if len(words) > self._max_words:
            raise ValueError(f"instruction '{instruction}' has {len(words)} words; the policy "
                             f'takes at most {self._max_words}')
        return [PAD] * (self._max_words - len(words)) + [self._ids[word] for word in words]
