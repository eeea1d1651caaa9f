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
"""Videos that are encoded while they are recorded."""

import gc

import av
from faster_ros.data.video_encoder import EpisodeVideo
import numpy as np
import pytest


def encoders():
    """Return how many files are open to be written."""
    return sum(isinstance(each, av.container.OutputContainer) for each in gc.get_objects())


@pytest.mark.parametrize('end', ['close', 'cancel'])
def test_the_memory_of_an_encoder_is_free_when_its_video_ends_not_some_time_later(tmp_path, end):
    gc.disable()
    before = encoders()
    try:
        video = EpisodeVideo(tmp_path / 'front.mp4', 30, (48, 64), live=False)
        video.add(np.zeros((48, 64, 3), np.uint8))
        getattr(video, end)()
        assert encoders() == before
    finally:
        gc.enable()
