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
"""The job `faster_ros calibrate latency`: a mistake is named before anything is connected."""

from faster_ros.cli.calibrate import main
import pytest


@pytest.mark.parametrize('arguments, message', [
    (['--robot', 'cobot_magic'], 'robots with one arm; this one has left, right'),
    (['--joint', 'elbow'], "--joint: 'elbow' is unknown; expected one of fr3_joint1"),
    (['--joint', 'fr3_finger_joint1'], 'is unknown'),
    (['--amplitude', '0.5'], r'--amplitude must be in \[0.005, 0.2\], got 0.5'),
    (['--seconds', '2'], r'--seconds must be in \[6, 60\], got 2'),
])
def test_a_mistake_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        main(['latency', *arguments])
