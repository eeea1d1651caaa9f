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
"""``faster_ros data``: every job on data sets that were recorded, converted, damaged."""

from dataclasses import replace
import os
import re
import shutil

from faster_ros.cli.data import main
from faster_ros.data.bag_reader import read_bags
from faster_ros.data.dataset_spec import ACTION, IMAGES, SOURCE, Source, STATE, whole
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.data.lerobot_reader import read_lerobot
from faster_ros.data.lerobot_writer import LeRobotWriter
import numpy as np
import pytest
from recording_samples import as_v2, EpisodeFacts, FACTS, frame, record, SPEC
from test_raw_bag import write

parquet = pytest.importorskip('pyarrow.parquet')


@pytest.fixture
def folder(tmp_path):
    """Return a data set of three episodes."""
    writer = LeRobotWriter(tmp_path / 'set', SPEC, min_free_bytes=0, live=False)
    for rows, task in ((40, 'pick'), (30, 'place'), (20, 'pick')):
        record(writer, rows, EpisodeFacts(task))
    writer.close()
    return tmp_path / 'set'


def same(one, other, pairs):
    """Compare episodes of two data sets: numbers exactly, images exactly."""
    first, second = LeRobotDataset(one), LeRobotDataset(other)
    for number, twin in pairs:
        left, right = first.episodes[number], second.episodes[twin]
        assert left.facts.task == right.facts.task
        for name in (STATE, ACTION, 'timestamp', 'stamp_ns.front'):
            np.testing.assert_array_equal(first.columns(left)[name], second.columns(right)[name])
        for ours, theirs in zip(first.images(left, f'{IMAGES}wrist'),
                                second.images(right, f'{IMAGES}wrist')):
            np.testing.assert_array_equal(ours, theirs)


def test_a_whole_data_set_validates_and_is_described(folder, capsys):
    assert main(['validate', str(folder), '--decode']) == 0
    assert 'whole; 3 episodes: 3 good' in capsys.readouterr().out
    assert main(['info', str(folder)]) == 0
    printed = capsys.readouterr().out
    assert '3 episodes, 90 rows at 10 Hz, 9 s' in printed
    assert 'cameras: front 64x48, wrist 64x48' in printed
    assert 'action: float32 [3] shoulder, elbow, gripper' in printed
    assert 'outcome: 3 success' in printed


@pytest.mark.parametrize('job', ['validate', 'view'])
def test_the_limits_of_a_robot_with_other_joints_are_refused(folder, job):
    with pytest.raises(ValueError, match="is of robot 'toy', --robot is 'fr3': expected "
                                         'observation.state of fr3_joint1.* got shoulder, elbow'):
        main([job, str(folder), '--robot', 'fr3'])


def test_v2_becomes_v3_without_a_loss(folder, tmp_path):
    assert main(['convert', str(as_v2(folder)), '--out', str(tmp_path / 'new')]) == 0
    assert main(['validate', str(tmp_path / 'new')]) == 0
    same(folder, tmp_path / 'new', [(0, 0), (1, 1), (2, 2)])


@pytest.mark.parametrize('option', [('--rate', '20'), ('--task', 'pour'), ('--robot', 'fr3'),
                                    ('--led-by', 'human'), ('--joint-prefix', 'left_')])
def test_an_option_that_would_change_nothing_of_a_data_set_is_refused(folder, tmp_path, option):
    with pytest.raises(ValueError, match=f'copied as it is, {option[0]} would change nothing'):
        main(['convert', str(folder), *option, '--out', str(tmp_path / 'new')])
    assert not (tmp_path / 'new').exists()


def test_merged_data_sets_have_all_episodes_and_tasks_once(folder, tmp_path):
    writer = LeRobotWriter(tmp_path / 'other', SPEC, min_free_bytes=0, live=False)
    record(writer, 25, EpisodeFacts('pour'))
    writer.close()
    out = tmp_path / 'both'
    assert main(['merge', str(folder), str(tmp_path / 'other'), '--out', str(out)]) == 0
    assert main(['validate', str(out)]) == 0
    assert LeRobotDataset(out).tasks == {0: 'pick', 1: 'place', 2: 'pour'}
    same(folder, out, [(0, 0), (2, 2)])
    same(tmp_path / 'other', out, [(0, 3)])


def test_parts_of_a_split_together_are_the_data_set(folder, tmp_path):
    assert main(['split', str(folder), '--out', str(tmp_path / 'parts'), '--parts', 'train=0.67',
                 'test=0.33']) == 0
    for name, pairs in (('train', [(0, 0), (1, 1)]), ('test', [(2, 0)])):
        assert main(['validate', str(tmp_path / 'parts' / name)]) == 0
        same(folder, tmp_path / 'parts' / name, pairs)


def led_by(tmp_path, *episodes):
    """Return a data set of episodes, each a list of who led for how many rows."""
    writer = LeRobotWriter(tmp_path / 'led', SPEC, min_free_bytes=0, live=False)
    for parts in episodes:
        writer.begin_episode(FACTS)
        sources = [source for source, rows in parts for _ in range(rows)]
        for row, source in enumerate(sources):
            writer.add_frame(frame(row, source=whole(source)))
        writer.save_episode('success')
    writer.close()
    return tmp_path / 'led'


def test_each_takeover_of_a_person_becomes_an_episode(tmp_path, capsys):
    policy, person, held = Source.POLICY, Source.INTERVENTION, Source.NOBODY
    led = led_by(tmp_path, [(policy, 15), (person, 21), (held, 5), (person, 4), (policy, 6)],
                 [(policy, 30)], [(person, 12), (policy, 9), (person, 17)])
    out = tmp_path / 'corrections'
    assert main(['corrections', str(led), '--out', str(out)]) == 0
    assert 'led episode 0 rows 15 to 35 -> 0' in capsys.readouterr().out
    assert main(['validate', str(out), '--decode']) == 0
    source, found = LeRobotDataset(led), LeRobotDataset(out)
    assert [entry.length for entry in found.episodes] == [21, 12, 17]
    for entry, (number, first) in zip(found.episodes, [(0, 15), (2, 0), (2, 21)]):
        rows = slice(first, first + entry.length)
        ours, theirs = found.columns(entry), source.columns(source.episodes[number])
        for name in (STATE, ACTION, SOURCE, 'stamp_ns', 'stamp_ns.front'):
            np.testing.assert_array_equal(ours[name], theirs[name][rows])
        assert entry.facts.facts == FACTS.facts | {
            'corrects': f'led episode {number} rows {first} to {first + entry.length - 1}'}
        images = list(source.images(source.episodes[number], f'{IMAGES}front'))[rows]
        for one, other in zip(found.images(entry, f'{IMAGES}front'), images):
            assert np.abs(one.astype(int) - other).mean() < 4  # encoded anew


def test_a_data_set_without_corrections_is_refused(tmp_path, folder):
    short = led_by(tmp_path, [(Source.POLICY, 15), (Source.INTERVENTION, 9)])
    for nothing in (folder, short):
        with pytest.raises(ValueError, match='no person took over from a policy for 1 s'):
            main(['corrections', str(nothing), '--out', str(tmp_path / 'none')])
    assert main(['corrections', str(short), '--out', str(tmp_path / 'nine'),
                 '--shortest', '0.9']) == 0


def test_a_page_shows_every_episode(folder, tmp_path):
    assert main(['view', str(folder), '--out', str(tmp_path / 'page.html')]) == 0
    page = (tmp_path / 'page.html').read_text()
    assert page.count('data:image/jpeg;base64') == 3 * 2
    assert page.count('data:image/png;base64') == 2
    assert '3 good' in page


@pytest.mark.parametrize(('damage', 'message'), [
    (lambda folder: (folder / 'data/chunk-000/file-001.parquet').unlink(),
     'episode 1: .*file-001.parquet is missing'),
    (lambda folder: (folder / f'videos/{IMAGES}front/chunk-000/file-002.mp4').write_bytes(b'x'),
     'episode 2: .*file-002.mp4: expected a video'),
    (lambda folder: os.replace(folder / f'videos/{IMAGES}front/chunk-000/file-002.mp4',
                               folder / f'videos/{IMAGES}front/chunk-000/file-000.mp4'),
     'front: not every row has a frame at its time'),
    (lambda folder: (folder / 'meta/episodes/chunk-000/file-002.parquet').unlink(),
     'total_episodes is 3, there are 2'),
])
def test_damage_is_named_and_fails(folder, capsys, damage, message):
    damage(folder)
    assert main(['validate', str(folder)]) == 1
    printed = capsys.readouterr().out
    assert re.search(message, printed), printed


@pytest.mark.parametrize(('damage', 'decode', 'message'), [
    (lambda path: None, True, ''),
    (lambda path: os.truncate(path, path.stat().st_size - 9), False, 'expected a whole bag'),
    (lambda path: path.unlink(), False, 'expected a whole bag'),
    (lambda path: path.write_bytes(b'x' * 100), False, 'expected a whole bag'),
    (lambda path: overwrite(path), True, 'expected a whole bag'),
    (lambda path: only_name(path.parent), False, 'no messages of /joint_states'),
])
def test_a_raw_bag_that_is_not_whole_is_named(folder, capsys, damage, decode, message):
    bag = folder / 'raw/episode_000001'
    write(bag, 5.0)
    damage(bag / 'episode_000001.mcap')
    assert main(['validate', str(folder), *['--decode'] * decode]) == (1 if message else 0)
    assert message in (printed := capsys.readouterr().out)
    assert (f'episode 1: {bag}: ' in printed) == bool(message)


def overwrite(path):
    """Damage the middle of a file."""
    content = path.read_bytes()
    path.write_bytes(content[:len(content) // 3] + bytes(200) + content[len(content) // 3 + 200:])


def only_name(folder):
    """Make a bag that names a topic and has no message of it."""
    shutil.rmtree(folder)
    write(folder, 0.0)


def test_repair_clears_up_what_a_crash_left(folder, capsys):
    writer = LeRobotWriter(folder, SPEC, min_free_bytes=0, live=False)
    writer.begin_episode(FACTS)
    writer.add_frame(frame(0))
    writer._lock.close()  # what a kill does
    (folder / 'data/chunk-000/file-007.parquet').write_bytes(b'half')
    assert main(['validate', str(folder)]) == 1
    assert main(['repair', str(folder)]) == 0
    printed = capsys.readouterr().out
    assert 'set aside in' in printed
    assert 'file-007.parquet belongs to no episode' in printed
    assert main(['validate', str(folder)]) == 0
    assert len(read_lerobot(folder).episodes) == 3


def interrupted(folder):
    """Leave a data set as a kill in its first episode does, with a bag that has no end."""
    writer = LeRobotWriter(folder, SPEC, min_free_bytes=0, live=False)
    bag = write(writer.begin_episode(FACTS) / 'raw', 5.0, end=False)
    writer.add_frame(frame(0))
    while bag._queue.waiting:
        pass
    bag.cancel()
    path = folder / '.recording/raw/raw.mcap'
    os.truncate(path, path.stat().st_size - 1)
    writer._lock.close()


def test_repair_salvages_the_bag_of_a_first_episode_that_was_interrupted(tmp_path, capsys):
    folder = tmp_path / 'set'
    interrupted(folder)
    (folder / 'interrupted/000/raw').mkdir(parents=True)
    (folder / 'interrupted/000/raw/raw.mcap').touch()  # killed before a byte was on the disk
    assert main(['repair', str(folder)]) == 0
    printed = capsys.readouterr().out
    assert 'an interrupted episode is set aside in' in printed
    assert '000/raw/raw.mcap: expected an MCAP file' in printed
    assert 'interrupted/001/raw/raw.mcap got its end' in printed
    assert 'no episode was ever saved' in printed
    (episode,) = read_bags([folder / 'interrupted/001/raw/raw.mcap']).episodes
    assert len(episode.rows) >= 20


@pytest.mark.parametrize('made', [False, True])
def test_repair_of_what_is_no_data_set_is_refused_and_leaves_nothing(tmp_path, made):
    if made:
        (tmp_path / 'photos').mkdir()
    with pytest.raises(ValueError, match='photos: expected a data set .* got neither'):
        main(['repair', str(tmp_path / 'photos')])
    assert not list(tmp_path.glob('photos/*'))


def test_an_episode_is_set_aside_beside_those_that_were_not_deleted(folder):
    for number in ('001', '002', 'data'):
        (folder / 'interrupted' / number / 'raw').mkdir(parents=True)
    writer = LeRobotWriter(folder, SPEC, min_free_bytes=0, live=False)
    writer.begin_episode(FACTS)
    writer.close()
    assert sorted(path.name for path in (folder / 'interrupted').iterdir()) == [
        '001', '002', '003', 'data']


def test_data_sets_of_different_features_are_not_merged(folder, tmp_path):
    writer = LeRobotWriter(tmp_path / 'other', replace(SPEC, robot='piper'), 0, live=False)
    record(writer)
    writer.close()
    with pytest.raises(ValueError, match="expected robot 'toy' as in .*set, got 'piper'"):
        main(['merge', str(folder), str(tmp_path / 'other'), '--out', str(tmp_path / 'both')])
