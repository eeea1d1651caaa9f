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
"""LIBERO: its recordings become data sets, a policy is trained on them, a suite goes on."""

import json

from faster_ros.cli.data import main as data
from faster_ros.data.dataset_spec import ACTION, IMAGES, STATE
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.data.libero_columns import COLUMNS, state_of, turned
from faster_ros.interfaces import Observation
from faster_ros.libero import suite_run
from faster_ros.libero.libero_task import Trial
from faster_ros.libero.suite_run import read_journal, run_suite, Settings, table
from faster_ros.libero.untrained import make_untrained
from faster_ros.policy.checkpoint import load_policy
from faster_ros.policy.compatibility import check_compatible, read_config
from faster_ros.policy.embodiment import absolute_columns, LIBERO
from faster_ros.robot_spec import load_robot_spec
from faster_ros.training.finetune_policy import main as train
import numpy as np
import pytest
import yaml

TASK = 'put the bowl on the plate'


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    """Return a file as LIBERO's collection writes them: two demonstrations of 24 rows."""
    h5py = pytest.importorskip('h5py')
    path = tmp_path_factory.mktemp('libero') / 'bowl_demo.hdf5'
    rng = np.random.default_rng(0)
    with h5py.File(path, 'w') as file:
        for number in (0, 1):
            demo = file.create_group(f'data/demo_{number}')
            demo['actions'] = np.append(rng.uniform(-1, 1, (24, 6)), np.ones((24, 1)), 1)
            demo['states'] = np.zeros((24, 110))
            obs = demo.create_group('obs')
            obs['ee_pos'], obs['ee_ori'] = np.full((24, 3), 0.1), np.full((24, 3), 3.0)
            obs['gripper_states'] = np.tile([0.04, -0.04], (24, 1))
            obs['joint_states'] = np.zeros((24, 7))
            for camera in LIBERO.cameras:
                images = np.zeros((24, 64, 64, 3), np.uint8)
                images[:, :16, :16] = 200  # first rows and columns, as OpenGL stores them
                obs[f'{camera}_rgb'] = images
        file['data'].attrs['problem_info'] = json.dumps(
            {'language_instruction': f'"{TASK}"', 'problem_name': 'libero_tabletop'})
    return path


@pytest.fixture(scope='module')
def dataset(recording):
    out = recording.parent / 'set'
    assert data(['convert', str(recording), '--rate', '20', '--out', str(out)]) == 0
    return out


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp('untrained') / 'policy'
    make_untrained(folder, [TASK])
    return folder


def observation():
    images = {camera: np.zeros((64, 64, 3), np.uint8) for camera in LIBERO.cameras}
    return Observation(0, images, np.zeros(7), TASK)


def test_an_open_gripper_is_minus_one_and_a_closed_one_is_one():
    fingers = np.array([[0.04, -0.04], [0.0, 0.0]])
    assert state_of(np.zeros((2, 3)), np.zeros((2, 3)), fingers)[:, 6].tolist() == [-1.0, 1.0]


def test_an_image_is_turned_and_not_mirrored():
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 0] = 9
    assert turned(image)[1, 1, 0] == 9 and turned(image).sum() == 27


def test_a_recording_of_libero_becomes_a_data_set_with_its_own_words_and_columns(dataset):
    found = LeRobotDataset(dataset)
    assert [entry.length for entry in found.episodes] == [24, 24]
    assert {entry.facts.task for entry in found.episodes} == {TASK}
    assert found.spec().numbers[STATE].names == found.spec().numbers[ACTION].names == COLUMNS
    columns = found.columns(found.episodes[0])
    assert columns[STATE][0] == pytest.approx([0.1] * 3 + [3.0] * 3 + [-1.0])
    picture = next(iter(found.images(found.episodes[0], f'{IMAGES}agentview')))
    assert picture[60, 60].min() > 150 and picture[4, 4].max() < 60


@pytest.mark.slow
def test_a_policy_is_trained_on_the_converted_data_and_answers_in_its_columns(dataset, tmp_path):
    (tmp_path / 'recipe.yaml').write_text(yaml.safe_dump({
        'preset': 'cpu', 'image_width': 32, 'image_height': 32, 'steps': 4, 'batch_size': 8,
        'tokenizer_steps': 10, 'codebook_size': 16, 'horizon': 8, 'time_patch': 2,
        'validate_every': 4, 'warmup_steps': 1}))
    assert train(['--data', str(dataset), '--robot', 'libero', '--device', 'cpu', '--config',
                  str(tmp_path / 'recipe.yaml'), '--out', str(tmp_path / 'run')]) == 0
    config = read_config(tmp_path / 'run' / 'checkpoint')
    assert config['action_representation'] == 'as_recorded'
    chunk = load_policy(tmp_path / 'run' / 'checkpoint', LIBERO).infer(observation())
    assert chunk.names == COLUMNS and chunk.actions.shape == (8, 7)


def test_actions_of_libero_are_given_as_they_are_decoded(checkpoint):
    policy = load_policy(checkpoint, LIBERO)
    assert absolute_columns(LIBERO) == list(range(7))
    moved = observation()
    moved.positions[:3] = 0.2
    actions = np.clip(policy.infer(moved).actions, -1, 1)
    _, decoded = policy.codes_of(actions, moved.positions)
    assert np.abs(decoded).max() <= 1.0 + 1e-6  # no position was added to a step


def test_a_policy_for_libero_drives_no_robot_and_a_robots_policy_no_libero(checkpoint):
    with pytest.raises(ValueError, match='delta_joint actions, got 1 with as_recorded'):
        check_compatible(read_config(checkpoint), load_robot_spec('panda'))
    config = {'format': 1, 'action_representation': 'delta_joint'}
    with pytest.raises(ValueError, match='as_recorded actions, got 1 with delta_joint'):
        check_compatible(config, LIBERO)


class Simulation:
    """Stands in for LIBERO's, which has an environment of its own: every second state is won."""

    instruction = TASK
    broken_at: tuple[int, int] | None = None
    ran: list[tuple[int, int]] = []

    def __init__(self, suite, number, pixels):
        self._number = number

    def run(self, policy, state, execute, limit):
        if (self._number, state) == Simulation.broken_at:
            raise KeyboardInterrupt
        Simulation.ran.append((self._number, state))
        return Trial(state % 2 == 0, min(30, limit), 4)

    def close(self):
        pass


@pytest.fixture
def simulation(monkeypatch):
    monkeypatch.setattr(suite_run, 'LiberoTask', Simulation)
    monkeypatch.setattr(suite_run, 'instructions', lambda suite: [TASK] * 3)
    Simulation.broken_at, Simulation.ran = None, []
    return Simulation


def test_an_interrupted_suite_goes_on_and_repeats_no_trial(simulation, checkpoint, tmp_path):
    settings = Settings(str(checkpoint), 'libero_goal', initial_states=4)
    simulation.broken_at = 1, 2
    with pytest.raises(KeyboardInterrupt):
        run_suite(settings, tmp_path, 1)
    with (tmp_path / 'journal.jsonl').open('a') as file:
        file.write('{"task": 1, "initial_st')  # what a kill leaves of a line
    simulation.broken_at = None
    results = run_suite(settings, tmp_path, 1)
    assert len(simulation.ran) == len(set(simulation.ran)) == 12
    assert len(read_journal(tmp_path)) == 12
    assert results['total']['successes'] == 6 and results['total']['trials'] == 12
    assert results['tasks'][0]['interval_95_wilson'] == pytest.approx([0.15, 0.85], abs=0.01)
    assert json.loads((tmp_path / 'results.json').read_text()) == json.loads(json.dumps(results))
    assert '| all | 6 of 12 | 25% to 75% |' in table(results)


@pytest.mark.parametrize(('changes', 'words'), [
    ({'execute': 4}, 'holds trials with another execute'),
    ({'tasks': (3,)}, 'has tasks 0 to 2'),
    ({'initial_states': 51}, '50 initial states'),
])
def test_trials_of_another_kind_are_not_mixed(simulation, checkpoint, tmp_path, changes, words):
    told = {'checkpoint': str(checkpoint), 'suite': 'libero_goal', 'initial_states': 1}
    run_suite(Settings(**told), tmp_path, 1)
    with pytest.raises(ValueError, match=words):
        run_suite(Settings(**{**told, **changes}), tmp_path, 1)
