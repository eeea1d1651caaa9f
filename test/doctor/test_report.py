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
"""The doctor's report: order, table, exit code; and that a whole examination comes together."""

from dataclasses import replace

from faster_ros.doctor.diagnose import diagnose
from faster_ros.doctor.facts import ArmFacts, CameraFacts, Facts, JointFacts, Quality, StreamFacts
from faster_ros.doctor.machine import segment_bytes
from faster_ros.doctor.report import critical, ok, Report, warning
from faster_ros.robot_spec import config_path, load_robot_spec
import pytest

SPEC = load_robot_spec('fr3')
FINE = ok('kernel', 'PREEMPT_RT')
ODD = warning('joint rate', '60 Hz, robot file 100 Hz', 'raise the rate')
BAD = critical('front camera', 'nobody publishes /camera', 'start its driver')


@pytest.mark.parametrize(('lines', 'code', 'verdict'), [
    ((FINE,), 0, '1 ok, 0 warnings, 0 critical: the arm may be armed'),
    ((FINE, ODD), 1, '1 ok, 1 warnings, 0 critical: the arm may be armed'),
    ((FINE, ODD, BAD), 2, '1 ok, 1 warnings, 1 critical: the arm must not be armed'),
])
def test_the_worst_line_decides(lines, code, verdict):
    report = Report('fr3', lines)
    assert (report.exit_code, report.summary) == (code, verdict)
    assert report.to_dict()['exit_code'] == code
    assert report.table().endswith(verdict)


def test_the_table_has_a_remedy_below_its_line_and_fits_a_terminal():
    long = replace(BAD, found='word ' * 60)
    rows = Report('fr3', (FINE, ODD, BAD, long)).table().splitlines()
    assert rows[0] == 'doctor: robot fr3'
    assert rows[2:4] == ['  joint rate          warning  60 Hz, robot file 100 Hz',
                         '                               -> raise the rate']
    assert rows[4].startswith('  front camera        CRITICAL nobody publishes /camera')
    assert max(map(len, rows)) < 100


def silence(topic):
    return StreamFacts(topic, 'sensor_msgs/msg/Image', Quality(reliable=False), 3.0)


def silent_arm():
    return ArmFacts('', SPEC, JointFacts(silence(SPEC.state_topic)))


def test_nothing_started_is_one_critical_line_per_missing_part():
    cameras = tuple(CameraFacts(name, silence(camera.topic))
                    for name, camera in SPEC.cameras.items())
    report = diagnose(Facts(SPEC, (silent_arm(),), cameras))
    assert [line.check for line in report.critical] == [
        'joint states', 'front camera', 'wrist camera']
    assert all(line.remedy for line in report.critical)


def test_a_camera_that_only_compresses_is_named_with_the_argument_that_takes_it():
    camera = CameraFacts('front', silence('/cam'), compressed_offered=True)
    report = diagnose(Facts(SPEC, (silent_arm(),), (camera,)))
    (line,) = [line for line in report.critical if line.check == 'front camera']
    assert (line.found, line.remedy) == ('nobody publishes /cam, but /cam/compressed',
                                         'take it: compressed:=true')


def test_the_segment_of_the_shipped_profile_is_read():
    text = config_path('config/fastdds_large_images.xml').read_text()
    assert segment_bytes(text) == 64 << 20
    assert segment_bytes('<dds/>') == 0
