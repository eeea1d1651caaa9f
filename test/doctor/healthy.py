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
"""A healthy FR3 as the doctor finds it; each test changes what it is about."""

from dataclasses import replace

from faster_ros.doctor.facts import (
    ArmFacts,
    Endpoint,
    JointFacts,
    Quality,
    StreamFacts,
    TargetFacts,
)
from faster_ros.doctor.report import State
from faster_ros.robot_spec import load_robot_spec
import numpy as np

SPEC = load_robot_spec('fr3')
NOW_NS = 1_800_000_000 * 10**9
STATES = 'sensor_msgs/msg/JointState'
TRAJECTORY = 'trajectory_msgs/msg/JointTrajectory'
BEST_EFFORT = Quality(reliable=False)
DRIVER = Endpoint('/driver', STATES)
CONTROL = Endpoint('/control_node', TRAJECTORY)
CONTROLLER = Endpoint('/fr3_arm_controller', TRAJECTORY)


def stream(rate_hz=100.0, seconds=3.0, age_s=0.01, **changes):
    """Return a healthy stream of this rate; ``changes`` replace fields."""
    arrivals = NOW_NS + (np.arange(int(rate_hz * seconds)) / rate_hz * 1e9).astype(int)
    healthy = StreamFacts('/joint_states', STATES, BEST_EFFORT, seconds, (DRIVER,),
                          tuple((arrivals - int(age_s * 1e9)).tolist()),
                          tuple(arrivals.tolist()))
    return replace(healthy, **changes)


def joints(positions=None, names=SPEC.joint_names, **changes):
    watched = stream()
    positions = SPEC.home_positions if positions is None else positions
    return replace(JointFacts(watched, tuple(names), tuple(map(float, positions)),
                              len(watched.arrivals_ns)), **changes)


def home(**changes):
    """Return the home pose with some joints, named by their number, elsewhere."""
    values = SPEC.home_positions.copy()
    for name, value in changes.items():
        values[int(name[1:])] = value
    return values


def target(**changes):
    return replace(TargetFacts(SPEC.command_topic, TRAJECTORY, (CONTROLLER,), (CONTROL,)),
                   **changes)


def arm(spec=SPEC, name='', **changes):
    """Return an arm at home, commanded by topic."""
    at_home = joints(spec.home_positions, spec.driver_joint_names,
                     stream=stream(spec.state_rate_hz, topic=spec.state_topic))
    complete = replace(at_home, complete=len(at_home.stream.arrivals_ns))
    return replace(ArmFacts(name, spec, complete, (target(),)), **changes)


def urdf(spec=SPEC, kind='revolute', **changed):
    """Return a URDF with the limits of the spec; a changed joint is (lower, upper, velocity)."""
    body = ''
    for name, limits in spec.joints.items():
        lower, upper, velocity = changed.get(
            name, (limits.lower, limits.upper, limits.velocity))
        body += (f'<joint name="{name}" type="{kind}"><limit lower="{lower}" upper="{upper}" '
                 f'velocity="{velocity}" effort="1"/></joint>')
    return f'<robot name="r">{body}</robot>'


def states(found):
    return [line.state.value for line in found]


def assert_line(line, state, found='', remedy=''):
    assert line.state is State(state), line
    assert found in line.found, line
    assert remedy in line.remedy, line
    assert bool(line.remedy) == (line.state is not State.OK), line
