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
"""A small recorded data set, and a recipe that trains on it in seconds."""

import dataclasses
import json

from faster_ros.data.dataset_spec import (
    ACTION,
    DatasetFrame,
    EpisodeFacts,
    robot_dataset,
    SOURCE,
    Source,
    STAMP,
    STATE,
    TICK,
    whole,
)
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.data.lerobot_writer import LeRobotWriter
from faster_ros.robot_spec import load_robot_spec
import numpy as np

ROBOT = load_robot_spec('fr3')
FAST = {'preset': 'cpu', 'image_width': 32, 'image_height': 24, 'steps': 6, 'batch_size': 8,
        'tokenizer_steps': 10, 'codebook_size': 16, 'horizon': 8, 'time_patch': 2,
        'validate_every': 3, 'learning_rate': 3e-3, 'warmup_steps': 1}


def frame(spec, row, episode, source, swing):
    """Return a row of an arm that swings, one way or the other."""
    stamp = 1_760_000_000_000_000_000 + row * 10**8
    joints = ROBOT.home_positions + swing * np.sin(row / 5) * (1 if episode % 2 else -1)
    joints[-1] = 0.0
    numbers = {STATE: joints, ACTION: joints + 0.01, SOURCE: whole(source),
               TICK: whole(stamp),
               **{name: whole(stamp) for name in spec.numbers if name.startswith(STAMP)}}
    return DatasetFrame(numbers, {
        name: np.full((*size, 3), 100 + 20 * (episode % 2), np.uint8)
        for name, size in spec.cameras.items()})


def recorded_swings(folder, who_leads=lambda row: Source.HUMAN, outcomes=('success',) * 4,
                    swing=0.3):
    """
    Write a data set with an episode for each outcome and return its folder.

    ``who_leads``: of a row; ``swing``: to either side, in rad.
    """
    cameras = {name: dataclasses.replace(camera, width=64, height=48)
               for name, camera in ROBOT.cameras.items()}
    spec = robot_dataset(dataclasses.replace(ROBOT, cameras=cameras), 10)
    writer = LeRobotWriter(folder, spec, live=False)
    for episode, outcome in enumerate(outcomes):
        writer.begin_episode(EpisodeFacts('swing left' if episode % 2 else 'swing right'))
        for row in range(20):
            writer.add_frame(frame(spec, row, episode, who_leads(row), swing))
        writer.save_episode(outcome)
    writer.close()
    return folder


def with_subtasks(folder, names=('grasp the red cube', 'release'), text='subtask'):
    """
    Tell the subtask of every row, as LeRobot does, and return the folder.

    The episodes have the names in turn; ``text`` is the column of meta/subtasks.parquet with them.
    """
    import pyarrow
    from pyarrow import parquet

    for entry in LeRobotDataset(folder).episodes:
        table = parquet.read_table(entry.data)
        indices = pyarrow.array([5 + entry.number % len(names)] * len(table), pyarrow.int64())
        parquet.write_table(table.append_column('subtask_index', indices), entry.data)
    info = folder / 'meta/info.json'
    told = json.loads(info.read_text())
    told['features']['subtask_index'] = {'dtype': 'int64', 'shape': [1], 'names': None}
    info.write_text(json.dumps(told))
    parquet.write_table(pyarrow.table({
        'subtask_index': [5 + place for place in range(len(names))], text: list(names)}),
        folder / 'meta/subtasks.parquet')
    return folder
