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
``faster_ros stop-benchmark``: how soon the arm brakes after a stop or the loss of a stream.

The real control_node and policy_node run in processes of their own, the policy walking one joint
at a constant speed; this process is the arm, its cameras and the person who stops it. A command
counts from the time at which control_node published it. Four events are measured:

    stop     from before the call of ~/stop
    states   from the age at which the last joint state had to be given up, state_max_age_s
    camera   from the age at which the last image had to be given up, max_age_s of the camera
    policy   from before policy_node is suspended; the age of its last image is still to pass
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager, ExitStack
import json
import os
from pathlib import Path
import platform
import random
import signal
import subprocess
import sys
import tempfile
from threading import Thread
import time
from typing import Any

from faster_ros.evaluation.stop_times import (
    ends_in_rest,
    HeardCommand,
    is_steady,
    RESTING,
    STEADY_COMMANDS,
    stop_times,
    StopTimes,
    summary,
)
from faster_ros.nodes import conversions
from faster_ros.nodes.polling import PolledSubscription
from faster_ros.nodes.walking_policy import SPEED, TURN_AT
from faster_ros.robot_spec import load_robot_spec, RobotSpec
import rclpy
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory
import yaml

EVENTS = ('stop', 'states', 'camera', 'policy')
_WIDTH, _HEIGHT = 64, 48
_LOST_CAMERA = 'front'
_PATIENCE_S = 240.0


class Bench:
    """A perfect arm with its cameras: it is where it was commanded to be."""

    def __init__(self, spec: RobotSpec, domain: int, policy: subprocess.Popen[bytes]) -> None:
        self._spec, self._policy = spec, policy
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        node = self.node = Node('stop_benchmark', context=self._context)
        self.positions = spec.home_positions
        self.commands: list[HeardCommand] = []
        self.silent: set[str] = set()
        self.last_ns: dict[str, int] = {}
        self._states = node.create_publisher(JointState, spec.state_topic, 10)
        self._images = {name: node.create_publisher(Image, camera.topic, 2)
                        for name, camera in spec.cameras.items()}
        self._driver = PolledSubscription(node, JointTrajectory, spec.command_topic,
                                          self._on_command, QoSProfile(depth=500))
        self.arm: Client[Any, Any] = node.create_client(SetBool, '/control_node/arm')
        self.stop: Client[Any, Any] = node.create_client(Trigger, '/control_node/stop')
        node.create_timer(1.0 / spec.state_rate_hz, self._publish_state)
        node.create_timer(1.0 / 30.0, self._publish_images)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(node)
        self._closing = False
        self._thread = Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._closing:
            self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        """End."""
        self._closing = True
        self._thread.join(5.0)
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _on_command(self, message: JointTrajectory, info: dict[str, int]) -> None:
        point, *others = message.points
        stop_s = 0.0
        if len(others) > 1:  # the whole stop, before the braking tail of any message
            moving = [knot for knot in message.points if abs(knot.velocities[0]) > RESTING]
            stop_s = 1e-9 * (conversions.to_ns(moving[-1].time_from_start)
                             - conversions.to_ns(point.time_from_start))
            point = others[-1]
        self.commands.append(HeardCommand(info['source_timestamp'],
                                          message.points[0].velocities[0], stop_s))
        self.positions = self.positions.copy()
        self.positions[:len(point.positions)] = point.positions

    def _publish_state(self) -> None:
        self._driver.poll()
        if 'states' in self.silent:
            return
        message = JointState(name=list(self._spec.joint_names))
        message.position = self.positions.tolist()
        message.velocity = [0.0] * len(message.name)
        self.last_ns['states'] = time.time_ns()
        message.header.stamp = conversions.to_time(self.last_ns['states'])
        self._states.publish(message)

    def _publish_images(self) -> None:
        stamp_ns = time.time_ns()
        for name, publisher in self._images.items():
            if name == _LOST_CAMERA and 'camera' in self.silent:
                continue
            message = Image(encoding='rgb8', width=_WIDTH, height=_HEIGHT, step=3 * _WIDTH,
                            data=bytes(3 * _WIDTH * _HEIGHT))
            message.header.stamp = conversions.to_time(stamp_ns)
            publisher.publish(message)
            if name == _LOST_CAMERA:
                self.last_ns['camera'] = stamp_ns

    def call(self, client: Client[Any, Any], request: Any) -> Any:
        """Call a service and wait for its answer."""
        future = client.call_async(request)
        wait_until(future.done, f'an answer of {client.srv_name}')
        return future.result()

    def walk(self) -> None:
        """Arm, and wait until the arm moves steadily and far from where it turns."""
        deadline = time.monotonic() + _PATIENCE_S
        while not is_steady(self.commands, SPEED) or abs(self.positions[0]) > 0.5 * TURN_AT:
            answer = self.call(self.arm, SetBool.Request(data=True))
            if time.monotonic() > deadline:
                raise ValueError(f'the arm does not walk within {_PATIENCE_S:g} s; the last '
                                 f"answer of ~/arm was '{answer.message}'")
            time.sleep(0.05)

    def provoke(self, event: str) -> StopTimes:
        """Stop the arm or lose a stream, and measure what follows."""
        self.commands = self.commands[-STEADY_COMMANDS:]
        if event == 'stop':
            begin_ns = time.time_ns()
            self.call(self.stop, Trigger.Request())
        elif event == 'policy':
            begin_ns = time.time_ns()
            self._policy.send_signal(signal.SIGSTOP)
        else:
            self.silent.add(event)
            age_s = (self._spec.state_max_age_s if event == 'states'
                     else self._spec.cameras[_LOST_CAMERA].max_age_s)
            time.sleep(0.02)  # a publication that had begun is over
            begin_ns = self.last_ns[event] + round(age_s * 1e9)
        wait_until(lambda: time.time_ns() > begin_ns and self._stands(), 'a standing arm')
        self.silent.clear()
        self._policy.send_signal(signal.SIGCONT)
        return stop_times(self.commands, begin_ns, SPEED)

    def _stands(self) -> bool:
        # As commanded: that nothing was heard for a while says more about the machine.
        return ends_in_rest(self.commands)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition, or raise a ValueError that names it."""
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise ValueError(f'{what} did not come within {_PATIENCE_S:g} s')
        time.sleep(0.002)


def measure(bench: Bench, event: str, repetitions: int) -> dict[str, Any]:
    """Measure one event; a repetition in which the arm was held for another reason is left out."""
    times: list[StopTimes] = []
    spoilt = 0
    while len(times) < repetitions:
        bench.walk()
        time.sleep(random.random() * 0.1)  # any phase of the loops
        try:
            times.append(bench.provoke(event))
        except ValueError as error:
            spoilt += 1
            if spoilt > repetitions // 4 + 10:
                raise ValueError(f'too many spoilt repetitions; the last: {error}') from error
    return {'reaction': summary([entry.reaction for entry in times]),
            'last': summary([entry.last for entry in times]),
            'braking': summary([entry.braking for entry in times]),
            'spoilt': spoilt}


def main(argv: list[str]) -> int:
    """Measure, print and write the JSON file."""
    parser = argparse.ArgumentParser(
        prog='faster_ros stop-benchmark',
        description='measure how soon the arm brakes after ~/stop, and after a lost stream')
    parser.add_argument('--repetitions', type=int, default=200, help='of each event (200)')
    parser.add_argument('--events', nargs='+', choices=EVENTS, default=list(EVENTS),
                        help='what to measure (all)')
    parser.add_argument('--robot', default='fr3', help='with a trajectory controller (fr3)')
    parser.add_argument('--out', type=Path, default=Path('out/stop_benchmark.json'))
    options = parser.parse_args(argv)
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    for number in (signal.SIGTERM, signal.SIGHUP):  # so that the nodes are ended, too
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    report: dict[str, Any] = {
        'machine': f'{os.cpu_count()} cores, {platform.machine()}',
        'load_before': os.getloadavg(), 'speed_rad_s': SPEED, 'events': {}}
    with tempfile.TemporaryDirectory() as folder:
        _run(options, Path(folder), report)
    report['load_after'] = os.getloadavg()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1))
    print(f'written to {options.out}')
    return 0


def _run(options: argparse.Namespace, folder: Path, report: dict[str, Any]) -> None:
    spec, file = load_robot_spec(options.robot), folder / 'robot.yaml'
    data = spec.to_dict()
    for camera in data['cameras'].values():
        camera.update(width=_WIDTH, height=_HEIGHT)
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    domain = 1 + os.getpid() % 100
    report |= {'robot': spec.robot, 'rate_hz': spec.command_rate_hz,
               'state_max_age_s': spec.state_max_age_s,
               'camera_max_age_s': spec.cameras[_LOST_CAMERA].max_age_s}
    names = 'control_node', 'walking_policy'
    with ExitStack() as stack:
        _, policy = (stack.enter_context(_started(name, file, domain, folder)) for name in names)
        bench = Bench(RobotSpec.from_dict(data, str(file)), domain, policy)
        stack.callback(bench.close)
        try:
            _measure_all(bench, options, report['events'])
        except ValueError as error:
            logs = '\n'.join((folder / f'{name}.log').read_text()[-1500:] for name in names)
            raise ValueError(f'{error}; the nodes said:\n{logs}') from error


def _measure_all(bench: Bench, options: argparse.Namespace, events: dict[str, Any]) -> None:
    wait_until(bench.arm.service_is_ready, '/control_node/arm')
    for event in options.events:
        events[event] = measured = measure(bench, event, options.repetitions)
        print(f"{event:7s}{measured['reaction']['count']} times: " + ', '.join(
            f"{name} p50 {measured[name]['p50_ms']:.1f} p99 {measured[name]['p99_ms']:.1f} "
            f"max {measured[name]['max_ms']:.1f} ms" for name in (
                'reaction', 'last', 'braking')), flush=True)


@contextmanager
def _started(module: str, file: Path, domain: int,
             folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a node until the end of the block, however that comes."""
    process = _start(module, file, domain, folder)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(20.0)
        except subprocess.TimeoutExpired:
            process.kill()


def _start(module: str, file: Path, domain: int, folder: Path) -> subprocess.Popen[bytes]:
    arguments = ['-p', f'robot:={file}']
    if module == 'walking_policy':
        arguments += ['-p', 'instruction:=walk', '-p', f'checkpoint:={folder}']
    with (folder / f'{module}.log').open('w') as log:
        return subprocess.Popen(
            [sys.executable, '-m', f'faster_ros.nodes.{module}', '--ros-args', *arguments],
            env=os.environ | {'ROS_DOMAIN_ID': str(domain)}, stdout=log, stderr=log)
