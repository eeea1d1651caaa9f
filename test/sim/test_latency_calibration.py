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
"""The calibration motion in the simulator, with delays that are known; and the file it gives."""

from collections import deque

from faster_ros.interfaces import ActionChunk, RobotState
from faster_ros.robot_spec import config_path, load_robot_spec
from faster_ros.runtime.calibration_motion import CalibrationMotion
from faster_ros.runtime.controller import MotionController
from faster_ros.runtime.latency_calibration import (
    calibrated,
    CalibrationRecording,
    measured_lags,
    write_robot_file,
)
from faster_ros.runtime.latency_estimate import Lag
from faster_ros.sim.simulator import CameraRenderer, Simulator
import numpy as np
import pytest

SPEC = load_robot_spec('fr3')
STEP_NS = 4_000_000
ARM_NS, GRIPPER_NS = 60_000_000, 100_000_000  # the gripper's on top of the arm's
CAMERAS_NS = {'front': 40_000_000, 'wrist': 120_000_000}


@pytest.fixture(scope='module')
def lags():
    """Return what is measured on an arm whose commands, and whose images, come late."""
    simulator = Simulator(SPEC)
    simulator.reset(3)
    motion = CalibrationMotion(SPEC, 'fr3_joint1', 0.08, 6.0, 1.5)
    controller = MotionController(SPEC, rate_hz=1e9 / STEP_NS)
    renderer = CameraRenderer(simulator, 80, 60)
    start, _ = simulator.state()
    controller.arm(0, RobotState(0, *simulator.state()))
    hold = ActionChunk(0, 100_000_000, np.tile(start, (50, 1)), SPEC.joint_names)
    controller.accept(hold, 0)
    commands = deque([(start, 0 * start)] * 40, maxlen=41)
    recording = None
    for now_ns in range(0, round(motion.duration_s * 1e9) + 200_000_000, STEP_NS):
        if now_ns == 100_000_000:
            recording = CalibrationRecording(motion.chunk(now_ns, start))
            assert controller.accept(recording.chunk, now_ns)
        state = RobotState(now_ns, *simulator.state())
        command = controller.tick(now_ns, state)
        commands.append((command.positions, command.velocities))
        assert controller.status(now_ns).mode == 'running'
        positions, velocities = (np.array(value) for value in commands[-1 - ARM_NS // STEP_NS])
        late = commands[-1 - (ARM_NS + GRIPPER_NS) // STEP_NS]
        positions[-1], velocities[-1] = late[0][-1], late[1][-1]
        simulator.advance(positions, velocities)
        if recording is None:
            continue
        recording.states.append(RobotState(now_ns + STEP_NS, *simulator.state()))
        if now_ns % (8 * STEP_NS) == 0:
            for camera, latency_ns in CAMERAS_NS.items():
                grey = renderer.render(camera, simulator.data).mean(-1).astype(np.uint8)
                recording.images.setdefault(camera, []).append(
                    (now_ns + STEP_NS + latency_ns, grey))
    return measured_lags(recording, motion)


@pytest.mark.parametrize('name, latency_ns, error_s', [
    ('arm', ARM_NS, 0.008), ('front', CAMERAS_NS['front'], 0.008),
    ('wrist', CAMERAS_NS['wrist'], 0.008), ('gripper', ARM_NS + GRIPPER_NS, 0.04)])
def test_known_delays_are_measured_within_the_stated_error(lags, name, latency_ns, error_s):
    assert lags[name].problem == ''
    assert lags[name].seconds == pytest.approx(latency_ns * 1e-9, abs=error_s)


def test_what_is_measured_goes_into_a_robot_file_that_loads(tmp_path):
    lags = {'arm': Lag(0.0634, 0.99, 0.0), 'gripper': Lag(0.18, 1.0, 0.0),
            'front': Lag(0.04, 0.9, 0.0), 'wrist': Lag(0.1, 0.3, 0.0)}
    path = tmp_path / 'mine.yaml'
    spec = write_robot_file(path, config_path('config/fr3.yaml'), calibrated(SPEC, lags), 'test')
    assert spec.arm_latency_s == 0.063
    assert spec.gripper.latency_s == 0.117
    assert spec.cameras['front'].latency_s == 0.04
    assert spec.cameras['wrist'].latency_s == 0.0  # its correlation is too weak
    with pytest.raises(ValueError, match='is the robot file itself'):
        write_robot_file(path, path, {}, 'test')


def test_a_second_calibration_adds_to_what_the_file_has(tmp_path):
    first = calibrated(SPEC, {'arm': Lag(0.06, 0.99, 0.0), 'gripper': Lag(0.16, 1.0, 0.0)})
    spec = write_robot_file(tmp_path / 'one.yaml', config_path('config/fr3.yaml'), first, 'test')
    again = calibrated(spec, {'arm': Lag(0.005, 0.99, 0.0), 'gripper': Lag(0.005, 1.0, 0.0)})
    assert again == {'arm_latency_s': 0.065, 'gripper': {'latency_s': 0.1}}


@pytest.mark.parametrize('key, data', [
    ('arm_latency_s', {'arm_latency_s': 0.7}),
    ('cameras.wrist.latency_s', {'cameras': {'wrist': {'latency_s': -0.1}}})])
def test_a_latency_that_cannot_be_is_refused_by_its_key(tmp_path, key, data):
    with pytest.raises(ValueError, match=rf"'{key}' must be in \[0, 0.5\] s"):
        write_robot_file(tmp_path / 'x.yaml', config_path('config/fr3.yaml'), data, 'test')
