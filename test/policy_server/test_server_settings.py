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
from pathlib import Path

from faster_ros.policy_server.settings import (
    is_server,
    observation_keys,
    read_token,
    server_settings,
)
import pytest

OPENPI = """
address: wss://gpu.lab:8000
token_file: token
certificate_authority: ../lab.pem
answer_timeout_s: 0.5
policy:
  step_s: 0.05
  actions: joint_position
  columns: [j1, j2, finger]
  keys:
    images: {front: observation/image, wrist: images > cam_wrist}
    state: {observation/state: [j1, j2, finger]}
  example_instruction: pick up the cube
  image_size: [224, 224]
  scale: {finger: {factor: -0.04, offset: 0.04}}
"""


def test_an_address_is_a_server_and_a_folder_is_none():
    assert is_server('ws://127.0.0.1:8000')
    assert is_server('wss://gpu.lab')
    assert is_server('servers/gpu.yaml')
    assert not is_server('/checkpoints/fr3_pick')
    assert not is_server('')
    assert server_settings('ws://127.0.0.1:8000').policy is None


def test_a_file_says_how_a_server_is_reached_and_what_it_serves(tmp_path):
    file = tmp_path / 'gpu.yaml'
    file.write_text(OPENPI)
    settings = server_settings(str(file))
    assert settings.encrypted
    assert settings.token_file == str(tmp_path / 'token')
    assert settings.certificate_authority == str(tmp_path / '..' / 'lab.pem')
    assert settings.answer_timeout_s == 0.5
    assert settings.policy.keys.images == {'front': 'observation/image',
                                           'wrist': 'images > cam_wrist'}
    assert settings.policy.keys.prompt == 'prompt'
    assert settings.policy.scale['finger'].factor == -0.04


@pytest.mark.parametrize('old, new, words', [
    ('wss://gpu.lab:8000', 'http://gpu.lab', "address 'http://gpu.lab'; expected ws:// or wss://"),
    ('wss://gpu.lab:8000', 'ws://gpu.lab', 'certificate_authority is of no use with ws://gpu.lab'),
    ('answer_timeout_s: 0.5', 'answer_timeout_s: 0', 'answer_timeout_s must be positive, got 0'),
    ('answer_timeout_s', 'answer_timeout', "unknown key 'answer_timeout'; expected address"),
    ('step_s: 0.05', 'step_s: -1', 'step_s must be positive, got -1'),
    ('  step_s: 0.05\n', '', "key 'policy.step_s' is missing"),
    ('joint_position', 'pose', "actions 'pose'; expected joint_position, joint_delta, joint_step"),
    ('[224, 224]', '[224]', r'image_size must be width and height in pixels, got \[224\]'),
    ('scale: {finger', 'scale: {hand', 'scale names hand; expected some of j1, j2, finger'),
    ('factor: -0.04', 'factor: 0', 'factor of a joint must not be 0'),
    ('images > cam_wrist', 'observation/image', "key 'observation/image' of an observation is"),
    ('images > cam_wrist', 'images >', "key 'images >' of an observation is used twice or"),
])
def test_a_wrong_entry_is_named_with_its_file(tmp_path, old, new, words):
    file = tmp_path / 'gpu.yaml'
    assert old in OPENPI
    file.write_text(OPENPI.replace(old, new))
    with pytest.raises(ValueError, match=f'policy server file {file}.*{words}'):
        server_settings(str(file))


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(ValueError, match='policy server file /no/gpu.yaml does not exist'):
        server_settings('/no/gpu.yaml')


def test_a_file_of_keys_is_the_keys_alone(tmp_path):
    file = tmp_path / 'keys.yaml'
    file.write_text('images: {front: observation/image}\nstate: {observation/state: [j1]}\n'
                    'prompt: task\n')
    assert observation_keys(file).prompt == 'task'


def test_a_token_is_one_word_and_never_shown(tmp_path):
    file = tmp_path / 'token'
    file.write_text('s3cret-Word\n')
    assert read_token(file) == 's3cret-Word'
    for text in ('', '\n', 's3cret word', 's3cret\nword', 's3crét'):
        file.write_text(text)
        with pytest.raises(ValueError, match='expected one word of ASCII') as caught:
            read_token(file)
        assert 's3cr' not in str(caught.value)
    with pytest.raises(ValueError, match='token file /no/token cannot be read'):
        read_token(Path('/no/token'))
