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
"""Checkpoints go to a hub and come back by owner/name; what could be run stays away."""

from pathlib import Path
import shutil

from faster_ros.bringup import default_checkpoint
from faster_ros.cli.main import _local_checkpoint
from faster_ros.nodes.policy_loading import load, load_checkpoint
from faster_ros.policy.checkpoint import FASTerPolicy
from faster_ros.policy.hub import local_folder
from faster_ros.robot_spec import load_robot_spec
import pytest

huggingface_hub = pytest.importorskip('huggingface_hub')
SPEC = load_robot_spec('fr3')
NAME = 'lab/pick'
HARMFUL = ('weights.pkl', 'run.py', 'processor/processing.py', 'processor/pytorch_model.bin')


def copied(source, target, patterns):
    """Copy what a hub lets through."""
    files = [str(file.relative_to(source)) for file in source.rglob('*') if file.is_file()]
    for file in huggingface_hub.utils.filter_repo_objects(files, allow_patterns=patterns):
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / file, target / file)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Return the folder of a hub that stands in for the real one."""
    root = tmp_path / 'hub'

    class FakeApi:

        def create_repo(self, name, exist_ok):
            (root / name).mkdir(parents=True, exist_ok=exist_ok)

        def upload_folder(self, repo_id, folder_path, allow_patterns):
            copied(Path(folder_path), root / repo_id, allow_patterns)
            return f'https://hub/{repo_id}'

    def snapshot_download(name, allow_patterns):
        if not (root / name).exists():
            raise huggingface_hub.errors.LocalEntryNotFoundError(f'{name} is nowhere')
        copied(root / name, tmp_path / 'cache' / name, allow_patterns)
        return str(tmp_path / 'cache' / name)

    monkeypatch.setattr(huggingface_hub, 'HfApi', FakeApi)
    monkeypatch.setattr(huggingface_hub, 'snapshot_download', snapshot_download)
    monkeypatch.chdir(tmp_path)
    return root


def spoil(folder):
    """Put files beside a checkpoint that could be unpickled or run."""
    for name in (*HARMFUL, 'processor/merges.txt', 'processor/chat_template.jinja'):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text('import os')


def test_only_data_goes_to_a_hub_and_only_data_comes_from_it(hub, tmp_path):
    shutil.copytree(default_checkpoint(), tmp_path / 'mine')
    spoil(tmp_path / 'mine')
    assert FASTerPolicy.push_to_hub(tmp_path / 'mine', NAME) == f'https://hub/{NAME}'
    kept = {'config.json', 'policy.safetensors', 'tokenizer.safetensors', 'training.json',
            'processor/merges.txt', 'processor/chat_template.jinja'}
    for folder in (hub / NAME, None):
        if folder is None:
            spoil(hub / NAME)
            folder = local_folder(NAME)
        assert {str(file.relative_to(folder)) for file in folder.rglob('*')
                if file.is_file()} == kept


def test_nodes_and_commands_take_the_name_on_a_hub(hub):
    FASTerPolicy.push_to_hub(default_checkpoint(), NAME)
    assert FASTerPolicy.from_pretrained(NAME, SPEC).cameras == ('front', 'wrist')
    assert load(NAME, SPEC, 'cpu', load_checkpoint).cameras == ('front', 'wrist')
    assert _local_checkpoint(NAME) == str(local_folder(NAME))


def test_a_name_that_is_nowhere_and_a_path_that_is_mistyped_are_named(hub, tmp_path):
    with pytest.raises(ValueError, match="'lab/place' is neither a folder nor on the hub"):
        _local_checkpoint('lab/place')
    (tmp_path / 'out').mkdir()
    with pytest.raises(ValueError, match='a trained policy in the folder out/checkpoin, which'):
        _local_checkpoint('out/checkpoin')
