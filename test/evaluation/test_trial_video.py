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
"""The video shows every frame, and no run fails for it."""

import av
import cv2
from faster_ros.evaluation import trial_video
from faster_ros.evaluation.trial_video import TrialVideo, VideoFrame
import numpy as np
import pytest

LIMITS = (np.zeros(1), np.ones(1))
TRACE = (np.array([0.0, 1.0]), np.zeros((2, 1)))
JPEG = cv2.imencode('.jpg', np.zeros((48, 64, 3), np.uint8))[1].tobytes()


def frame(number: int, outcome: str = '') -> VideoFrame:
    return VideoFrame('a trial', outcome, number / 10, {'front': JPEG}, TRACE, TRACE)


def test_every_frame_is_shown_for_its_time_over_several_trials(tmp_path):
    video = TrialVideo(tmp_path / 'video.mp4', ('joint',), 10.0, LIMITS)
    for number in range(20):
        video.add(frame(number))
        if number % 8 == 0:  # the end of a trial
            video.draw()
    video.add(frame(20, 'success'))
    assert video.close() == ''
    with av.open(str(tmp_path / 'video.mp4')) as shown:
        times = [image.time for image in shown.decode(video=0)]
    assert times == pytest.approx(np.arange(21) / 10)
    assert video.picture.exists()


def test_of_a_trial_too_long_to_keep_the_end_is_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(trial_video, '_KEPT', 5)
    video = TrialVideo(tmp_path / 'video.mp4', ('joint',), 10.0, LIMITS)
    for number in range(19):
        video.add(frame(number))
    video.add(frame(19, 'success'))
    assert video.close() == ''
    with av.open(str(tmp_path / 'video.mp4')) as shown:
        assert len(list(shown.decode(video=0))) == 5
    assert video.picture.exists()


def test_a_frame_that_cannot_be_drawn_is_told_at_the_end_and_ends_no_run(tmp_path):
    video = TrialVideo(tmp_path / 'video.mp4', ('joint',), 10.0, LIMITS)
    video.add(VideoFrame('a trial', '', 0.0, {'front': b''}, TRACE, TRACE))
    video.draw()
    video.add(frame(1))
    assert 'video could not be written' in video.close()
