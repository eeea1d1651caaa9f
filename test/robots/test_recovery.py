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
"""The recovery of each arm: the steps of its vendor in their order, and none that drops it."""

from faster_ros.robot_spec import config_path, load_robot_spec, RobotSpec
from faster_ros.robots.driver_gate import DriverGate
from faster_ros.robots.recovery import recovery_steps
import pytest

ROBOTS = sorted(file.stem for file in config_path('config').glob('*.yaml'))


def names(robot: str) -> list[list[str]]:
    """Return the services and actions of each step."""
    return [[call.name for call in step.calls]
            for step in recovery_steps(load_robot_spec(robot))]


def test_hazard_ur_only_pauses_its_program_so_recovery_ends_it_and_starts_it_anew():
    steps = recovery_steps(load_robot_spec('ur5e'))
    assert steps[0].wait_s >= 5.0
    assert names('ur5e') == [
        [], ['/dashboard_client/unlock_protective_stop'], ['/dashboard_client/stop'],
        ['/io_and_status_controller/resend_robot_program', '/dashboard_client/play']]
    assert [step.needed for step in steps] == [True, True, False, True]


def test_hazard_franka_recovers_in_one_order_only_error_hardware_controller():
    steps = recovery_steps(load_robot_spec('fr3_hand'))
    assert names('fr3_hand') == [
        ['/action_server/error_recovery'], ['/controller_manager/set_hardware_component_state'],
        ['/controller_manager/switch_controller']]
    assert steps[2].calls[0].request['activate_controllers'] == ['fr3_arm_controller']
    assert steps[1].calls[0].request['target_state.id'] == 3


def test_hazard_multipanda_resumes_by_itself_so_its_target_is_first_where_it_stands():
    hold, clear = recovery_steps(load_robot_spec('panda'))
    assert (hold.hold, hold.calls) == (True, ())
    assert all(call.name.endswith('/error_recovery') for call in clear.calls)


@pytest.mark.parametrize('robot', ['piper', 'agx_piper'])
def test_hazard_piper_drops_when_reset_or_disabled_so_recovery_only_enables(robot):
    enable, hold = recovery_steps(load_robot_spec(robot))
    assert list(enable.calls[0].request.values()) == [True]
    assert hold.hold


@pytest.mark.parametrize('robot', ROBOTS)
def test_no_step_takes_the_power_from_a_motor_or_arms(robot):
    for step in recovery_steps(load_robot_spec(robot)):
        for call in step.calls:
            assert not {'enable_flag', 'stop_srv', 'power_off', 'arm'} & set(call.name.split('/'))
            assert 'reset' not in call.name or call.name == '/sim_node/reset'
            assert False not in call.request.values()


def test_a_robot_without_a_sequence_has_no_steps():
    data = load_robot_spec('fr3').to_dict() | {'recovery': 'none'}
    assert recovery_steps(RobotSpec.from_dict(data, 'x.yaml')) == ()


@pytest.mark.parametrize('robot', ['fr3_direct', 'piper_direct'])
def test_a_driver_of_this_package_recovers_by_its_own_service_and_is_asked_for_no_other(robot):
    spec = load_robot_spec(robot)
    assert recovery_steps(spec) == ()
    assert set(DriverGate(spec).signals) == {spec.driver_ready_topic}


def test_an_unknown_recovery_in_a_robot_file_is_named():
    data = load_robot_spec('fr3').to_dict() | {'recovery': 'magic'}
    with pytest.raises(ValueError, match="'recovery' must be of none, .* got 'magic'"):
        RobotSpec.from_dict(data, 'x.yaml')
