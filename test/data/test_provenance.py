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
"""What an episode says about where it comes from."""

import hashlib
from pathlib import Path

from faster_ros.data import provenance
import pytest


def test_a_checkpoint_is_hashed_in_blocks_by_names_and_contents(tmp_path, monkeypatch):
    (tmp_path / 'weights').mkdir()
    contents = {'config.json': b'{}', 'weights/large.bin': bytes(range(200)) * 3}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    wanted = hashlib.sha256(b''.join(
        f'{name}\n'.encode() + hashlib.sha256(content).digest()
        for name, content in contents.items())).hexdigest()
    monkeypatch.setattr(provenance, '_BLOCK', 256)
    monkeypatch.setattr(Path, 'read_bytes', lambda _: pytest.fail('a whole file is read'))
    assert provenance.folder_hash(tmp_path) == wanted
