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
"""Tests of what the order of chunks tells: strides, episodes, and chunks between two of them."""

from faster_ros.data.recordings import windows
from faster_ros.training.chunk_sequence import following, held_out_from, shifted, stretches
from hypothesis import given, strategies
import numpy as np


def chunks_of(lengths, horizon=6, stride=2):
    """Return chunks (N, horizon, 2) of episodes in which each row is unlike all others."""
    ends = np.cumsum(lengths)
    episodes = [np.stack([np.arange(end - length, end), -np.arange(end - length, end)], 1) * 0.01
                for length, end in zip(lengths, ends)]
    return windows(episodes, horizon, stride)


@given(strategies.lists(strategies.integers(12, 30), min_size=1, max_size=5),
       strategies.integers(1, 4))
def test_the_stride_and_the_ends_of_episodes_are_found(lengths, stride):
    chunks = chunks_of(lengths, stride=stride)
    found, followed = following(chunks)
    last = np.cumsum([len(chunks_of([length], stride=stride)) for length in lengths]) - 1
    assert found == stride
    assert np.flatnonzero(~followed).tolist() == last.tolist()


def test_chunks_that_share_no_rows_follow_none():
    stride, followed = following(chunks_of([30, 30], stride=6))
    assert stride == 0
    assert not followed.any()


def test_whole_episodes_are_held_out():
    chunks = chunks_of([30] * 10)
    each = len(chunks) // 10
    assert held_out_from(chunks, 0.1) == 9 * each
    assert held_out_from(chunks, 0.15) == 8 * each


def test_of_a_single_episode_a_share_is_held_out():
    chunks = chunks_of([100])
    assert held_out_from(chunks, 0.1) == len(chunks) - round(0.1 * len(chunks))


@given(strategies.lists(strategies.integers(12, 30), min_size=1, max_size=5),
       strategies.integers(1, 6))
def test_stretches_are_the_rows_that_chunks_were_cut_from(lengths, stride):
    chunks = chunks_of(lengths, stride=stride)
    found = stretches(chunks)
    if stride == 6:  # of chunks that share no rows, each stands alone
        assert [stretch.tolist() for stretch in found] == chunks.tolist()
        return
    begin = 0
    for length, stretch in zip(lengths, found, strict=True):
        rows = 6 + stride * ((length - 6) // stride)  # the rest is in no chunk
        assert np.allclose(stretch[:, 0], 0.01 * np.arange(begin, begin + rows))
        begin += length


def test_a_shifted_chunk_has_consecutive_recorded_rows_from_any_beginning():
    chunks = chunks_of([30, 12], stride=3)
    picked = np.repeat(np.arange(len(chunks)), 50)
    made = shifted(chunks, picked, np.random.default_rng(0))
    assert np.allclose(np.diff(made[..., 0], axis=1), 0.01)
    begins = np.round(100 * (made[:, 0, 0] - chunks[picked, 0, 0])).astype(int)
    assert set(begins) == {0, 1, 2}
    assert made[..., 0].max() <= chunks[..., 0].max()
    ends = np.isin(picked, np.flatnonzero(~following(chunks)[1]))
    assert not begins[ends].any()
