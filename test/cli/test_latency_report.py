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
"""The job `faster_ros latency-report`: a bag with known times gives these times."""

import json

from faster_ros.cli.latency_report import main
from faster_ros.data.latency_traces import read_traces
import numpy as np
import pytest

pytest.importorskip('rosbags')
from rosbags.rosbag2 import StoragePlugin, Writer  # noqa: E402
from rosbags.typesys import get_typestore, Stores  # noqa: E402

STORE = get_typestore(Stores.ROS2_HUMBLE)
TYPES = STORE.types
MS = 1_000_000
T0 = 1_760_000_000_123_456_789
KINDS = {'timing': 'std_msgs/msg/Float64MultiArray', 'command': 'sensor_msgs/msg/JointState',
         'chunk': 'trajectory_msgs/msg/JointTrajectory',
         'image': 'sensor_msgs/msg/CompressedImage'}


def header(stamp_ns, frame=''):
    """Return a header."""
    return TYPES['std_msgs/msg/Header'](
        TYPES['builtin_interfaces/msg/Time'](stamp_ns // 10**9, stamp_ns % 10**9), frame)


def timing(*values):
    """Return a message of policy_node/timing."""
    layout = TYPES['std_msgs/msg/MultiArrayLayout']([], 0)
    return TYPES[KINDS['timing']](layout, np.array(values))


def command(stamp_ns, observation_ns):
    """Return a message of control_node/command."""
    frame = f'{observation_ns // 10**9}.{observation_ns % 10**9:09d}' if observation_ns else ''
    return TYPES[KINDS['command']](header(stamp_ns, frame), [], np.zeros(0), np.zeros(0),
                                   np.zeros(0))


def run(chunks=3, decode_ms=20.0):
    """
    Return the messages of a run, a chunk each 300 ms.

    Images arrive after 10 ms, the policy begins after 15 and answers after 75, of which it decodes
    20; commands follow from 85 ms on, every 100.
    """
    rows = []
    for number in range(chunks):
        at = T0 + number * 300 * MS
        rows += [('image', '/arm/cam/compressed', at + 10 * MS,
                  TYPES[KINDS['image']](header(at), 'jpeg', np.zeros(4, np.uint8))),
                 ('chunk', '/arm/policy/chunk', at + 76 * MS,
                  TYPES[KINDS['chunk']](header(at), [], [])),
                 ('timing', '/arm/policy_node/timing', at + 77 * MS,
                  timing(at * 1e-9, 75.0, 60.0, decode_ms))]
        rows += [('command', '/arm/control_node/command', at + later * MS,
                  command(at + later * MS, at)) for later in (85, 185, 285)]
    return rows


def bag(path, rows):
    """Write messages (kind, topic, arrival, message) to a bag."""
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {}
        for kind, topic, arrival_ns, message in sorted(rows, key=lambda row: row[2]):
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, KINDS[kind], typestore=STORE)
            writer.write(connections[topic], arrival_ns, STORE.serialize_cdr(message, KINDS[kind]))
    return path


def test_each_part_has_its_time_and_the_picture_is_drawn(tmp_path, capsys):
    out = tmp_path / 'out'
    assert main([str(bag(tmp_path / 'bag', run())), '--out', str(out)]) == 0
    figures = json.loads((out / 'latency.json').read_text())
    wanted = {'transport': 10, 'waiting': 5, 'inference': 40, 'decode': 20, 'delivery': 10,
              'execution': 200, 'observation to command': 85}
    assert {name: row['p50'] for name, row in figures['ms'].items()} == pytest.approx(
        wanted, abs=0.001)
    assert figures['followed'] == 3
    assert '3 observations answered, 3 followed by the arm' in capsys.readouterr().out
    assert (out / 'latency.png').stat().st_size > 5000


def test_without_images_and_decoding_times_the_other_parts_remain(tmp_path):
    rows = [row for row in run(decode_ms=np.nan) if row[0] != 'image']
    lanes = [lane for lane, _, _ in read_traces(bag(tmp_path / 'bag', rows))[0].lanes()]
    assert lanes == ['waiting', 'inference', 'delivery', 'execution']


def test_a_chunk_that_the_arm_did_not_follow_has_no_execution(tmp_path):
    last = T0 + 600 * MS
    rows = [row for row in run() if row[0] != 'command' or row[2] < last]
    traces = read_traces(bag(tmp_path / 'bag', [
        *rows, ('command', '/arm/control_node/command', last + 90 * MS,
                command(last + 90 * MS, 0))]))
    assert [trace.command_ns is not None for trace in traces] == [True, True, False]
    assert traces[0].stamp_ns == T0


def test_a_bag_without_the_topics_or_a_wrong_start_is_named(tmp_path):
    rows = [row for row in run() if row[0] != 'command']
    with pytest.raises(ValueError, match=r'one topic \.\.\./control_node/command, got none'):
        read_traces(bag(tmp_path / 'bag', rows))
    with pytest.raises(ValueError, match='--start 9: no observation'):
        main([str(bag(tmp_path / 'whole', run())), '--start', '9', '--out', str(tmp_path)])
    with pytest.raises(ValueError, match='expected a rosbag2 or MCAP file'):
        read_traces(tmp_path / 'nothing')
