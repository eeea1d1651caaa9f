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
"""A scripted leader records episodes through the real nodes in the simulator; the set is whole."""

from dataclasses import replace

from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.bringup import GRAPHS
from faster_ros.data.dataset_spec import Source
from faster_ros.data.dataset_validation import problems
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.graph_parts import command
from faster_ros.nodes.diagnostics import values_of
from faster_ros.robot_spec import load_robot_spec
import numpy as np
import pytest
from ros_process import own_domain, Peer, Process, wait_until
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger
import yaml

SPEC = load_robot_spec('fr3')
SECONDS = 4.0


class Person(Peer):
    """A leader arm that swings while ``swings``, and a hand on the services."""

    def __init__(self, domain: int) -> None:
        self.swings, self.angle = False, 0.0
        self.status: dict[str, str] = {}
        super().__init__(domain)
        node = self.node
        self._leader = node.create_publisher(JointState, '/leader', 10)
        node.create_subscription(DiagnosticStatus, '/recorder_node/status',
                                 lambda message: self.status.update(values_of(message)), 10)
        node.create_timer(0.02, self._publish)
        self._arm = node.create_client(SetBool, '/control_node/arm')
        self._engage = node.create_client(SetBool, '/teleop_node/engage')

    def _publish(self) -> None:
        self.angle += 0.02 if self.swings else 0.0
        position = 0.3 * np.sin(self.angle) * np.eye(7)[0]
        self._leader.publish(JointState(name=list(SPEC.driver_joint_names[:7]),
                                        position=position.tolist()))

    def ask(self, name: str) -> str:
        client = self.node.create_client(Trigger, f'/recorder_node/{name}')
        answer = self.call(client, Trigger.Request(), 30.0)
        assert answer.success, answer.message
        return answer.message

    def lead(self) -> None:
        """Arm and engage, and again if a busy machine let the first try pass by."""
        def leads() -> bool:
            self.call(self._arm, SetBool.Request(data=True))
            return self.call(self._engage, SetBool.Request(data=True)).success
        wait_until(leads, 60.0, 'a person who leads')

    def heard(self) -> bool:
        return all(float(self.status.get(f'{name}_rate_hz') or 0) > 1
                   for name in ('state', 'action', *SPEC.cameras))


@pytest.fixture
def nodes(tmp_path):
    """Start the graph of record.launch.py, patient and with small images, as on a busy machine."""
    device = {'leaders': {'arm': {'joint_state': {'topic': '/leader'}}}, 'timeout_s': 5.0}
    (tmp_path / 'device.yaml').write_text(yaml.safe_dump(device))
    data = SPEC.to_dict() | {'state_max_age_s': 5.0}
    for camera in data['cameras'].values():
        camera |= {'width': 64, 'height': 48, 'rate_hz': 10.0}
    (tmp_path / 'robot.yaml').write_text(yaml.safe_dump(data, sort_keys=False))
    graph = GRAPHS['record'].processes({
        'robot': str(tmp_path / 'robot.yaml'), 'teleop': str(tmp_path / 'device.yaml'),
        'task': 'wave', 'folder': str(tmp_path / 'set'), 'simulated': 'true', 'gate': 'false',
        'operator': 'a test', 'fps': '10'})
    extra = {'control_node': ['-p', 'starve_grace:=30.0', '-p', 'tracking_error:=2.0']}
    domain = own_domain()
    running = [Process([*command(replace(process, nice=0))[1:], *extra.get(process.name, [])],
                       domain, tmp_path / f'{process.name}.log') for process in graph]
    person = Person(domain)
    yield person, tmp_path / 'set', running
    for process in running:
        process.stop()
    person.close()


@pytest.mark.slow
def test_two_recorded_episodes_are_a_whole_data_set(nodes):
    person, folder, running = nodes
    running[-1].wait_for('recorder_node\n  robot', 60.0)
    person.lead()
    wait_until(person.heard, 60.0, lambda: f'all streams ({person.status})')
    person.swings = True
    for number in range(2):
        if number == 0:
            person.ask('start')
            person.ask('re_record')
        else:
            person.ask('start')
        wait_until(lambda: float(person.status.get('seconds') or 0) > SECONDS, 60.0,
                   lambda: f'{SECONDS} s ({person.status})')
        person.ask('mark_success')
        assert person.ask('save') == f'episode {number} is saved'
        wait_until(lambda: person.status['recording'] == 'idle', 20.0, 'an end')
        person.status['seconds'] = '0'
    dataset = LeRobotDataset(folder)
    assert list(problems(dataset, decode=True)) == []
    assert [entry.facts.outcome for entry in dataset.episodes] == ['success', 'success']
    for entry in dataset.episodes:
        columns = dataset.columns(entry)
        assert entry.facts.task == 'wave'
        assert {'operator', 'git', 'robot_file'} <= set(entry.facts.facts)
        assert set(columns['source'].ravel().tolist()) <= {Source.HUMAN, Source.NOBODY}
        assert np.ptp(columns['observation.state'][:, 0]) > 0.02
        assert np.ptp(columns['action'][:, 0]) > 0.02
        ages = (columns['stamp_ns'] - columns['stamp_ns.front']).ravel() * 1e-9
        assert (ages >= 0).all()
    assert len(list((folder / 'raw').glob('episode_*/*.mcap'))) == 2
