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
"""Topics, joints, cameras and the machine: what is found, and which remedy is named."""

from dataclasses import replace

from faster_ros.doctor import camera_checks, joint_checks, stream_checks, system_checks
from faster_ros.doctor.facts import (
    CameraFacts,
    Endpoint,
    MissingPackage,
    Quality,
    SystemFacts,
)
from faster_ros.robot_spec import load_robot_spec
from healthy import assert_line, BEST_EFFORT, DRIVER, home, joints, SPEC, STATES, states, stream
import numpy as np
import pytest

UR = load_robot_spec('ur5e')
FAST_DDS = SystemFacts(middleware='rmw_fastrtps_cpp', profile_variable='FASTDDS_PROFILES')


# Topics.

@pytest.mark.parametrize(('changes', 'state', 'found', 'remedy'), [
    ({}, 'ok', '300 messages in 3 s on /joint_states from /driver', ''),
    ({'publishers': (), 'arrivals_ns': (), 'similar': ('/franka/joint_states',)}, 'critical',
     'nobody publishes /joint_states; sensor_msgs/msg/JointState comes on /franka/joint_states',
     'start its driver, or correct the topic'),
    ({'publishers': (Endpoint('/cam', 'sensor_msgs/msg/Image'),)}, 'critical',
     'carries sensor_msgs/msg/Image from /cam; expected sensor_msgs/msg/JointState',
     'correct the topic'),
    ({'arrivals_ns': ()}, 'critical', 'no message on /joint_states in 3 s, though /driver',
     'connected to the hardware'),
    ({'publishers': (DRIVER, Endpoint('/joint_state_publisher', STATES))}, 'warning',
     'from 2 publishers: /driver, /joint_state_publisher', 'stop all but one'),
])
def test_a_topic_is_there_with_one_publisher_and_messages(changes, state, found, remedy):
    assert_line(stream_checks.presence('joint states', stream(**changes)), state, found, remedy)


@pytest.mark.parametrize(('offered', 'requested', 'reason'), [
    (Quality(), Quality(), ''),
    (Quality(), BEST_EFFORT, ''),
    (Quality(transient_local=True), Quality(), ''),
    (BEST_EFFORT, Quality(), 'best effort is offered, reliable asked'),
    (Quality(), Quality(transient_local=True), 'volatile is offered, transient local asked'),
    (Quality(), Quality(deadline_s=0.1), 'a deadline of inf s is offered, 0.1 s asked'),
    (Quality(deadline_s=0.05), Quality(deadline_s=0.1), ''),
])
def test_qualities_of_service_fit_or_the_policy_is_named(offered, requested, reason):
    assert stream_checks.mismatch(offered, requested) == reason
    watched = stream(publishers=(replace(DRIVER, quality=offered),), requested=requested)
    assert_line(stream_checks.quality('joint QoS', watched), 'critical' if reason else 'ok',
                reason, 'quality of service' if reason else '')


@pytest.mark.parametrize(('rate_hz', 'state', 'found'), [
    (100.0, 'ok', '100.0 Hz, robot file 100 Hz'),
    (250.0, 'ok', '250.0 Hz'),
    (60.0, 'warning', '60.0 Hz, robot file 100 Hz'),
    (3.0, 'critical', '0.33 s between messages, more than the 0.2 s after which the arm holds'),
])
def test_a_low_rate_is_named_and_one_that_stops_the_arm_is_critical(rate_hz, state, found):
    assert_line(stream_checks.rate('joint rate', stream(rate_hz), 100.0, 0.2), state, found,
                '' if state == 'ok' else 'raise the rate of the driver')


def test_a_gap_longer_than_the_arm_waits_is_a_warning():
    times = stream().arrivals_ns
    watched = stream(arrivals_ns=times[:100] + times[150:])
    assert_line(stream_checks.rate('joint rate', watched, 100.0, 0.2), 'warning',
                'one gap of 0.51 s, the arm holds after 0.2 s', 'raise')


@pytest.mark.parametrize(('age_s', 'state', 'found', 'remedy'), [
    (0.01, 'ok', '10 ms old on arrival, in order', ''),
    (0.5, 'critical', 'stamps are 0.50 s old; limit 0.2 s', 'what delays the messages'),
    (7200.0, 'critical', 'stamps are 7200.00 s old', 'synchronise the clocks'),
    (-5.0, 'critical', 'stamps are 5.00 s in the future', 'synchronise the clocks'),
    (-0.05, 'warning', 'stamps are 0.05 s in the future', 'synchronise the clocks'),
])
def test_a_clock_that_is_off_is_found(age_s, state, found, remedy):
    assert_line(stream_checks.stamps('joint stamps', stream(age_s=age_s), 0.2), state, found,
                remedy)


def test_zero_stamps_steps_and_repeated_stamps_are_found():
    times = list(stream().stamps_ns)
    zero = stream(stamps_ns=(0,) * len(times))
    assert_line(stream_checks.stamps('s', zero, 0.2), 'critical', '100% of the stamps are zero',
                'fill header.stamp')
    back = stream(stamps_ns=tuple(times[:150] + [time - 50_000_000 for time in times[150:]]))
    assert_line(stream_checks.stamps('s', back, 0.2), 'critical', 'go back by up to 0.040 s',
                'one node publish')
    late = stream(stamps_ns=tuple([time - 300_000_000 for time in times[:50]] + times[50:]))
    assert_line(stream_checks.stamps('s', late, 0.5), 'warning', 'ages differ by 0.30 s',
                'a clock set meanwhile')
    twice = stream(stamps_ns=tuple(times[index - index % 2] for index in range(len(times))))
    assert_line(stream_checks.stamps('s', twice, 0.2), 'warning', '50% of the stamps repeat',
                'faster than it measures')


# Joints.

def test_joints_in_another_order_are_matched_by_name():
    order = SPEC.joint_names[::-1]
    assert_line(joint_checks.names(SPEC, joints(names=SPEC.joint_names)), 'ok',
                'all 8, in the order of the robot file')
    assert_line(joint_checks.names(SPEC, joints(names=order)), 'ok',
                'fr3_finger_joint1 first, not fr3_joint1: they are matched by name')


@pytest.mark.parametrize(('names', 'complete', 'state', 'remedy'), [
    (SPEC.joint_names[:-1], 0, 'critical', 'start what publishes the missing joint'),
    (tuple(f'left_{name}' for name in SPEC.joint_names), 0, 'critical', 'joint_prefix:=left_'),
    (UR.joint_names, 0, 'critical', 'is this the robot that is connected?'),
    ((*SPEC.joint_names, 'fr3_joint1'), 300, 'critical', 'one name and one publisher'),
    (SPEC.joint_names, 150, 'warning', 'merge the states of arm and gripper'),
])
def test_missing_prefixed_and_doubled_joints_are_named(names, complete, state, remedy):
    facts = joints(np.zeros(len(names)), names, complete=complete, problem='lacks something')
    assert_line(joint_checks.names(SPEC, facts), state, '', remedy)


@pytest.mark.parametrize(('positions', 'state', 'found'), [
    (SPEC.home_positions, 'ok', ''),
    (np.degrees(SPEC.home_positions), 'critical', 'looks like degrees'),
    (home(j7=40.0), 'critical', 'fr3_finger_joint1 looks like mm'),
    (home(j7=100.0), 'critical', 'percent or counts?'),
    (home(j3=-0.05), 'warning', 'fr3_joint4 at -0.05; outside of the limits'),
    (home(j0=float('nan')), 'critical', 'fr3_joint1 is nan'),
])
def test_degrees_and_millimetres_are_told_from_a_joint_beyond_its_limit(positions, state, found):
    assert_line(joint_checks.units(SPEC, joints(positions)), state, found,
                '' if state == 'ok' else ' ')


# Cameras.

def camera(rate_hz=30.0, unreadable='', encoding='rgb8', size_bytes=921_600, **changes):
    facts = CameraFacts('front', stream(rate_hz, type_name='sensor_msgs/msg/Image'), encoding,
                        640, 480, size_bytes, unreadable)
    return replace(facts, **changes)


@pytest.mark.parametrize(('facts', 'state', 'remedy'), [
    (camera(), 'ok', ''),
    (camera(unreadable='size 1280x720; expected 640x480'), 'critical', 'set the resolution'),
    (camera(unreadable="encoding '16UC1'; expected one of rgb8", encoding='16UC1'), 'critical',
     'this is a depth image'),
    (camera(unreadable="encoding 'bayer_rggb8'", encoding='bayer_rggb8'), 'critical',
     'set the colour format'),
])
def test_an_image_the_policy_cannot_read_is_critical(facts, state, remedy):
    assert_line(camera_checks.images(facts), state, facts.unreadable, remedy)


def test_lost_frames_are_counted_between_the_stamps():
    kept = [index for index in range(90) if index % 6 != 5]
    healthy = camera()
    lossy = camera(stream=replace(healthy.stream, stamps_ns=tuple(
        healthy.stream.stamps_ns[index] for index in kept)))
    assert_line(camera_checks.lost_frames(healthy, FAST_DDS), 'ok', '0 of 90 lost')
    assert_line(camera_checks.lost_frames(lossy, FAST_DDS), 'warning', '14 of 89 lost',
                'FASTDDS_PROFILES=<share>/faster_ros/config/fastdds_large_images.xml')
    uneven = camera(stream=replace(healthy.stream, stamps_ns=tuple(
        stamp + 15_000_000 * (index % 10 == 5)
        for index, stamp in enumerate(healthy.stream.stamps_ns))))
    assert_line(camera_checks.lost_frames(uneven, FAST_DDS), 'ok', '0 of 90 lost')
    small = replace(lossy, size_bytes=60_000)
    assert_line(camera_checks.lost_frames(small, FAST_DDS), 'warning', '14 of 89',
                'machine or the USB bus overloaded')


@pytest.mark.parametrize(('size_bytes', 'system', 'state'), [
    (921_600, FAST_DDS, 'warning'),
    (921_600, replace(FAST_DDS, profile='/mine.xml', segment_bytes=1 << 20), 'warning'),
    (921_600, replace(FAST_DDS, profile='/large.xml', segment_bytes=1 << 26), 'ok'),
    (57_600, FAST_DDS, 'ok'),
    (0, FAST_DDS, 'warning'),
    (921_600, SystemFacts(middleware='rmw_cyclonedds_cpp'), 'ok'),
])
def test_large_images_need_more_shared_memory_under_fast_dds(size_bytes, system, state):
    assert_line(camera_checks.shared_memory((camera(size_bytes=size_bytes),), system), state)


# The machine.

@pytest.mark.parametrize(('system', 'check', 'remedy'), [
    (SystemFacts(cores=2), 'real-time priority', 'rtprio'),
    (SystemFacts(cores=1), 'processor', 'two cores'),
    (SystemFacts(cores=2, governor='powersave'), 'processor', 'performance'),
])
def test_what_the_machine_lacks_comes_with_a_remedy(system, check, remedy):
    (line,) = [line for line in system_checks.system_lines(SPEC, system) if line.check == check]
    assert_line(line, 'warning', '', remedy)


def test_a_missing_package_is_critical_unless_all_else_runs_without_it():
    gripper = MissingPackage('control_msgs', 'the gripper', 'sudo apt install x')
    gate = MissingPackage('piper_msgs', 'watching /arm_status', 'sudo apt install y', True)
    assert_line(system_checks.packages(SystemFacts(missing=(gate, gate))), 'warning',
                'piper_msgs is missing, needed for watching /arm_status', 'sudo apt install y')
    both = system_checks.packages(SystemFacts(missing=(gate, gripper)))
    assert_line(both, 'critical', 'control_msgs is missing', 'sudo apt install y, sudo apt instal')


def test_a_ready_machine_has_only_green_lines_and_fast_commands_want_another_kernel():
    ready = SystemFacts(real_time=True, cores=4, governor='performance')
    assert states(system_checks.system_lines(SPEC, ready)) == ['ok'] * 4
    fast = replace(SPEC, command_rate_hz=500.0)
    assert_line(system_checks.kernel(fast, ready), 'warning', '500 Hz', 'PREEMPT_RT')
    assert_line(system_checks.kernel(fast, replace(ready, real_time_kernel=True)), 'ok')
