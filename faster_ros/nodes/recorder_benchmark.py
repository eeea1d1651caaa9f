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
Measures recorder_node: a robot of two arms and three cameras, played at its full rates.

The real recorder_node records it over real topics, in episodes of two minutes. What was saved is
compared with what was published: frames that are missing, images that stand beside another one's
stamp, and the skew between cameras. The joint states of both arms are looked for in the raw bags
by their stamps. Run by ``faster_ros recorder-benchmark``.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
import json
import os
from pathlib import Path
import platform
import subprocess
import sys
import tempfile
import time
from typing import Any

from faster_ros.bringup import environment
from faster_ros.data.bag_reader import open_bag
from faster_ros.data.dataset_folder import bag_place
from faster_ros.data.dataset_spec import IMAGES
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.data.recording_session import state_stream
from faster_ros.evaluation.machine_load import MachineLoad
from faster_ros.nodes import conversions
from faster_ros.nodes.played_robot import (
    CAMERA_HZ,
    number_of,
    PATIENCE_S,
    PlayedRobot,
    SKEW_NS,
)
from faster_ros.robot_spec import load_robot_spec
import numpy as np

_ROBOT = 'cobot_magic'


def compare(dataset: LeRobotDataset, published: dict[str, list[int]]) -> dict[str, float]:
    """
    Return what is missing or wrong in a data set; ``published``: camera -> stamps by number.

    The skew is compared in rows whose images are of one number: the cameras' triggers are then
    ``SKEW_NS`` apart from one to the next.
    """
    frames = missing = wrong = rows = apart = 0
    skew_error_ns = 0
    for entry in dataset.episodes:
        columns = dataset.columns(entry)
        recorded = {name: columns[f'stamp_ns.{name}'].ravel() for name in published}
        numbers = {}
        for name, stamps in recorded.items():
            known = np.array(published[name])
            inside = known[(known >= stamps[0]) & (known <= stamps[-1])]
            frames += len(inside)
            missing += len(set(inside.tolist()) - set(stamps.tolist()))
            numbers[name] = np.array([number_of(image)
                                      for image in dataset.images(entry, IMAGES + name)])
            wrong += int((known[np.minimum(numbers[name], len(known) - 1)] != stamps).sum())
        rows += entry.length
        first, *others = published
        together = np.all([numbers[name] == numbers[first] for name in others], axis=0)
        apart += int((~together).sum())
        for place, name in enumerate(others, 1):
            skew = (recorded[name] - recorded[first])[together]
            skew_error_ns = max([skew_error_ns, *np.abs(skew - place * SKEW_NS).tolist()])
    return {'rows': rows, 'frames_published': frames, 'frames_missing': missing,
            'missing_percent': 100.0 * missing / max(frames, 1),
            'images_beside_another_stamp': wrong, 'rows_of_several_triggers': apart,
            'skew_error_ms_max': skew_error_ns * 1e-6}


def compare_joints(folder: Path, episodes: int, spoken: dict[str, list[int]]) -> dict[str, float]:
    """Return the joint states that the raw bags lack; ``spoken``: topic -> stamps."""
    sent = missing = 0
    for number in range(episodes):
        kept: dict[str, list[int]] = {topic: [] for topic in spoken}
        with open_bag(folder / bag_place(number)) as reader:
            wanted = [item for item in reader.connections if item.topic in spoken]
            for connection, _, raw in reader.messages(connections=wanted):
                stamp = reader.deserialize(raw, connection.msgtype).header.stamp
                kept[connection.topic].append(conversions.to_ns(stamp))
        for topic, stamps in kept.items():
            known = np.array(spoken[topic])
            inside = known[(known >= min(stamps)) & (known <= max(stamps))]
            sent += len(inside)
            missing += len(set(inside.tolist()) - set(stamps))
    return {'joint_states_published': sent, 'joint_states_missing': missing,
            'joint_states_missing_percent': 100.0 * missing / max(sent, 1)}


def not_played(published: dict[str, list[int]]) -> int:
    """Return the images that this program was too late to publish at all."""
    return sum(int(np.rint(np.diff(stamps) * CAMERA_HZ / 1e9).sum()) - len(stamps) + 1
               for stamps in published.values())


def _memory_mb(pid: int) -> float:
    lines = Path(f'/proc/{pid}/status').read_text().splitlines()
    (resident,) = (line for line in lines if line.startswith('VmRSS'))
    return int(resident.split()[1]) / 1024


def _measure(robot: PlayedRobot, pid: int, seconds: float, episode_s: float) -> dict[str, Any]:
    """Record episodes one after the other; returns memory, losses and times of saving."""
    begin = time.monotonic()
    while not all(float(robot.status.get(f'{name}_rate_hz') or 0) > 20
                  for name in robot.published):
        if time.monotonic() > begin + PATIENCE_S:
            raise ValueError(f'recorder_node hears no cameras: {robot.status}')
        time.sleep(0.1)
    memory, of_episodes, saves, load = [], [], [], MachineLoad()
    counted: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        robot.call('start')
        stop = min(end, time.monotonic() + episode_s)
        while time.monotonic() < stop:
            time.sleep(min(1.0, max(0.0, stop - time.monotonic())))
            memory.append(_memory_mb(pid))
        counted.update(_counted(robot))
        saves.append(robot.call('save')[1])
        of_episodes.append(memory[-1])
    return {'save_s_max': max(saves), 'episodes': len(saves), **counted,
            'memory_mb_at_20_s': memory[min(19, len(memory) - 1)], 'memory_mb_max': max(memory),
            'memory_mb_at_ends': of_episodes,
            **load.figures()}


def _counted(robot: PlayedRobot) -> dict[str, int]:
    """Return what recorder_node itself counts as lost of the running episode."""
    kinds = {'counted_as_lost': (robot.published, 'dropped unused'),
             'counted_as_missed': (robot.published, 'missed'),
             'joint_states_counted_as_missed': (map(state_stream, robot.arms), 'missed'),
             'bag_dropped': (['bag'], 'dropped')}
    return {name: sum(int(robot.status.get(f'{stream}_{kind}') or 0)
                      for stream in streams for kind in words.split())
            for name, (streams, words) in kinds.items()}


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark, print the figures and write them as JSON."""
    parser = argparse.ArgumentParser(prog='faster_ros recorder-benchmark', description=__doc__)
    parser.add_argument('--seconds', type=float, default=600.0, help='recorded time (600)')
    parser.add_argument('--episode', type=float, default=120.0, help='of an episode (120)')
    parser.add_argument('--bag', default='without_images', help='as of recorder_node')
    parser.add_argument('--out', type=Path, default=Path('out/recorder_benchmark.json'))
    options = parser.parse_args(arguments)
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ.update(environment())
    spec = load_robot_spec(_ROBOT)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / 'set'
        words = {'robot': _ROBOT, 'folder': str(folder), 'task': 'benchmark', 'gate': 'false',
                 'bag': options.bag}
        command = [sys.executable, '-m', 'faster_ros.nodes.recorder_node', '--ros-args']
        for name, value in words.items():
            command += ['-p', f'{name}:={value}']
        recorder = subprocess.Popen(command)
        robot = PlayedRobot(spec)
        try:
            robot.start()
            figures = _measure(robot, recorder.pid, options.seconds, options.episode)
        finally:
            recorder.terminate()
            recorder.wait(30.0)
            robot.stop()
        figures |= compare(LeRobotDataset(folder), robot.published)
        if options.bag != 'none':
            figures |= compare_joints(folder, figures['episodes'], robot.spoken)
        figures['images_not_played'] = not_played(robot.published)
    figures |= {'seconds': options.seconds, 'bag': options.bag,
                'load_average': os.getloadavg()[0], 'machine': platform.processor()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=2) + '\n')
    print('\n'.join(f'{name:28} {value}' for name, value in figures.items()))
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
