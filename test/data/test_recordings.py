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
"""Reading recordings: what is used, what is left out and named, what is refused."""

from faster_ros.data.recorded_episodes import is_gripper
from faster_ros.data.recordings import fit_normaliser, read_recording, Reading, windows
from faster_ros.robot_spec import load_robot_spec, robot_names
import numpy as np
import pytest

RNG = np.random.default_rng(0)


def save(path, episodes, rate_hz=10.0, names=('a', 'b'), **changes):
    """Write a recording; a change of None leaves a key out."""
    arrays = {'data': np.concatenate(episodes), 'rate_hz': rate_hz, 'dims': list(names),
              'lengths': [len(episode) for episode in episodes], **changes}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def episode(rows=30):
    """Return a random walk of two columns."""
    return np.cumsum(RNG.standard_normal((rows, 2)), 0)


def test_episodes_come_back_apart_and_in_order(tmp_path):
    episodes = [episode(30), episode(40)]
    recording = read_recording([save(tmp_path / 'a.npz', episodes)], 1.0)
    assert [len(one) for one in recording.episodes] == [30, 40]
    assert np.array_equal(recording.episodes[1], episodes[1])
    assert (recording.rate_hz, recording.names, recording.excluded) == (10.0, ['a', 'b'], [])


@pytest.mark.parametrize('value, text', [
    (np.nan, 'b is nan in row 7'), (np.inf, 'b is inf in row 7'),
    (1e100, r'b is 1e\+100 in row 7, far outside its usual range'),
])
def test_an_episode_with_an_impossible_value_is_left_out_by_name(tmp_path, value, text):
    episodes = [episode(), episode(), episode()]
    episodes[1][7, 1] = value
    recording = read_recording([save(tmp_path / 'a.npz', episodes)], 1.0)
    assert len(recording.episodes) == 2
    (excluded,) = recording.excluded
    assert excluded.episode == 1
    with pytest.raises(AssertionError, match=text):
        raise AssertionError(excluded.reason)


def test_an_episode_shorter_than_a_chunk_is_left_out(tmp_path):
    recording = read_recording([save(tmp_path / 'a.npz', [episode(), episode(9), episode()])], 1.0)
    assert [item.reason for item in recording.excluded] == [
        '9 rows at 10 Hz are shorter than a chunk of 10']


def test_many_impossible_values_in_one_episode_leave_it_out_and_the_range_alone(tmp_path):
    episodes = [episode() for _ in range(5)]
    expected = fit_normaliser([episodes[place] for place in (0, 1, 2, 4)], [])
    episodes[3][5:, 0] = 1e100
    recording = read_recording([save(tmp_path / 'a.npz', episodes)], 1.0)
    assert [item.episode for item in recording.excluded] == [3]
    normaliser = fit_normaliser(recording.episodes, [])
    assert np.array_equal(normaliser.high, expected.high)


def test_a_glitch_of_a_gripper_is_found_before_resampling_holds_it(tmp_path):
    episodes = [np.repeat([0.08, 0.0, 0.08], 20)[:, None] * [0, 1] + episode(60) * [1, 0]
                for _ in range(3)]
    episodes[1][30, 1] = 5.0
    path = save(tmp_path / 'a.npz', episodes, names=('a', 'gripper'))
    recording = read_recording([path], 1.0, Reading(rate_hz=100.0))
    assert [item.reason.split(',')[0] for item in recording.excluded] == ['gripper is 5 in row 30']


def test_one_usable_episode_is_refused_with_the_reasons(tmp_path):
    path = save(tmp_path / 'a.npz', [episode(), episode(3)])
    with pytest.raises(ValueError, match='at least 2 usable episodes.*got 1 of 2.*episode 1: 3 r'):
        read_recording([path], 1.0)


def test_one_usable_episode_is_enough_where_nothing_is_fitted(tmp_path):
    path = save(tmp_path / 'a.npz', [episode(), episode(3)])
    assert len(read_recording([path], 1.0, Reading(episodes=1)).episodes) == 1
    with pytest.raises(ValueError, match='expected a usable episode, got 0 of 2'):
        read_recording([path], 4.0, Reading(episodes=1))


def test_the_numbers_of_the_used_episodes_count_those_left_out(tmp_path):
    path = save(tmp_path / 'a.npz', [episode(), episode(3), episode()])
    assert read_recording([path], 1.0).numbers == [0, 2]


def test_the_rows_of_a_chunk_may_be_given_whatever_the_rate(tmp_path):
    path = save(tmp_path / 'a.npz', [episode(30), episode(12), episode(30)])
    recording = read_recording([path], 1.0, Reading(rows=20))
    assert [item.reason for item in recording.excluded] == [
        '12 rows at 10 Hz are shorter than a chunk of 20']


def test_rates_that_differ_by_rounding_are_one(tmp_path):
    path = save(tmp_path / 'a.npz', [episode(), episode()], [15.0, 15.00001])
    assert read_recording([path], 1.0).rate_hz == 15.0
    recording = read_recording([path], 1.0, Reading(rate_hz=15.0))
    assert recording.notes == []


def test_mixed_rates_are_refused_by_name(tmp_path):
    paths = [save(tmp_path / 'a.npz', [episode()], 10.0),
             save(tmp_path / 'b.npz', [episode()], 20.0)]
    with pytest.raises(ValueError, match=r'10 Hz in a.npz .*, 20 Hz in b.npz .* --rate'):
        read_recording(paths, 1.0)
    with pytest.raises(ValueError, match=r'10 Hz in c.npz .* 0, 20 Hz in c.npz .* 1'):
        read_recording([save(tmp_path / 'c.npz', [episode(), episode()], [10.0, 20.0])], 1.0)


def test_mixed_rates_are_resampled_to_the_rate_asked_for_and_said_so(tmp_path):
    slow = np.stack([np.arange(20.0), np.arange(20) // 10], 1)  # 2 s
    fast = np.stack([np.arange(40) / 2, np.arange(40) // 20], 1)
    path = save(tmp_path / 'a.npz', [slow, fast], [10.0, 20.0], names=('a', 'gripper'))
    recording = read_recording([path], 1.0, Reading(rate_hz=20.0))
    assert recording.rate_hz == 20.0
    np.testing.assert_allclose(recording.episodes[0][:, 0], np.arange(39) / 2)
    assert set(recording.episodes[0][:, 1]) == {0.0, 1.0}  # a gripper is never half open
    assert recording.notes == ['1 episodes are resampled from 10 to 20 Hz']
    with pytest.raises(ValueError, match='--rate must be positive, got -5'):
        read_recording([path], 1.0, Reading(rate_hz=-5.0))


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(ValueError, match='expected a LeRobotDataset .* or bags .*, got neither'):
        read_recording([tmp_path], 1.0)


def test_files_of_different_columns_are_refused(tmp_path):
    paths = [save(tmp_path / 'a.npz', [episode()]),
             save(tmp_path / 'b.npz', [episode()], names=('a', 'c'))]
    with pytest.raises(ValueError, match=r'b.npz.*expected the columns .*a.*got'):
        read_recording(paths, 1.0)


@pytest.mark.parametrize('changes, message', [
    ({'rate_hz': None}, 'rate_hz is missing'),
    ({'lengths': [30, 31]}, 'add up to the 60 rows'),
    ({'dims': ['a']}, 'must name the 2 columns'),
    ({'rate_hz': -1.0}, 'must be positive'),
    ({'data': np.array([['x', 'y']] * 60)}, 'data must be numbers'),
    ({'data': np.ones((60, 2))}, 'all of them are constant'),
    ({'data': np.full((60, 2), np.nan)}, 'every row holds NaN'),
    ({'rate_hz': 1.0}, 'at least 2 rows'),
])
def test_a_broken_file_is_refused_with_the_reason(tmp_path, changes, message):
    path = save(tmp_path / 'a.npz', [episode(), episode()], **changes)
    with pytest.raises(ValueError, match=message):
        read_recording([path], 1.0)


def test_pickled_objects_and_other_files_are_refused(tmp_path):
    path = save(tmp_path / 'a.npz', [episode()], dims=np.array(['a', {}], dtype=object))
    with pytest.raises(ValueError, match='allow_pickle'):
        read_recording([path], 1.0)
    (tmp_path / 'b.npz').write_bytes(b'PK\x03\x04 nothing more')
    with pytest.raises(ValueError, match='expected an .npz file'):
        read_recording([tmp_path / 'b.npz'], 1.0)
    with pytest.raises(OSError, match='c.npz'):
        read_recording([tmp_path / 'c.npz'], 1.0)


def test_a_constant_column_is_named_and_maps_to_zero(tmp_path):
    episodes = [episode(), episode()]
    for one in episodes:
        one[:, 0] = 0.7
    recording = read_recording([save(tmp_path / 'a.npz', episodes)], 1.0)
    assert recording.notes == ['a is constant (0.7) and costs tokens for nothing']
    normaliser = fit_normaliser(recording.episodes, [])
    assert (normaliser.normalise(recording.episodes[0])[:, 0] == 0).all()
    assert normaliser.restore(np.zeros(2))[0] == pytest.approx(0.7)


def test_a_rare_gripper_keeps_its_full_range():
    rows = np.zeros((1000, 1))
    rows[500:503] = 1.0
    normaliser = fit_normaliser([rows], [])
    assert (normaliser.low[0], normaliser.high[0]) == (0.0, 1.0)


def test_columns_are_grouped_by_what_their_names_say(tmp_path):
    names = ['left_elbow', 'left_gripper', 'px_cm', 'qw', 'kRightHandIndex', 'joint_1']
    data = np.concatenate([episode(), episode()])[:, [0, 1, 0, 1, 0, 1]]
    path = save(tmp_path / 'a.npz', [data[:30], data[30:]], names=names)
    recording = read_recording([path], 1.0)
    assert recording.groups == {'left arm': [0], 'left gripper': [1], 'position': [2],
                                'rotation': [3], 'right hand': [4], 'arm': [5]}
    assert recording.grippers == [1]


def test_the_grippers_of_our_robots_and_no_other_columns_are_known_by_their_names():
    for robot in robot_names():
        spec = load_robot_spec(robot)
        assert [column for column, name in enumerate(spec.action_names)
                if is_gripper(name)] == list(spec.gripper_indices), robot


@pytest.mark.parametrize(('name', 'gripper'), [
    ('panda_finger_joint1', True), ('left_finger', True), ('finger_joint', True),
    ('robotiq_85_left_knuckle_joint', True), ('kLeftHandThumbBend', False),
    ('left_index_finger', False), ('right_hand_finger_2', False), ('ring_finger_knuckle', False)])
def test_a_finger_is_a_gripper_unless_it_is_one_of_a_hand(name, gripper):
    assert is_gripper(name) == gripper


def test_a_knuckle_is_a_gripper_of_the_side_of_its_arm(tmp_path):
    names = ['right_elbow', 'right_robotiq_85_left_knuckle_joint', 'robotiq_85_left_knuckle_joint']
    data = np.concatenate([episode(), episode()])[:, [0, 1, 0]]
    path = save(tmp_path / 'a.npz', [data[:30], data[30:]], names=names)
    assert read_recording([path], 1.0).groups == {
        'right arm': [0], 'right gripper': [1], 'gripper': [2]}


def test_quaternions_keep_their_sign_within_an_episode(tmp_path):
    angle = np.linspace(0, 3 * np.pi, 60)[:, None] / 2
    turning = np.concatenate([np.cos(angle), np.sin(angle), 0 * angle, 0 * angle], 1)
    canonical = turning * np.where(turning[:, :1] < 0, -1, 1)  # as drivers that keep w positive
    path = save(tmp_path / 'a.npz', [turning, canonical], names=('qw', 'qx', 'qy', 'qz'))
    recording = read_recording([path], 1.0)
    for one in recording.episodes:
        assert np.allclose(one, turning)
    assert recording.notes[0].startswith('the sign of quaternions changes within 1 episodes')


def test_a_column_of_two_values_opens_and_closes_like_a_gripper(tmp_path):
    rows = np.concatenate([episode(), np.repeat([[0.0, 3.0, 7.0]], 30, 0)], 1)
    rows[10:, 2] = 1.0
    path = save(tmp_path / 'a.npz', [rows, rows], names=('a', 'b', 'suction', 'gripper', 'still'))
    assert read_recording([path], 1.0).binary == [2, 3]


def test_windows_never_cross_an_episode():
    first, second = np.arange(5.0)[:, None], 100 + np.arange(4.0)[:, None]
    chunks = windows([first, second], 3, 2)
    assert chunks[..., 0].tolist() == [[0, 1, 2], [2, 3, 4], [100, 101, 102]]
