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

The real recorder_node records it over real topics, in episodes of two minutes. Each image has its
number in its pixels, so what was saved can be compared with what was published: frames that are
missing, images that stand beside another one's stamp, and the skew between cameras that are
triggered apart by a known time and delivered late. The joint states of both arms are looked for in
the raw bags by their stamps. Run by ``faster_ros recorder-benchmark``.
"""

from __future__ import annotations

import argparse
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
import json
import os
from pathlib import Path
import platform
import subprocess
import sys
import tempfile
from threading import Event, Thread
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.bringup import environment
from faster_ros.data.bag_reader import open_bag
from faster_ros.data.dataset_folder import bag_place
from faster_ros.data.dataset_spec import IMAGES
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.data.recording_session import state_stream
from faster_ros.nodes import conversions, qos
from faster_ros.nodes.diagnostics import values_of
from faster_ros.nodes.paced_thread import PacedThread
from faster_ros.robot_spec import load_robot_spec, RobotSpec
import numpy as np
from numpy.typing import NDArray
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import Trigger

_ROBOT = 'cobot_magic'
_CAMERA_HZ, _COMMAND_HZ = 30.0, 100.0
_STATE_HZ, _DRIFT = 200.0, 1.0025  # each arm has a clock of its own, faster than the one before
_SKEW_NS = 7_000_000  # from one camera's trigger to the next one's
_LATE_NS = 40_000_000  # from trigger to delivery
_BITS, _BLOCK, _PICTURES = 16, 32, 30
_PATIENCE_S = 240.0


class Robot:
    """Cameras, arms and commands of a robot that moves all the time."""

    def __init__(self, spec: RobotSpec) -> None:
        self._spec = spec
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        node = self.node = Node('recorder_benchmark', context=self._context)
        self.status: dict[str, str] = {}
        self.arms = tuple(spec.parts)
        self.published: dict[str, list[int]] = {name: [] for name in spec.cameras}
        self.spoken: dict[str, list[int]] = {topic: [] for topic in spec.state_topics}
        self._images = {name: node.create_publisher(Image, camera.topic, qos.STATUS)
                        for name, camera in spec.cameras.items()}
        self._commands = node.create_publisher(JointState, 'control_node/command', qos.COMMAND)
        node.create_subscription(DiagnosticStatus, 'recorder_node/status',
                                 lambda message: self.status.update(values_of(message)), 10)
        self._pictures = _pictures(spec)
        self._clock_ns = node.get_clock().now().nanoseconds - time.monotonic_ns()
        self._closing = Event()
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(node)
        self._threads = [
            PacedThread(_CAMERA_HZ, self._send_images, _fail),
            PacedThread(_COMMAND_HZ, self._send_command, _fail),
            *(PacedThread(_STATE_HZ * _DRIFT ** place, self._arm(arm, part), _fail)
              for place, (arm, part) in enumerate(spec.parts.values()))]
        self._spinner = Thread(target=self._spin, daemon=True)

    def start(self) -> None:
        """Begin to publish."""
        self._spinner.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End."""
        for thread in self._threads:
            thread.stop()
        self._closing.set()
        self._spinner.join(5.0)
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def call(self, name: str) -> tuple[str, float]:
        """Call a service of recorder_node; returns what it says and the seconds that it took."""
        client: Any = self.node.create_client(Trigger, f'recorder_node/{name}')
        if not client.wait_for_service(_PATIENCE_S):
            raise ValueError(f'recorder_node/{name} is not there')
        begin = time.monotonic()
        answer = client.call_async(Trigger.Request())
        while not answer.done() and time.monotonic() < begin + _PATIENCE_S:
            time.sleep(0.002)
        seconds = time.monotonic() - begin
        if not answer.done() or not answer.result().success:
            raise ValueError(f'recorder_node/{name}: '
                             f'{answer.result().message if answer.done() else "no answer"}')
        return str(answer.result().message), seconds

    def _spin(self) -> None:
        while not self._closing.is_set():
            self._executor.spin_once(timeout_sec=0.05)

    def _joints(self, now_ns: int) -> NDArray[np.float64]:
        swing = 0.2 * np.sin(now_ns * 1e-9 + np.arange(len(self._spec.joint_names)))
        return np.asarray(self._spec.home_positions + swing * self._spec.arm_mask)

    def _send_images(self, due_ns: int) -> None:
        # A camera is triggered by its own clock, however late this thread hands its image over.
        now_ns = due_ns + self._clock_ns - _LATE_NS
        for place, (name, camera) in enumerate(self._spec.cameras.items()):
            stamps = self.published[name]
            message = Image(height=camera.height, width=camera.width, encoding='rgb8',
                            step=3 * camera.width)
            message.data = array('B', _numbered(self._pictures[len(stamps) % _PICTURES],
                                                len(stamps)).tobytes())
            stamps.append(now_ns + place * _SKEW_NS)
            message.header.stamp = conversions.to_time(stamps[-1])
            self._images[name].publish(message)

    def _arm(self, arm: RobotSpec, part: slice) -> Callable[[int], None]:
        """Return what publishes the joint states of an arm."""
        publisher = self.node.create_publisher(JointState, arm.state_topic, qos.STATUS)
        names, spoken = list(arm.driver_joint_names), self.spoken[arm.state_topic]

        def send(_: int) -> None:
            now_ns = self.node.get_clock().now().nanoseconds
            joints = self._joints(now_ns)[part]
            message = JointState(name=names, position=array('d', joints),
                                 velocity=array('d', joints * 0.0))
            message.header.stamp = conversions.to_time(now_ns)
            spoken.append(now_ns)
            publisher.publish(message)

        return send

    def _send_command(self, _: int) -> None:
        now_ns = self.node.get_clock().now().nanoseconds
        message = JointState(name=list(self._spec.action_names))
        message.position = array('d', self._joints(now_ns))
        message.header.stamp = conversions.to_time(now_ns)
        self._commands.publish(message)


def _fail(error: Exception) -> None:
    print(f'publishing failed: {error!r}', file=sys.stderr)


def _pictures(spec: RobotSpec) -> list[NDArray[np.uint8]]:
    """Return smooth pictures that move, as a camera on an arm sees them."""
    camera = next(iter(spec.cameras.values()))
    rows, columns = np.mgrid[0:camera.height, 0:camera.width]
    waves = [np.sin(0.03 * columns + 0.02 * rows * (1 + channel)
                    + 2 * np.pi * step / _PICTURES)
             for step in range(_PICTURES) for channel in range(3)]
    noise = np.random.default_rng(0).normal(0, 4, rows.shape)
    grey = [np.clip(128 + 80 * wave + noise, 0, 255).astype(np.uint8) for wave in waves]
    return [np.stack(grey[3 * step:3 * step + 3], axis=2) for step in range(_PICTURES)]


def _numbered(picture: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """Return a picture with the bits of ``number`` as black and white blocks on top."""
    image = picture.copy()
    for bit in range(_BITS):
        image[:_BLOCK, bit * _BLOCK:(bit + 1) * _BLOCK] = 255 * (number >> bit & 1)
    return image


def number_of(image: NDArray[np.uint8]) -> int:
    """Return the number that ``_numbered`` has put into an image."""
    inner = slice(_BLOCK // 4, 3 * _BLOCK // 4)
    bits = [image[inner, bit * _BLOCK:(bit + 1) * _BLOCK][:, inner].mean() > 127
            for bit in range(_BITS)]
    return sum(1 << place for place, bit in enumerate(bits) if bit)


def compare(dataset: LeRobotDataset, published: dict[str, list[int]]) -> dict[str, float]:
    """
    Return what is missing or wrong in a data set; ``published``: camera -> stamps by number.

    The skew is compared in rows whose images are of one number: the cameras' triggers are then
    ``_SKEW_NS`` apart from one to the next.
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
            skew_error_ns = max([skew_error_ns, *np.abs(skew - place * _SKEW_NS).tolist()])
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
    return sum(int(np.rint(np.diff(stamps) * _CAMERA_HZ / 1e9).sum()) - len(stamps) + 1
               for stamps in published.values())


def _memory_mb(pid: int) -> float:
    lines = Path(f'/proc/{pid}/status').read_text().splitlines()
    (resident,) = (line for line in lines if line.startswith('VmRSS'))
    return int(resident.split()[1]) / 1024


def _steal_share(before: list[int], after: list[int]) -> float:
    """Return the share of processor time that the host took between two lines of /proc/stat."""
    spent = np.subtract(after, before)
    return float(spent[7] / max(spent[:8].sum(), 1))


def _processor_times() -> list[int]:
    return [int(word) for word in Path('/proc/stat').read_text().split('\n')[0].split()[1:]]


def _measure(robot: Robot, pid: int, seconds: float, episode_s: float) -> dict[str, Any]:
    """Record episodes one after the other; returns memory, losses and times of saving."""
    begin = time.monotonic()
    while not all(float(robot.status.get(f'{name}_rate_hz') or 0) > 20
                  for name in robot.published):
        if time.monotonic() > begin + _PATIENCE_S:
            raise ValueError(f'recorder_node hears no cameras: {robot.status}')
        time.sleep(0.1)
    memory, of_episodes, saves, started = [], [], [], _processor_times()
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
            'steal_share': _steal_share(started, _processor_times())}


def _counted(robot: Robot) -> dict[str, int]:
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
        robot = Robot(spec)
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
    figures |= {'seconds': options.seconds, 'bag': options.bag, 'cores': os.cpu_count() or 0,
                'load_average': os.getloadavg()[0], 'machine': platform.processor()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=2) + '\n')
    print('\n'.join(f'{name:28} {value}' for name, value in figures.items()))
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
