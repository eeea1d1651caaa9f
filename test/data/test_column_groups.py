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
"""What the names of columns say about them, with names of real data sets."""

from faster_ros.data.column_groups import groups_of, kind_of, rotations_of
from faster_ros.data.libero_columns import COLUMNS
import pytest

KINDS = {
    'position': ('x', 'px', 'px_cm', 'pos_y', 'x.pos', 'eef_pos_z', 'delta_x', 'dz', 'tcp_x_m',
                 'end_effector_position_z', 'pose_x', 'robot0_eef_pos_x'),
    'rotation': ('roll', 'pitch', 'yaw', 'rx', 'ry', 'rz', 'qw', 'quat_w', 'quat_3', 'pose_qx',
                 'orientation_w', 'ee_orientation.x', 'rotation_x', 'droll', 'rot6d_5', 'rot_0',
                 'axis_angle_z', 'tcp_rz_rad'),
    'arm': ('px100_waist', 'power', 'position', 'pos_0', 'q0', 'q7', 'r1', 'wrist_roll',
            'wrist_roll.pos', 'shoulder_pan.pos', 'rotary_joint', 'panda_joint1', 'head_yaw',
            'action_0', 'pad', 'torso_x'),
    'gripper': ('gripper.pos', 'panda_finger_joint1'),
    'left position': ('left_x', 'left_ee_pz'),
    'right rotation': ('right_tcp_qw',),
    'left arm': ('kLeftWristRoll', 'left_wrist_roll'),
    'right hand': ('kRightHandThumbRotation',),
}


@pytest.mark.parametrize(('name', 'kind'), [
    (name, kind) for kind, names in KINDS.items() for name in names])
def test_a_name_tells_the_group_of_its_column(name, kind):
    assert kind_of(name) == kind


def test_groups_keep_the_order_of_the_columns():
    assert groups_of(COLUMNS) == {'position': [0, 1, 2], 'rotation': [3, 4, 5], 'gripper': [6]}


@pytest.mark.parametrize(('names', 'found'), [
    (('qw', 'qx', 'qy', 'qz'), {'rotation': [0, 1, 2, 3]}),
    (('x', 'rx', 'ry', 'rz', 'rw'), {'rotation': [1, 2, 3, 4]}),
    ([f'rot6d_{number}' for number in range(6)], {'rotation': [0, 1, 2, 3, 4, 5]}),
    (('roll', 'pitch', 'yaw'), {}),
    (('roll', 'pitch', 'yaw', 'droll', 'dpitch', 'dyaw'), {}),
    (COLUMNS, {})])
def test_quaternions_and_frames_are_told_from_angles(names, found):
    assert rotations_of(names) == found
