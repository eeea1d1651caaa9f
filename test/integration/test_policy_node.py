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
"""policy_node in its own process, between cameras and a listener over real topics."""

from pathlib import Path
import signal
import time

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.interfaces import ActionChunk
from faster_ros.nodes import conversions, qos
from faster_ros.nodes.diagnostics import values_of
from faster_ros.robot_spec import load_robot_spec
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import numpy as np
import pytest
from ros_process import own_domain, Peer, Process, wait_until
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory
import yaml

SPEC = load_robot_spec('fr3')
SCRIPT = str(Path(__file__).with_name('policy_process.py'))
WIDTH, HEIGHT = 32, 24


class Cell(Peer):
    """Two small cameras, a robot at home and a listener to what the policy says."""

    def __init__(self, domain: int) -> None:
        self.on = {'front', 'wrist', 'joints'}
        self.encoding = 'rgb8'
        self.height = HEIGHT
        self.red = 7
        self.chunks: list[JointTrajectory] = []
        self.timing: list[Float64MultiArray] = []
        self.status: dict[str, str] = {}
        self.message = ''
        self.problems: list[str] = ['']
        self.vouched: list[tuple[int, int]] = []  # when, and until when, in ns
        self.image_stamps_ns: list[int] = []
        super().__init__(domain)
        node = self.node
        self._cameras = {name: node.create_publisher(Image, camera.topic, 2)
                         for name, camera in SPEC.cameras.items()}
        self._states = node.create_publisher(JointState, SPEC.state_topic, 10)
        self._instruction = node.create_publisher(String, 'instruction', qos.LATCHED)
        node.create_subscription(JointTrajectory, 'policy/chunk', self.chunks.append, qos.COMMAND)
        node.create_subscription(Float64MultiArray, '/policy_node/timing', self.timing.append, 10)
        node.create_subscription(DiagnosticStatus, '/policy_node/status', self._on_status, 10)
        node.create_subscription(String, 'policy/problem', self._on_problem, qos.LATCHED)
        node.create_subscription(Time, 'policy/fresh_until', self._on_fresh_until, qos.SENSOR)
        self._plan = node.create_publisher(JointTrajectory, 'policy/plan', qos.LATCHED)
        self.reset = node.create_client(Trigger, '/policy_node/reset')
        node.create_timer(1 / 30, self._publish_images)
        node.create_timer(0.01, self._publish_state)

    def _publish_images(self) -> None:
        stamp = conversions.to_time(self.now_ns())
        self.image_stamps_ns.append(conversions.to_ns(stamp))
        for name in self.on & set(self._cameras):
            data = np.full((self.height, WIDTH, 3), self.red, np.uint8).tobytes()
            message = Image(encoding=self.encoding, width=WIDTH, height=self.height,
                            step=3 * WIDTH, data=data)
            message.header.stamp = stamp
            self._cameras[name].publish(message)

    def _publish_state(self) -> None:
        if 'joints' in self.on:
            message = JointState(name=list(SPEC.joint_names), position=SPEC.home_positions)
            message.header.stamp = conversions.to_time(self.now_ns())
            self._states.publish(message)

    def _on_status(self, message: DiagnosticStatus) -> None:
        self.status, self.message = values_of(message), message.message

    def _on_problem(self, message: String) -> None:
        self.problems.append(message.data)

    def _on_fresh_until(self, message: Time) -> None:
        self.vouched.append((self.now_ns(), conversions.to_ns(message)))

    def instruct(self, text: str) -> None:
        self._instruction.publish(String(data=text))

    def plan(self, *names: str) -> None:
        """Tell that the arm will be at 9 rad with these joints for a minute; none: it holds."""
        rows = np.full((600, len(names)), 9.0)
        message = conversions.chunk_to_message(
            ActionChunk(self.now_ns(), 100_000_000, rows, names)) if names else JointTrajectory()
        self._plan.publish(message)

    def next_chunk(self) -> JointTrajectory:
        count = len(self.chunks)
        wait_until(lambda: len(self.chunks) > count, 5.0, lambda: f'a chunk ({self.message})')
        return self.chunks[-1]

    def assert_silent(self, words: str) -> None:
        """Check that no chunk comes and that the status says why."""
        wait_until(lambda: words in self.message, 5.0,
                   lambda: f"'{words}' (is '{self.message}')")
        wait_until(lambda: words in self.problems[-1], 1.0, 'the problem, for control_node')
        count = len(self.chunks)
        time.sleep(0.5)
        assert len(self.chunks) <= count + 1


@pytest.fixture(scope='module')
def robot_file(tmp_path_factory):
    data = SPEC.to_dict()
    for camera in data['cameras'].values():
        camera.update(width=WIDTH, height=HEIGHT)
    path = tmp_path_factory.mktemp('robot') / 'small.yaml'
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def start(robot_file: Path, domain: int, log: Path, **parameters) -> Process:
    values = {'robot': robot_file, 'checkpoint': robot_file.parent} | parameters
    arguments = [item for name, value in values.items() for item in ('-p', f'{name}:={value}')]
    return Process([SCRIPT, '--ros-args', *arguments], domain, log)


@pytest.fixture(scope='module')
def started(robot_file, tmp_path_factory):
    domain = own_domain()
    process = start(robot_file, domain, tmp_path_factory.mktemp('policy') / 'log')
    cell = Cell(domain)
    cell.process = process
    try:
        process.wait_for('policy_node')
        yield cell
    finally:
        process.stop()
        cell.close()


@pytest.fixture
def cell(started):
    """Give the cell with everything on, and a policy that answers."""
    started.on, started.encoding, started.height = {'front', 'wrist', 'joints'}, 'rgb8', HEIGHT
    started.instruct('pick up the red cube')
    started.next_chunk()
    return started


def test_a_chunk_answers_an_observation_and_carries_its_stamp(cell):
    chunk = conversions.chunk_from_message(cell.next_chunk())
    age_s = (cell.now_ns() - chunk.start_ns) * 1e-9
    assert 0 < age_s < 5.0  # a loaded machine included
    assert chunk.names == SPEC.joint_names
    np.testing.assert_allclose(chunk.actions[:, 1:], np.tile(SPEC.home_positions[1:], (16, 1)))
    assert chunk.actions[0, 0] == 7


def test_the_policy_is_given_what_the_arm_will_do_until_its_answer(cell):
    def committed() -> int:
        chunk = conversions.chunk_from_message(cell.next_chunk())
        return int((chunk.actions[:, 1] == 9.0).sum())

    cell.instruct('committed')
    assert committed() == 0
    cell.plan(*SPEC.joint_names)
    wait_until(lambda: committed() >= 2, 5.0, 'an answer to a plan')
    cell.plan(*reversed(SPEC.joint_names))
    wait_until(lambda: committed() == 0, 5.0, 'an answer without the joints of another arm')
    assert 'policy/plan has joints fr3_finger_joint1' in cell.process.output
    cell.plan(*SPEC.joint_names)
    wait_until(lambda: committed() >= 2, 5.0, 'an answer to a plan')
    cell.plan()
    wait_until(lambda: committed() == 0, 5.0, 'an answer without a plan')


def test_chunks_come_after_the_execution_horizon(cell):
    count, begin = len(cell.chunks), time.monotonic()
    wait_until(lambda: len(cell.chunks) >= count + 5, 5.0, 'five chunks')
    # Far fewer than 30 images a second; a loaded machine, slower to answer, asks earlier.
    assert (len(cell.chunks) - count) / (time.monotonic() - begin) < 10


def test_each_chunk_has_its_timing(cell):
    cell.next_chunk()
    wait_until(lambda: len(cell.timing) > 0, 2.0, 'a timing')
    message = cell.timing[-1]
    assert message.layout.dim[0].label == (
        'observation_stamp_s,capture_to_chunk_ms,inference_ms,decode_ms')
    _, capture_ms, inference_ms, decode_ms = message.data
    assert np.isnan(decode_ms)  # this policy does not tell
    assert 0 <= inference_ms <= capture_ms


def test_what_the_policy_said_is_in_the_status(cell):
    cell.next_chunk()
    assert 'said' not in cell.status
    cell.instruct('speak')
    wait_until(lambda: cell.status.get('said') == 'grasp the cube', 5.0, 'what was said')
    cell.instruct('pick up the red cube')
    wait_until(lambda: 'said' not in cell.status, 5.0, 'a status without a text')


@pytest.mark.parametrize('stream, words', [
    ('front', "camera 'front' on /camera_front/color/image_raw: newest is"),
    ('wrist', "camera 'wrist'"),
    ('joints', 'joint states on /joint_states: newest is'),
])
def test_a_stream_that_stops_is_named_and_no_chunk_comes(cell, stream, words):
    cell.on.discard(stream)
    cell.assert_silent(words)
    cell.on.add(stream)
    cell.next_chunk()
    wait_until(lambda: cell.problems[-1] == '', 1.0, 'the end of the problem')


def test_images_are_vouched_for_until_their_age_and_no_longer_without_the_node_being_active(cell):
    count = len(cell.vouched)
    wait_until(lambda: len(cell.vouched) > count + 3, 5.0, 'times until which images count')
    limits = {stamp_ns + 300_000_000 for stamp_ns in cell.image_stamps_ns}
    assert {until_ns for _, until_ns in cell.vouched[count:]} <= limits
    client = cell.node.create_client(ChangeState, '/policy_node/change_state')
    change = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_DEACTIVATE))
    cell.call(client, change, 15.0)
    wait_until(lambda: cell.message == 'not active', 5.0, 'the end of activity')
    stopped_ns = cell.now_ns() + 300_000_000
    time.sleep(0.5)
    assert cell.vouched[-1][1] < stopped_ns
    cell.call(client, ChangeState.Request(
        transition=Transition(id=Transition.TRANSITION_ACTIVATE)), 15.0)
    wait_until(lambda: cell.vouched[-1][1] > stopped_ns, 5.0, 'images that count again')


@pytest.mark.parametrize('change, words', [
    ({'encoding': 'bayer_rggb8'}, "/camera_front/color/image_raw: encoding 'bayer_rggb8'; exp"),
    ({'height': 25}, "camera 'front' on /camera_front/color/image_raw: size 32x25; expected"),
])
def test_a_wrong_image_is_one_line_in_the_log_and_no_chunk_comes(cell, change, words):
    for field, value in change.items():
        setattr(cell, field, value)
    cell.assert_silent('newest is')
    assert cell.process.output.count(words) == 1


@pytest.mark.parametrize('text', ['', '   '])
def test_an_empty_instruction_is_refused(cell, text):
    cell.instruct(text)
    cell.assert_silent('the instruction is empty')
    assert 'no chunk: the instruction is empty' in cell.process.output


@pytest.mark.parametrize('text, words', [
    ('fail', 'no chunk: the policy failed: expected an instruction that the policy knows'),
    ('nan', 'no chunk: the policy failed: the policy returned an action that is not finite'),
])
def test_a_policy_that_fails_says_so_and_works_again(cell, text, words):
    cell.instruct(text)
    cell.process.wait_for(words)
    count = len(cell.chunks)
    time.sleep(0.3)
    assert len(cell.chunks) == count
    cell.instruct('pick up the red cube')
    cell.next_chunk()
    assert cell.process.output.count(words) == 1


def test_a_reset_throws_the_running_inference_away(cell):
    cell.instruct('slow')
    time.sleep(0.3)
    cell.red = 9
    reset_ns = cell.now_ns()
    assert cell.call(cell.reset, Trigger.Request()).success
    chunk = conversions.chunk_from_message(cell.next_chunk())
    assert chunk.start_ns >= reset_ns
    cell.red = 7


def test_a_slow_policy_is_asked_only_where_its_chunk_has_ended(robot_file, tmp_path):
    domain = own_domain()
    process = start(robot_file, domain, tmp_path / 'log')
    cell = Cell(domain)
    try:
        cell.instruct('slow')
        chunks = [conversions.chunk_from_message(cell.next_chunk()) for _ in range(6)]
        *_, first, second = chunks
        assert len(first.actions) > 6 + 6 + 10  # stands, moves and stands again
        assert second.start_ns - first.start_ns >= (6 + 5) * first.step_ns
        assert process.output.count('above 0.45 s (wait_above) the arm stands meanwhile') == 1
        assert process.stop(signal.SIGTERM) == 0
    finally:
        process.stop()
        cell.close()


def test_without_cameras_the_missing_one_is_named(robot_file, tmp_path):
    domain = own_domain()
    process = start(robot_file, domain, tmp_path / 'log')
    cell = Cell(domain)
    try:
        cell.on = {'front', 'joints'}
        cell.instruct('pick up the red cube')
        process.wait_for("camera 'wrist' on /camera_wrist/color/image_raw: nothing received yet")
        assert cell.chunks == []
        assert process.stop(signal.SIGTERM) == 0
        assert 'Traceback' not in process.output
    finally:
        process.stop()
        cell.close()


def test_a_missing_checkpoint_is_one_clear_line(robot_file, tmp_path):
    process = start(robot_file, own_domain(), tmp_path / 'log', checkpoint='/nowhere')
    assert process.wait() == 1
    assert "cannot configure: checkpoint folder '/nowhere' does not exist" in process.output
    assert 'Traceback' not in process.output


def test_without_autostart_it_waits_unconfigured(robot_file, tmp_path):
    domain = own_domain()
    process = start(robot_file, domain, tmp_path / 'log', autostart='false')
    peer = Peer(domain)
    try:
        client = peer.node.create_client(GetState, '/policy_node/get_state')
        answer = peer.call(client, GetState.Request(), 15.0)
        assert answer.current_state.label == 'unconfigured'
        assert process.stop() == 0
    finally:
        process.stop()
        peer.close()
