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
"""Parameters come from one dataclass; every mistake is named with what was expected."""

from dataclasses import dataclass

from faster_ros.nodes.parameters import declare, parameter
import pytest
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter


@dataclass(frozen=True)
class Config:
    robot: str = parameter('fr3', 'name')
    blend: float = parameter(0.1, 'length of the seam in s', 0.0, 1.0)
    count: int = parameter(3, 'how many', 1, 10)
    strict: bool = parameter(True, 'yes or no')
    gains: tuple[float, ...] = parameter((1.0, 2.0), 'gains in 1/s', 0.0, 5.0)


@pytest.fixture(scope='module')
def context():
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


def declared(context, **overrides) -> Config:
    node = Node('some_node', context=context, parameter_overrides=[
        Parameter(name, value=value) for name, value in overrides.items()])
    try:
        return declare(node, Config)
    finally:
        node.destroy_node()


def test_without_overrides_the_defaults_hold(context):
    assert declared(context) == Config()


def test_overrides_arrive_in_the_dataclass(context):
    config = declared(context, blend=0.5, gains=[0.5, 4.0, 1.0], strict=False,
                      use_sim_time=False)
    assert config == Config(blend=0.5, gains=(0.5, 4.0, 1.0), strict=False)


@pytest.mark.parametrize('overrides, words', [
    ({'blnd': 0.1}, "some_node has no parameter 'blnd'; did you mean blend"),
    ({'zzz': 1}, "no parameter 'zzz'; known: robot, blend, count"),
    ({'blend': 2.0}, r'the seam in s\): expected float in \[0.0, 1.0\], got 2'),
    ({'blend': float('nan')}, 'got nan'),
    ({'blend': 1}, r'got 1 \(write 30.0, not 30\)'),
    ({'count': 0}, r'expected int in \[1, 10\], got 0'),
    ({'strict': 'true'}, "expected bool, got 'true'"),
    ({'gains': [1.0, 9.0]}, r'expected list of float in \[0.0, 5.0\], got \[1.0, 9.0\]'),
    ({'gains': 'fast'}, 'expected list of float'),
])
def test_a_mistake_says_what_was_expected_and_what_came(context, overrides, words):
    with pytest.raises(ValueError, match=words):
        declared(context, **overrides)
