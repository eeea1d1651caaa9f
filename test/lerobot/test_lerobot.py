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
"""
LeRobot itself opens what we write, and we open what LeRobot writes; `make test-lerobot` runs this.

Both are compared through files only: numbers exactly, frames within the error of the codec.
"""

import sys

from faster_ros.cli.data import main
from faster_ros.data.dataset_spec import (
    ACTION,
    DatasetFrame,
    DatasetSpec,
    EpisodeFacts,
    Feature,
    IMAGES,
    STAMP,
    STATE,
    TICK,
    whole,
)
from faster_ros.data.lerobot_dataset import LeRobotDataset as OurDataset
from faster_ros.data.lerobot_writer import LeRobotWriter
import numpy as np
import pytest

pytest.importorskip('lerobot.datasets', reason='make test-lerobot has an environment with it')
from lerobot.datasets import LeRobotDataset, merge_datasets  # noqa: E402, I100

CODEC_ERROR = 8.0  # mean grey levels; LeRobot's AV1 is coarser than our h264
FPS, HEIGHT, WIDTH = 30, 96, 128
CAMERA = f'{IMAGES}front'
JOINTS = Feature('float32', (7,), tuple(f'joint{number}' for number in range(7)))
SPEC = DatasetSpec(FPS, 'toy', {STATE: JOINTS, ACTION: JOINTS,
                                **{name: Feature('int64', (1,)) for name in (
                                    TICK, f'{STAMP}front', f'{STAMP}state', f'{STAMP}action')}},
                   {CAMERA: (HEIGHT, WIDTH)})
LENGTHS = (60, 45, 75)


def image(episode, row):
    """Return a picture of a smooth ground on which a square moves with the rows."""
    ground = np.linspace(30, 200, WIDTH).astype(np.uint8)
    picture = np.repeat(np.repeat(ground[None, :, None], HEIGHT, 0), 3, 2)
    picture[..., 1] += np.uint8(20 * episode)
    left = 9 * row % (WIDTH - 40)
    picture[30:70, left:left + 40] = (250, 60, 30)
    return picture


def error_of(shown, episode, row):
    """Return the mean error of a frame in grey levels; it must be nearest to its own row's."""
    errors = [float(np.abs(shown.astype(float) - image(episode, row + step)).mean())
              for step in (0, 1, -1 if row else 2)]
    assert errors[0] == min(errors), (episode, row, errors)
    return errors[0]


def rows(episode):
    """Return state and action of an episode, (N, 7) each."""
    found = np.random.default_rng(episode).standard_normal((2, LENGTHS[episode], 7))
    return found.astype(np.float32)


def write_ours(folder):
    writer = LeRobotWriter(folder, SPEC, min_free_bytes=0, live=False)
    for episode in range(len(LENGTHS)):
        writer.begin_episode(EpisodeFacts(('pick the cube', 'pour')[episode % 2]))
        for row, (state, action) in enumerate(zip(*rows(episode))):
            stamps = {name: whole(10**18 + row * 10**9 // FPS) for name in SPEC.numbers
                      if name.startswith(TICK)}
            writer.add_frame(DatasetFrame({STATE: state, ACTION: action, **stamps},
                                          {CAMERA: image(episode, row)}))
        writer.save_episode('success')
    writer.close()
    return folder


def write_theirs(folder, use_videos=True):
    feature = {'dtype': 'float32', 'shape': (7,), 'names': list(JOINTS.names)}
    theirs = LeRobotDataset.create(
        'local/theirs', FPS, {STATE: feature, ACTION: feature, CAMERA: {
            'dtype': 'video' if use_videos else 'image', 'shape': (HEIGHT, WIDTH, 3),
            'names': ['height', 'width', 'channels']}},
        root=folder, robot_type='toy', use_videos=use_videos)
    for episode in range(len(LENGTHS)):
        for row, (state, action) in enumerate(zip(*rows(episode))):
            theirs.add_frame({STATE: state, ACTION: action, CAMERA: image(episode, row),
                              'task': ('pick the cube', 'pour')[episode % 2]})
        theirs.save_episode()
    theirs.finalize()
    return folder


def check_as_lerobot_reads(dataset, order=(0, 1, 2)):
    """Compare every row, and frames at its default tolerance, with what was recorded."""
    assert dataset.num_episodes == len(order)
    assert dataset.num_frames == sum(LENGTHS[episode] for episode in order)
    index, worst = 0, 0.0
    for episode in order:
        state, action = rows(episode)
        for row in range(LENGTHS[episode]):
            item = dataset[index]
            assert item['index'].item() == index
            assert item['timestamp'].item() == np.float32(row / FPS)
            np.testing.assert_array_equal(item[STATE].numpy(), state[row])
            np.testing.assert_array_equal(item[ACTION].numpy(), action[row])
            assert item['task'] == ('pick the cube', 'pour')[episode % 2]
            shown = 255 * item[CAMERA].permute(1, 2, 0).numpy()
            worst = max(worst, error_of(shown, episode, row))
            index += 1
    print(f'{index} frames, largest mean error {worst:.2f} grey levels', file=sys.stderr)
    assert worst < CODEC_ERROR


def check_as_we_read(folder):
    assert main(['validate', str(folder), '--decode']) == 0
    ours = OurDataset(folder)
    for entry in ours.episodes:
        columns = ours.columns(entry)
        for name, wanted in zip((STATE, ACTION), rows(entry.number)):
            np.testing.assert_array_equal(columns[name], wanted)
        for row, shown in enumerate(ours.images(entry, CAMERA)):
            assert error_of(shown, entry.number, row) < CODEC_ERROR, (entry.number, row)


def test_lerobot_reads_what_we_write(tmp_path):
    dataset = LeRobotDataset('local/ours', root=write_ours(tmp_path / 'ours'),
                             video_backend='pyav')
    check_as_lerobot_reads(dataset)
    assert dataset[7][f'{STAMP}front'].item() == 10**18 + 7 * 10**9 // FPS
    assert set(dataset.meta.stats[ACTION]) >= {'min', 'max', 'mean', 'std', 'count', 'q01', 'q99'}
    assert dataset.meta.stats[CAMERA]['mean'].shape == (3, 1, 1)


def test_lerobot_takes_windows_of_time_from_what_we_write(tmp_path):
    times = [-2 / FPS, 0.0, 1 / FPS]
    dataset = LeRobotDataset('local/ours', root=write_ours(tmp_path / 'ours'),
                             delta_timestamps={ACTION: times, CAMERA: times}, video_backend='pyav')
    item = dataset[LENGTHS[0] + 10]
    np.testing.assert_array_equal(item[ACTION].numpy(), rows(1)[1][[8, 10, 11]])
    assert item[CAMERA].shape == (3, 3, HEIGHT, WIDTH)


def test_lerobot_merges_what_we_write(tmp_path):
    parts = [LeRobotDataset(f'local/{name}', root=write_ours(tmp_path / name))
             for name in ('one', 'two')]
    merge_datasets(parts, 'local/both', tmp_path / 'both')
    merged = LeRobotDataset('local/both', root=tmp_path / 'both', video_backend='pyav')
    check_as_lerobot_reads(merged, (0, 1, 2, 0, 1, 2))


@pytest.mark.parametrize('use_videos', [True, False])
def test_we_read_what_lerobot_writes(tmp_path, use_videos):
    check_as_we_read(write_theirs(tmp_path / 'theirs', use_videos))


@pytest.mark.parametrize('use_videos', [True, False])
def test_what_lerobot_wrote_is_converted_and_lerobot_reads_it(tmp_path, use_videos):
    theirs = write_theirs(tmp_path / 'theirs', use_videos)
    assert main(['convert', str(theirs), '--out', str(tmp_path / 'ours')]) == 0
    check_as_we_read(tmp_path / 'ours')
    check_as_lerobot_reads(LeRobotDataset('local/ours', root=tmp_path / 'ours',
                                          video_backend='pyav'))
