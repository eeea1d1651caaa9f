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
from faster_ros.training.observation_noise import ObservationNoise
import numpy as np

DOT = np.zeros((2, 24, 40, 3), np.uint8)
DOT[:, 12, 20] = 200


def draws(noise, count=60):
    return [noise.images(DOT, np.random.default_rng([0, draw])) for draw in range(count)]


def test_images_move_no_farther_than_the_share_and_each_camera_on_its_own():
    places = np.array([[np.argwhere(image[..., 0])[0] for image in images]
                       for images in draws(ObservationNoise(image_shift=0.1))])
    away = places - (12, 20)
    assert np.abs(away).max() == 4
    assert (away[:, 0] != away[:, 1]).any()


def test_light_changes_by_colour_and_what_is_dark_or_bright_stays_within_its_range():
    seen = np.stack(draws(ObservationNoise(brightness=0.2)))
    assert seen.dtype == np.uint8
    assert np.ptp(seen[:, 0, 12, 20], axis=0).min() > 50
    assert (seen[:, 0, 12, 20, 0] != seen[:, 0, 12, 20, 1]).any()
    assert (seen[:, :, 12, 20] >= seen[:, :, 0, 0]).all()  # no value wraps around


def test_nothing_is_varied_by_noise_of_size_zero():
    rng, noise = np.random.default_rng(0), ObservationNoise()
    assert (noise.images(DOT, rng) == DOT).all()
    assert (noise.state(np.ones(8), rng) == 1).all()


def test_joints_are_told_a_little_wrong_or_not_at_all():
    rng, joints = np.random.default_rng(0), np.full(8, 0.5)
    told = np.stack([ObservationNoise(state_noise=0.1, state_dropout=0.25).state(joints, rng)
                     for _ in range(400)])
    untold = (told == 0).all(1)
    assert 0.15 < untold.mean() < 0.35
    assert 0.08 < (told[~untold] - joints).std() < 0.12
