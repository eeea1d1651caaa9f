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
"""A small data set to record in tests: two cameras, three joints, images that tell their row."""

import json

from faster_ros.data.dataset_spec import (
    ACTION,
    DatasetFrame,
    DatasetSpec,
    EpisodeFacts,
    Feature,
    IMAGES,
    SOURCE,
    Source,
    STAMP,
    STATE,
    TICK,
    whole,
)
from faster_ros.data.lerobot_dataset import LeRobotDataset
import numpy as np

FPS = 10
CAMERAS = ('front', 'wrist')
JOINTS = Feature('float32', (3,), ('shoulder', 'elbow', 'gripper'))
ONE = Feature('int64', (1,))
SPEC = DatasetSpec(
    FPS, 'toy',
    {STATE: JOINTS, ACTION: JOINTS, SOURCE: ONE, TICK: ONE,
     **{f'{STAMP}{name}': ONE for name in ('state', 'action', *CAMERAS)}},
    {f'{IMAGES}{name}': (48, 64) for name in CAMERAS})
START_NS = 1_760_000_000_000_000_000
FACTS = EpisodeFacts('pick the cube', facts={'operator': 'ada'})


def image(row, camera=0):
    """Return an image whose grey level tells the row, with a bar that moves."""
    picture = np.full((48, 64, 3), 40 + row % 160 + 20 * camera, np.uint8)
    picture[:, 2 * row % 60:2 * row % 60 + 4] = 250
    return picture


def frame(row, **changes):
    """Return the frame of a row; ``changes`` replace numbers by name or images by camera."""
    stamp = START_NS + row * 10**9 // FPS
    joints = np.array([np.sin(row / 10), np.cos(row / 10), 0.04 * (row // 20 % 2)])
    numbers = {STATE: joints, ACTION: joints + 0.01, SOURCE: whole(Source.HUMAN),
               TICK: whole(stamp),
               **{f'{STAMP}{name}': whole(stamp - 5_000_000)
                  for name in ('state', 'action', *CAMERAS)}}
    images = {f'{IMAGES}{name}': image(row, index) for index, name in enumerate(CAMERAS)}
    for name, value in changes.items():
        (images if name in images else numbers)[name] = value
    return DatasetFrame(numbers, images)


def record(writer, rows=40, facts=FACTS, outcome='success'):
    """Record and save an episode; return its number."""
    writer.begin_episode(facts)
    for row in range(rows):
        writer.add_frame(frame(row))
    return writer.save_episode(outcome)


def as_v2(folder):
    """Rewrite a data set of ours as v2.1 has it."""
    dataset = LeRobotDataset(folder)
    info = dataset.raw_info | {
        'codebase_version': 'v2.1',
        'data_path': 'data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet',
        'video_path': 'videos/chunk-{episode_chunk:03d}/{video_key}/'
                      'episode_{episode_index:06d}.mp4'}
    for entry in dataset.episodes:
        names = {'episode_chunk': 0, 'episode_index': entry.number}
        entry.data.rename(folder / info['data_path'].format(**names))
        for camera, (path, _) in entry.videos.items():
            target = folder / info['video_path'].format(video_key=camera, **names)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
    meta = folder / 'meta'
    meta.joinpath('episodes.jsonl').write_text(''.join(json.dumps({
        'episode_index': entry.number, 'tasks': [entry.facts.task],
        'length': entry.length}) + '\n' for entry in dataset.episodes))
    meta.joinpath('tasks.jsonl').write_text(''.join(json.dumps(
        {'task_index': index, 'task': task}) + '\n' for index, task in dataset.tasks.items()))
    meta.joinpath('info.json').write_text(json.dumps(info))
    (meta / 'tasks.parquet').unlink()
    return folder
