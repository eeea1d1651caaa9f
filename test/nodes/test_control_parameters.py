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
"""Parameters of control_node that would break a limit of motion are refused by name."""

from faster_ros.nodes.control_parameters import ControlParameters, make_controller
from faster_ros.robot_spec import load_robot_spec
import pytest


def make(robot, rate_hz, **changes):
    return make_controller(load_robot_spec(robot), ControlParameters(**changes), rate_hz)


@pytest.mark.parametrize('robot, rate_hz, changes, message', [
    ('piper', 1000.0, {}, "'rate_hz' must be at most 200 in mode joint_state"),
    ('cobot_magic', 1000.0, {}, "'rate_hz' must be at most 200 in mode joint_state"),
    ('fr3', 30.0, {}, r"'command_lead' must be at least a period, 0\.03333 s at 30 Hz, got 0\.02"),
    ('fr3', 100.0, {'command_lead': 0.005}, "'command_lead' must be at least a period, 0.01 s"),
])
def test_a_rate_or_a_lead_that_would_break_a_limit_is_refused(robot, rate_hz, changes, message):
    with pytest.raises(ValueError, match=message):
        make(robot, rate_hz, **changes)


@pytest.mark.parametrize('rate_hz, lead_s', [(100.0, 0.02), (100.0, 0.01), (50.0, 0.02),
                                             (200.0, 0.02), (30.0, 0.04)])
def test_a_lead_of_a_period_or_more_is_taken(rate_hz, lead_s):
    make('fr3', rate_hz, command_lead=lead_s)
