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
"""The robot file of docs/add_a_robot.md is a real one: it loads, and its arm can be driven."""

from pathlib import Path
import re

from faster_ros.interfaces import ActionChunk, RobotState
from faster_ros.robot_spec import load_robot_spec
from faster_ros.robots.arm_interface import ArmInterface
from faster_ros.runtime.controller import MotionConfig, MotionController
from faster_ros.sim.trajectory_controller import TrajectoryController, TrajectoryPoint
import numpy as np
import pytest

PAGE = Path(__file__).parents[1] / 'docs' / 'add_a_robot.md'
PERIOD_NS = 10_000_000


def documented_file(folder):
    """Write the whole robot file of the page as it stands there; return its path."""
    (text,) = re.findall(r'^```yaml\n(robot:.*?)^```', PAGE.read_text(), re.MULTILINE | re.DOTALL)
    path = folder / 'my_arm.yaml'
    path.write_text(text)
    return path


@pytest.fixture
def spec(tmp_path):
    return load_robot_spec(str(documented_file(tmp_path)))


def test_the_file_of_the_page_loads_with_a_prefix_and_a_namespace_too(spec, tmp_path):
    left = load_robot_spec(str(documented_file(tmp_path)), 'left_', 'left')
    assert left.joint_names == tuple(f'left_{name}' for name in spec.joint_names)
    assert left.command_topic == '/left/arm_controller/joint_trajectory'
    assert left.gripper.topic == '/left/gripper_controller/joint_trajectory'
    assert left.cameras == spec.cameras
    assert [left.urdf_name(name) for name in left.joint_names] == list(spec.joint_names)


def test_its_arm_follows_a_chunk_through_its_controllers_within_its_limits(spec):
    interface, home = ArmInterface(spec), spec.home_positions
    controllers = {spec.command_topic: TrajectoryController(spec.arm_joint_names, home[:-1]),
                   spec.gripper.topic: TrajectoryController([spec.gripper.joint], home[-1:])}
    motion = MotionController(spec, MotionConfig(), spec.command_rate_hz)
    goal = home + np.array([0.1, 0.05, -0.1, 0.0, 0.05, 0.1, 0.0])
    start_ns = 10**9
    assert motion.arm(start_ns, RobotState(start_ns, home, np.zeros(7))) == ''
    actions = np.linspace(home, goal, 40)
    motion.accept(ActionChunk(start_ns, 10**8, actions, spec.joint_names), start_ns)
    measured = [home]
    for now_ns in range(start_ns, start_ns + 5 * 10**9, PERIOD_NS):
        state = RobotState(now_ns, measured[-1], np.zeros(7))
        command = motion.tick(now_ns, state)
        for topic, message in [] if command is None else interface.write(command, state):
            follow(controllers[topic], message, now_ns)
        measured.append(np.concatenate([
            controller.sample(now_ns)[0] for controller in controllers.values()]))
    np.testing.assert_allclose(measured[-1], goal, atol=0.01)
    speeds = np.abs(np.diff(measured, axis=0)) / (PERIOD_NS * 1e-9)
    assert np.all(speeds.max(axis=0) <= 1.01 * spec.velocity_scale * spec.limit_array('velocity'))


def follow(controller, message, now_ns):
    """Hand a message to a controller that rejects what a real one rejects."""
    points = [TrajectoryPoint(duration_ns(point.time_from_start), point.positions,
                              point.velocities, point.accelerations) for point in message.points]
    controller.set_trajectory(message.joint_names, duration_ns(message.header.stamp), points,
                              now_ns)


def duration_ns(time):
    return time.sec * 10**9 + time.nanosec
