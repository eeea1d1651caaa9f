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
"""Where the folder of a checkpoint is: at its path, put aside, or on a hub by owner/name."""

from __future__ import annotations

from pathlib import Path

# Nothing that could be unpickled or run: a processor is JSON, templates and word lists.
_FILES = ['*.json', '*.safetensors', 'processor/*.json', 'processor/*.jinja', 'processor/*.txt']


def aside(folder: Path) -> Path:
    """Return where the checkpoint of a folder is while another takes its place."""
    return folder.with_name(f'{folder.name}.old')


def local_folder(source: str | Path) -> Path:
    """
    Return the folder of a checkpoint, downloaded first if ``source`` names one on the hub.

    Where a newer one did not get to its place, it is the one that was put aside for that.
    """
    folder = Path(source)
    if not folder.exists() and (aside(folder) / 'config.json').exists():
        return aside(folder)
    if folder.parent.exists() or len(folder.parts) != 2:
        return folder
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise ValueError(f"checkpoint '{source}' is no folder; one on the hub needs the Python "
                         'package huggingface_hub: pip install huggingface_hub') from error
    try:
        return Path(snapshot_download(str(source), allow_patterns=_FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ValueError(f"checkpoint '{source}' is neither a folder nor on the hub: "
                         f'{error}') from error


def push(folder: Path, name: str) -> str:
    """Upload a checkpoint folder as ``owner/name`` and return its address."""
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(name, exist_ok=True)
    return str(api.upload_folder(repo_id=name, folder_path=folder, allow_patterns=_FILES))
