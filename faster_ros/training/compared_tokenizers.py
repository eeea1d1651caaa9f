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
"""The tokenizers that `faster_ros tokenizer compare` measures, each made from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from faster_ros.data.recordings import horizon_rows, Recording
from faster_ros.tokenizer.baselines import at_equal_size
from faster_ros.tokenizer.baselines.binning import Binning
from faster_ros.tokenizer.baselines.bspline import BSplines
from faster_ros.tokenizer.baselines.fast import Fast, FastPlus
from faster_ros.tokenizer.baselines.pca_rvq import PcaResidualKMeans
from faster_ros.tokenizer.baselines.zonal_dct import ZonalDct
from faster_ros.training.code_sizes import code_layout, codebook_size
from faster_ros.training.compare_tokenizers import Maker, split_episodes
from faster_ros.training.small_data import SmallDataFasterVq, SmallDataSettings

_CHUNKS = 12_000  # that FASTerVQ is fitted to
QUICK_SECONDS, QUICK_CHUNKS = 30.0, 4000
_QUICK_EFFORT = 0.05  # share of the training steps of the published networks

Sizes = tuple[int, int, int]  # slots, levels, codes


def published(fast_plus: Path | None) -> list[Maker]:
    """Return the published tokenizers at their published sizes; FAST+ is read at once."""
    makers: list[Maker] = [
        lambda _: Binning(), lambda _: ZonalDct(), lambda _: BSplines(5), lambda _: BSplines(10),
        lambda _: Fast(5.0), lambda _: Fast(10.0),
    ]
    if fast_plus is not None:
        plus = FastPlus(fast_plus)
        makers.append(lambda _: plus)
    return makers


def sizes(recording: Recording, horizon_s: float) -> Sizes:
    """Return the slots, levels and codes that a recording can fill."""
    train = split_episodes(recording, horizon_rows(recording.rate_hz, horizon_s), 0).train
    return *code_layout(train), codebook_size(len(train))


def rebuilt(recording: Recording, filled: Sizes, quick: bool) -> list[Maker]:
    """Return the published tokenizers that are trained or fitted to as many tokens and codes."""
    slots, levels, size = filled
    return at_equal_size.makers(recording.groups, slots * levels, size,
                                _QUICK_EFFORT if quick else 1.0)


def pca_and_faster(recording: Recording, filled: Sizes, seconds: float,
                   quick: bool) -> tuple[Maker, Maker]:
    """Return PCA k-means, in its better layout, and FASTerVQ with equal tokens and codes."""
    slots, levels, size = filled
    pca_slots, pca_levels = {12: (6, 2)}.get(slots * levels, (slots, levels))
    budget = min(seconds, QUICK_SECONDS) if quick else seconds
    chunks = QUICK_CHUNKS if quick else _CHUNKS
    groups = recording.groups
    return (
        lambda seed: PcaResidualKMeans(pca_slots, pca_levels, size, seed=seed),
        lambda seed: SmallDataFasterVq(
            SmallDataSettings(slots, levels, size, budget, chunks, not quick, seed), groups),
    )


def chosen(makers: list[Maker], names: Sequence[str] | None) -> list[Maker]:
    """Return the makers of tokenizers with one of the names in theirs; all without names."""
    if names is None:
        return makers
    known = [make(0).spec.name for make in makers]
    for name in names:
        if not any(name.lower() in other.lower() for other in known):
            raise ValueError(f'--methods: expected part of one of {", ".join(known)}; '
                             f'got {name}')
    return [make for make, other in zip(makers, known)
            if any(name.lower() in other.lower() for name in names)]
