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
"""Bags of a robot, HDF5 and RLDS files become data sets with the same numbers and images."""

import cv2
from faster_ros.cli.data import main
from faster_ros.data.dataset_spec import ACTION, IMAGES, SOURCE, Source, STAMP, STATE, TICK
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.data.raw_bag import RawBag
from faster_ros.robot_spec import load_robot_spec
import numpy as np
import pytest
from test_bag_reader import STORE, TYPES

ROBOT = load_robot_spec('fr3')
JOINTS, PICTURES = 'sensor_msgs/msg/JointState', 'sensor_msgs/msg/CompressedImage'
START_NS, MS = 1_760_000_000 * 10**9, 1_000_000


def header(ns, frame=''):
    return TYPES['std_msgs/msg/Header'](
        TYPES['builtin_interfaces/msg/Time'](ns // 10**9, ns % 10**9), frame)


def joints(ns, names, positions):
    return TYPES[JOINTS](header(ns), list(names), np.array(positions, float), np.zeros(0),
                         np.zeros(0))


def picture(ns, level):
    pixels = np.full((480, 640, 3), level, np.uint8)
    pixels[:, :200] = (level, 20, 200)
    _, jpeg = cv2.imencode('.jpg', pixels[..., ::-1])
    return TYPES[PICTURES](header(ns), 'jpeg', jpeg.reshape(-1))


def messages(seconds):
    """Return (arrival, topic, type, message), cameras 30 and 50 ms late, joints 1 ms."""
    home, names = ROBOT.home_positions, ROBOT.joint_names
    found = []
    for t in range(0, int(seconds * 1000), 10):
        ns, move = START_NS + t * MS, np.sin(t / 500)
        found.append((ns + MS, ROBOT.state_topic, JOINTS,
                      joints(ns, ROBOT.driver_joint_names[::-1], (home + 0.1 * move)[::-1])))
        found.append((ns + MS, '/control_node/command', JOINTS,
                      joints(ns, names, home + 0.1 * move + 0.01)))
    for index, camera in enumerate(ROBOT.cameras.values()):
        found += [(START_NS + (t + 30 + 20 * index) * MS, f'{camera.topic}/compressed', PICTURES,
                   picture(START_NS + t * MS, 50 + t // 20))
                  for t in range(5 * index, int(seconds * 1000), 33)]
    found.append((START_NS + 1000 * MS, '/teleop_node/lead', 'std_msgs/msg/Header',
                  header(START_NS + 1000 * MS, 'intervention')))
    return sorted(found, key=lambda item: item[0])


def bag(folder, seconds=2.0, without='', also=()):
    said = [item for item in messages(seconds) if item[1] != without] + list(also)
    written = RawBag(folder, {topic: kind for _, topic, kind, _ in said})
    for arrival, topic, kind, message in said:
        while not written.write(topic, arrival, bytes(STORE.serialize_cdr(message, kind))):
            pass
    written.close()
    return folder


def test_a_bag_becomes_an_episode_with_its_true_stamps(tmp_path, capsys):
    bag(tmp_path / 'bag')
    assert main(['convert', str(tmp_path / 'bag'), '--robot', 'fr3', '--task', 'wave', '--rate',
                 '20', '--out', str(tmp_path / 'set')]) == 0
    assert 'bag -> 0: good' in capsys.readouterr().out
    assert main(['validate', str(tmp_path / 'set'), '--robot', 'fr3']) == 0
    dataset = LeRobotDataset(tmp_path / 'set')
    (entry,) = dataset.episodes
    columns = dataset.columns(entry)
    seconds = (columns[TICK][:, 0] - START_NS) / 1e9
    assert (entry.facts.task, len(seconds) > 35) == ('wave', True)
    np.testing.assert_allclose(columns[STATE][:, 3] - ROBOT.home_positions[3],
                               0.1 * np.sin(2 * seconds), atol=1e-4)
    lag = seconds - (columns[f'{STAMP}action'][:, 0] - START_NS) / 1e9
    assert 0 <= lag.min() and lag.max() < 0.010
    np.testing.assert_allclose(columns[ACTION][:, 3] - ROBOT.home_positions[3] - 0.01,
                               0.1 * np.sin(2 * (seconds - lag)), atol=1e-4)
    np.testing.assert_array_equal(
        columns[SOURCE][:, 0], np.where(seconds < 1.0, Source.NOBODY, Source.INTERVENTION))
    for camera in ROBOT.cameras:
        age = seconds - (columns[f'{STAMP}{camera}'][:, 0] - START_NS) / 1e9
        assert 0 <= age.min() and age.max() < 0.034
    shown = list(dataset.images(entry, f'{IMAGES}{next(iter(ROBOT.cameras))}'))
    assert len(shown) == len(seconds)
    left, right = shown[20][100, 50], shown[20][100, 400]
    assert abs(int(left[2]) - 200) < 25 and int(right.max()) - int(right.min()) < 12


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--task', 'wave'], 'bags need --robot'),
    (['--robot', 'fr3'], 'need --task'),
])
def test_what_a_bag_does_not_say_must_be_given(tmp_path, arguments, message):
    bag(tmp_path / 'bag', 0.2)
    with pytest.raises(ValueError, match=message):
        main(['convert', str(tmp_path / 'bag'), '--out', str(tmp_path / 'set'), *arguments])


@pytest.mark.parametrize(('arguments', 'source', 'remark'), [
    ([], Source.NOBODY, True),
    (['--led-by', 'policy'], Source.POLICY, False),
    (['--led-by', 'human'], Source.HUMAN, False),
])
def test_a_bag_that_does_not_say_who_led_invents_nobody(tmp_path, capsys, arguments, source,
                                                        remark):
    bag(tmp_path / 'bag', without='/teleop_node/lead')
    assert main(['convert', str(tmp_path / 'bag'), '--robot', 'fr3', '--task', 'wave', '--rate',
                 '10', '--out', str(tmp_path / 'set'), *arguments]) == 0
    assert ('who led is not said; --led-by says it' in capsys.readouterr().out) == remark
    dataset = LeRobotDataset(tmp_path / 'set')
    columns = dataset.columns(dataset.episodes[0])
    assert set(columns[SOURCE].ravel().tolist()) == {source}


def test_what_live_recording_would_drop_costs_a_bag_no_more_and_is_counted(tmp_path, capsys):
    at, camera = START_NS + 700 * MS, next(iter(ROBOT.cameras.values()))
    jpeg = TYPES[PICTURES](header(at), 'jpeg', np.frombuffer(b'no picture', np.uint8))
    nan = np.append(np.nan, ROBOT.home_positions[1:])
    names = ROBOT.driver_joint_names
    bag(tmp_path / 'bag', also=[
        (at, ROBOT.state_topic, JOINTS, joints(at, ['left_wheel', 'right_wheel'], [1, 2])),
        (at, ROBOT.state_topic, JOINTS, joints(at, names, nan)),
        (at, ROBOT.state_topic, JOINTS, joints(at, names[:3], [0, 0, 0])),
        (at, '/control_node/command', JOINTS, joints(at, ROBOT.joint_names, nan)),
        (at, f'{camera.topic}/compressed', PICTURES, jpeg)])
    assert main(['convert', str(tmp_path / 'bag'), '--robot', 'fr3', '--task', 'wave', '--rate',
                 '20', '--out', str(tmp_path / 'set')]) == 0
    printed = capsys.readouterr().out
    assert 'bag -> 0: good' in printed
    assert f'messages of {ROBOT.state_topic} refused: 2, the first as observation.state: ' in (
        printed)
    assert 'fr3_joint1 is nan' in printed
    assert 'messages of /control_node/command refused: 1, the first as action: ' in printed
    assert f'messages of {camera.topic}/compressed refused: 1, the first as 10 bytes' in printed
    assert len(LeRobotDataset(tmp_path / 'set').columns(
        LeRobotDataset(tmp_path / 'set').episodes[0])[STATE]) > 35


def test_what_a_stalled_recorder_heard_topic_by_topic_stands_in_its_own_rows(tmp_path):
    begin, end = START_NS + 800 * MS, START_NS + 1400 * MS
    late = [(end if begin < arrival < end else arrival, topic, kind, message)
            for arrival, topic, kind, message in messages(2.0)]
    late.sort(key=lambda item: (item[0], -len(item[1])))
    bag(tmp_path / 'bag', 0.0, also=late)
    assert main(['convert', str(tmp_path / 'bag'), '--robot', 'fr3', '--task', 'wave', '--rate',
                 '20', '--out', str(tmp_path / 'set')]) == 0
    dataset = LeRobotDataset(tmp_path / 'set')
    columns = dataset.columns(dataset.episodes[0])
    for stream, most_ms in {'action': 11, 'state': 11, **dict.fromkeys(ROBOT.cameras, 34)}.items():
        age = columns[TICK] - columns[f'{STAMP}{stream}']
        assert age.max() < most_ms * MS, stream


def test_a_bag_of_other_joints_alone_is_left_out_with_what_they_lack(tmp_path, capsys):
    wheels = [(START_NS, ROBOT.state_topic, JOINTS, joints(START_NS, ['wheel'], [1]))]
    bag(tmp_path / 'bag', 0.2, without=ROBOT.state_topic, also=wheels)
    assert main(['convert', str(tmp_path / 'bag'), '--robot', 'fr3', '--task', 'wave', '--out',
                 str(tmp_path / 'set')]) == 0
    printed = capsys.readouterr().out
    assert 'left out: ' in printed and 'no messages of state' in printed
    assert 'lacks fr3_joint1' in printed and 'it has wheel' in printed


def test_topics_and_joints_are_named_as_the_nodes_were_told(tmp_path):
    robot = load_robot_spec('fr3', 'left_', 'left')
    renamed = {ROBOT.state_topic: robot.state_topic,
               '/control_node/command': '/left/control_node/command',
               '/teleop_node/lead': '/left/teleop_node/lead'}
    said = []
    for arrival, topic, kind, message in messages(1.5):
        if kind == JOINTS:
            message.name[:] = [f'left_{name}' for name in message.name]
        said.append((arrival, renamed.get(topic, topic), kind, message))
    bag(tmp_path / 'bag', 0.0, also=said)
    assert main(['convert', str(tmp_path / 'bag'), '--robot', 'fr3', '--task', 'wave', '--rate',
                 '10', '--out', str(tmp_path / 'set'), '--joint-prefix', 'left_',
                 '--driver-namespace', 'left', '--namespace', 'left']) == 0
    dataset = LeRobotDataset(tmp_path / 'set')
    assert len(dataset.episodes) == 1
    assert main(['validate', str(tmp_path / 'set'), '--robot', 'fr3', '--joint-prefix',
                 'left_']) == 0


def test_a_bag_without_what_was_sent_is_left_out_by_topic(tmp_path, capsys):
    bag(tmp_path / 'bag', 0.2, without='/control_node/command')
    assert main(['convert', str(tmp_path / 'bag'), '--robot', 'fr3', '--task', 'wave', '--out',
                 str(tmp_path / 'set')]) == 0
    assert 'left out: ' in (printed := capsys.readouterr().out)
    assert 'expected /control_node/command of fr3' in printed


def test_sources_that_cannot_be_used_are_named_before_anything_is_written(tmp_path):
    bag(tmp_path / 'bag', 0.2)
    rlds(tmp_path / 'toy', (30,))
    (tmp_path / 'demo.hdf5').write_bytes(b'\x89HDF\r\n\x1a\n')
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'notes.hdf5').write_text('no HDF5')
    for sources, message in [
            (('bag', 'gab'), 'bag is bags, .*gab is not there'),
            (('gone.mcap',), 'gone.mcap is not there'),
            (('bag', 'demo.hdf5'), 'bag is bags, .*demo.hdf5 is HDF5'),
            (('toy', 'demo.hdf5'), 'toy is RLDS, .*demo.hdf5 is HDF5'),
            (('notes.hdf5', 'demo.hdf5'), 'notes.hdf5 is none of these'),
            (('bag', 'empty'), 'empty is none of these')]:
        with pytest.raises(ValueError, match=message):
            main(['convert', *(str(tmp_path / source) for source in sources), '--robot', 'fr3',
                  '--task', 'wave', '--rate', '20', '--out', str(tmp_path / 'set')])
    assert not (tmp_path / 'set').exists()


def test_an_interrupted_episode_says_its_own_task(tmp_path, capsys):
    for number, told in (('000', '{"task": "stack", "operator": "ada"}'), ('001', '{"ta'),
                         ('002', '{"task": "pour"}')):
        bag(tmp_path / 'interrupted' / number / 'raw', 1.5)
        (tmp_path / 'interrupted' / number / 'facts.json').write_text(told)
    convert = ['convert', str(tmp_path / 'interrupted'), '--robot', 'fr3', '--rate', '10']
    assert main([*convert, '--out', str(tmp_path / 'own')]) == 0
    printed = capsys.readouterr().out
    assert 'interrupted/001/raw: left out: it does not say what is done' in printed
    entries = LeRobotDataset(tmp_path / 'own').episodes
    assert [entry.facts.task for entry in entries] == ['stack', 'pour']
    assert entries[0].facts.facts == {'operator': 'ada', 'source': 'interrupted/000/raw'}
    assert main([*convert, '--task', 'wave', '--out', str(tmp_path / 'told')]) == 0
    assert [entry.facts.task for entry in LeRobotDataset(tmp_path / 'told').episodes] == [
        'wave'] * 3


def test_the_bags_of_interrupted_episodes_are_found(tmp_path, capsys):
    for number, end in (('000', True), ('001', False)):
        made = bag(tmp_path / 'interrupted' / number / 'raw', 1.5)
        if not end:
            (made / 'metadata.yaml').unlink()
    for source, written in (('interrupted', 2), ('interrupted/000', 1), ('interrupted/001', 1),
                            ('interrupted/001/raw', 1)):
        out = tmp_path / source.replace('/', '_')
        assert main(['convert', str(tmp_path / source), '--robot', 'fr3', '--task', 'wave',
                     '--rate', '10', '--out', str(out / 'set')]) == 0
        assert len(LeRobotDataset(out / 'set').episodes) == written
    assert 'interrupted/000/raw -> 0' in (printed := capsys.readouterr().out)
    assert '001/raw/raw.mcap -> 1' in printed


def test_aloha_files_become_episodes(tmp_path):
    h5py = pytest.importorskip('h5py')
    numbers = np.random.default_rng(0).standard_normal((2, 60, 14)).astype(np.float32)
    colours = np.zeros((60, 48, 64, 3), np.uint8) + np.array([200, 100, 20], np.uint8)
    jpegs = [cv2.imencode('.jpg', image[..., ::-1])[1].reshape(-1) for image in colours]
    padded = np.zeros((60, max(map(len, jpegs))), np.uint8)
    for row, jpeg in zip(padded, jpegs):
        row[:len(jpeg)] = jpeg
    for name, images in (('pixels', colours), ('jpegs', padded)):
        with h5py.File(tmp_path / f'{name}.hdf5', 'w') as file:
            file['action'], file['observations/qpos'] = numbers
            file['observations/images/cam_high'] = images
        out = tmp_path / name
        assert main(['convert', str(tmp_path / f'{name}.hdf5'), '--rate', '50', '--task', 'fold',
                     '--out', str(out)]) == 0
        dataset = LeRobotDataset(out)
        columns = dataset.columns(dataset.episodes[0])
        np.testing.assert_array_equal(columns[ACTION], numbers[0])
        np.testing.assert_array_equal(columns[STATE], numbers[1])
        shown = list(dataset.images(dataset.episodes[0], f'{IMAGES}cam_high'))
        assert np.abs(shown[30].astype(int) - colours[30]).mean() < 6


def test_robomimic_demos_become_episodes_in_the_order_of_their_numbers(tmp_path):
    h5py = pytest.importorskip('h5py')
    with h5py.File(tmp_path / 'low.hdf5', 'w') as file:
        for number in (0, 2, 10):
            rows = 30 + number
            demo = file.create_group(f'data/demo_{number}')
            demo['actions'] = np.full((rows, 7), number, np.float32)
            demo['obs/robot0_joint_pos'] = np.ones((rows, 7))
            demo['obs/robot0_gripper_qpos'] = np.zeros((rows, 2))
            demo['obs/agentview_image'] = np.full((rows, 84, 84, 3), 90, np.uint8)
    assert main(['convert', str(tmp_path / 'low.hdf5'), '--rate', '20', '--task', 'lift', '--out',
                 str(tmp_path / 'set')]) == 0
    dataset = LeRobotDataset(tmp_path / 'set')
    assert [entry.length for entry in dataset.episodes] == [30, 32, 40]
    assert dataset.columns(dataset.episodes[2])[ACTION][0, 0] == 10
    assert dataset.spec().numbers[STATE].shape == (9,)


def field(number, content):
    """Return a field of a protocol buffers message: bytes, or a number."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value):
    """Return a number in groups of seven bits, the lowest first."""
    value %= 2**64
    groups = []
    while True:
        groups.append(value & 127 | (128 if value > 127 else 0))
        value >>= 7
        if not value:
            return bytes(groups)


def example(features):
    """Return a tf.train.Example of lists of bytes, floats and whole numbers, by name."""
    entries = []
    for name, values in features.items():
        if isinstance(values[0], bytes):
            kind, content = 1, b''.join(field(1, value) for value in values)
        elif isinstance(values[0], float):
            kind, content = 2, field(1, np.array(values, '<f4').tobytes())
        else:
            kind, content = 3, field(1, b''.join(varint(value) for value in values))
        entries.append(field(1, field(1, name.encode()) + field(2, field(kind, content))))
    return field(1, b''.join(entries))


def rlds(folder, episodes, **changes):
    """Write an RLDS folder with a record for each episode; returns the action of the last."""
    folder.mkdir()
    shown = cv2.imencode('.png', np.full((48, 64, 3), (20, 100, 200), np.uint8))[1].tobytes()
    with (folder / 'toy-train.tfrecord-00000-of-00001').open('wb') as file:
        for rows in episodes:
            action = np.random.default_rng(rows).standard_normal((rows, 7)).astype(np.float32)
            features = {
                'steps/action': action.ravel().tolist(),
                'steps/observation/state': (2 * action).ravel().tolist(),
                'steps/observation/image': [shown] * rows,
                'steps/observation/image_name': [b'front'] * rows,
                'steps/is_first': [1] + [0] * (rows - 1), 'steps/reward': [-1] * rows,
                'steps/language_instruction': [b'put the carrot on the plate'] * rows} | changes
            record = example({key: value for key, value in features.items() if value})
            file.write(len(record).to_bytes(8, 'little') + b'sum.' + record + b'sum.')
    return action


def test_rlds_episodes_become_episodes_with_their_instruction(tmp_path):
    action = rlds(tmp_path / 'toy', (30, 44))
    assert main(['convert', str(tmp_path / 'toy'), '--rate', '10', '--out',
                 str(tmp_path / 'set')]) == 0
    dataset = LeRobotDataset(tmp_path / 'set')
    assert [entry.length for entry in dataset.episodes] == [30, 44]
    assert dataset.tasks == {0: 'put the carrot on the plate'}
    assert dataset.cameras == [f'{IMAGES}image']
    columns = dataset.columns(dataset.episodes[1])
    np.testing.assert_array_equal(columns[ACTION], action)
    np.testing.assert_array_equal(columns[STATE], 2 * action)
    shown = next(iter(dataset.images(dataset.episodes[1], f'{IMAGES}image')))
    assert np.abs(shown.mean((0, 1)) - (200, 100, 20)).max() < 6


@pytest.mark.parametrize('silent', [0, 1])
def test_a_record_without_an_instruction_is_left_out_named_and_counted(tmp_path, capsys, silent):
    for number in range(3):
        changes = {'steps/language_instruction': [b''] * 30} if number == silent else {}
        rlds(tmp_path / f'toy_{number}', (30,), **changes)
    assert main(['convert', *(str(tmp_path / f'toy_{number}') for number in range(3)), '--rate',
                 '10', '--out', str(tmp_path / 'set')]) == 0
    printed = capsys.readouterr().out
    assert 'toy-train.tfrecord-00000-of-00001 record 0: left out: it does not say what' in printed
    assert printed.endswith('1 of 3 episodes are left out\n')
    assert len(LeRobotDataset(tmp_path / 'set').episodes) == 2


@pytest.mark.parametrize(('changes', 'message'), [
    ({'steps/action': None}, 'record 0 needs steps/is_first, steps/action and .*, got steps/is'),
    ({'steps/action': [1.0] * 31}, 'action has 31 values, expected as many numbers for each'),
    ({'steps/language_instruction': None}, 'the files do not say what is done'),
    ({'steps/observation/image': [b'\x89PNG'] * 29}, "rows of different lengths: .*'image': 29"),
])
def test_rlds_that_cannot_be_rows_is_named(tmp_path, changes, message):
    rlds(tmp_path / 'toy', (30,), **changes)
    with pytest.raises(ValueError, match=message):
        main(['convert', str(tmp_path / 'toy'), '--rate', '10', '--out', str(tmp_path / 'set')])


def test_a_file_that_ends_within_a_record_is_named(tmp_path):
    rlds(tmp_path / 'toy', (30,))
    (file,) = (tmp_path / 'toy').iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(ValueError, match='ends within a record'):
        main(['convert', str(file), '--rate', '10', '--out', str(tmp_path / 'set')])
