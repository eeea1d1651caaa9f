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
"""The parameters that a plan gives to the nodes of a policy."""

from pathlib import Path

from faster_ros.bringup import policy_graph
from faster_ros.evaluation.trial_plan import PolicyUnderTest
from faster_ros.nodes.policy_processes import with_parameters
import pytest


def parameters(**given):
    """Return the parameters of each node for those of a plan, with dots as __."""
    named = {key.replace('__', '.'): value for key, value in given.items()}
    graph = with_parameters(policy_graph('fr3'), PolicyUnderTest('/nowhere', named))
    return {process.name: process.parameters for process in graph}


def test_a_plan_sets_how_chunks_are_executed_and_makes_gates_stricter():
    told = parameters(control_node__blend=0.2, control_node__chunk_jump=0.1,
                      policy_node__execution_horizon=8)
    assert told['control_node']['blend'] == 0.2 and told['control_node']['chunk_jump'] == 0.1
    assert told['policy_node']['execution_horizon'] == 8


@pytest.mark.parametrize(('given', 'reason'), [
    ({'control_node__tracking_error': 3}, 'expected at most 0.3, the default of this gate, got 3'),
    ({'control_node__deadman_topic': '/joy'}, "parameter 'control_node.deadman_topic' of a policy "
                                              'is unknown'),
    ({'control_node__blend': 'long'}, "expected float, got 'long'"),
    ({'blend': 0.1}, "parameter 'blend' of a policy is unknown"),
])
def test_what_a_plan_may_not_set_is_named(given, reason):
    with pytest.raises(ValueError) as error:
        parameters(**given)
    assert reason in str(error.value)


def test_no_plan_moves_the_checkpoint_or_the_dry_run():
    for name in ('policy_node__checkpoint', 'control_node__dry_run'):
        with pytest.raises(ValueError, match='unknown'):
            parameters(**{name: str(Path('/elsewhere'))})
