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
"""The images of a data set in one file of small ones, which each machine decodes once."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
import shutil
import time

from faster_ros.data.dataset_spec import IMAGES
from faster_ros.data.durable import sync, write_durably
from faster_ros.data.lerobot_dataset import EpisodeEntry, LeRobotDataset
from faster_ros.interfaces import ImageArray
from faster_ros.policy.image_size import resize
import numpy as np
from tqdm import tqdm

_POLL_S = 0.5


def folder_of_this_machine(out: Path) -> Path:
    """Return where a run in ``out`` keeps images; torchrun and accelerate number the machines."""
    return out / f"images_{os.environ.get('GROUP_RANK', '0')}"


def decoded_images(dataset: LeRobotDataset, episodes: list[EpisodeEntry], lengths: list[int],
                   cameras: list[str], size: tuple[int, int], folder: Path) -> ImageArray:
    """
    Return (N, cameras, height, width, 3) on disk, decoded unless this was done before.

    The first process of a machine decodes, the others wait for its file. A disk without the room
    is a ValueError.
    """
    shape = (sum(lengths), len(cameras), size[1], size[0], 3)
    wanted = json.dumps([str(dataset.folder.resolve()), cameras, shape,
                         [entry.number for entry in episodes]])
    file, done = folder / 'images.npy', folder / 'images.json'
    # By the file: a barrier of the processes would run into its time limit on large data.
    while os.environ.get('LOCAL_RANK', '0') != '0' and not _holds(done, wanted):
        time.sleep(_POLL_S)
    if not _holds(done, wanted):
        folder.mkdir(parents=True, exist_ok=True)
        done.unlink(missing_ok=True)
        file.unlink(missing_ok=True)
        _decode(dataset, episodes, lengths, cameras, size, _file(file, shape))
        sync(file)
        write_durably(done, wanted.encode())
    return np.load(file, mmap_mode='r')


def _holds(done: Path, wanted: str) -> bool:
    return done.exists() and done.read_text() == wanted


def _file(file: Path, shape: tuple[int, ...]) -> ImageArray:
    """Return the array of a new file that the disk has room for."""
    needed, free = math.prod(shape), shutil.disk_usage(file.parent).free
    if needed > free:
        raise ValueError(
            f'the {shape[0]} rows need {needed / 1e9:.1f} GB for their images in {file.parent}, '
            f'where {free / 1e9:.1f} GB are free; free some, name an --out on a larger disk, or '
            'lower image_width and image_height')
    return np.lib.format.open_memmap(file, mode='w+', dtype=np.uint8, shape=shape)


def _decode(dataset: LeRobotDataset, episodes: list[EpisodeEntry], lengths: list[int],
            cameras: list[str], size: tuple[int, int], images: ImageArray) -> None:
    starts = np.concatenate([[0], np.cumsum(lengths)])
    bar = tqdm(episodes, f'images ({images.nbytes / 1e9:.1f} GB)', unit='episode')
    for entry, start, length in zip(bar, starts, lengths):
        for place, camera in enumerate(cameras):
            count = 0
            for picture in dataset.images(entry, f'{IMAGES}{camera}'):
                if count < length:
                    images[start + count, place] = resize(picture, *size)
                count += 1
            if count != length:
                raise ValueError(f'{dataset.folder}: episode {entry.number} has {length} rows and '
                                 f'{count} images of camera {camera}')
