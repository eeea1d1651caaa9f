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
"""
The recordings of an evaluation: which episode shows which attempt of which trial.

recorder_node writes them into one data set in the evaluation's folder. Each episode says which
attempt it is by the facts of ``TrialSession.facts``, so nothing else has to be kept, and a crash
leaves nothing to be put right. The policy is named in them when the evaluation is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import json
from pathlib import Path

from faster_ros.data.dataset_folder import FACTS, INTERRUPTED
from faster_ros.data.dataset_spec import IMAGES
from faster_ros.data.episode_labels import label_episodes
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.data.lerobot_reader import is_lerobot
from faster_ros.evaluation.trial_journal import Attempt, TrialJournal

FOLDER = 'recordings'
AttemptKey = tuple[int, int]  # number of the trial, number of the attempt


@dataclass(frozen=True)
class Recording:
    """
    What was recorded of an attempt.

    ``episode``: its number in the data set, None of one that was interrupted. ``videos``: camera
    -> file, and ``files``, where the rest of an interrupted one lies, relative to the evaluation's
    folder. ``findings``: what the truth checks had to say.
    """

    episode: int | None
    videos: dict[str, str] = field(default_factory=dict)
    files: str = ''
    findings: tuple[str, ...] = ()


def read_recordings(folder: Path) -> dict[AttemptKey, Recording]:
    """Return what is recorded of an evaluation, by trial and attempt."""
    found: dict[AttemptKey, Recording] = {}
    root = folder / FOLDER
    for path in sorted((root / INTERRUPTED).glob(f'*/{FACTS}')):
        facts = json.loads(path.read_text())
        if 'trial' in facts:
            found[_key(facts)] = Recording(None, files=str(path.parent.relative_to(folder)))
    if not is_lerobot(root):
        return found
    for entry in LeRobotDataset(root).episodes:
        if 'trial' in entry.facts.facts:
            videos = {name.removeprefix(IMAGES): str(path.relative_to(folder))
                      for name, (path, _) in entry.videos.items()}
            found[_key(entry.facts.facts)] = Recording(entry.number, videos,
                                                       findings=entry.findings)
    return found


def label_recordings(folder: Path, policies: Mapping[int, str]) -> int:
    """
    Write into the recordings how each attempt ended; returns how many changed.

    ``policies``: number of a trial -> its policy; empty while the evaluation is blind.
    """
    recordings = read_recordings(folder)
    labels = {}
    for attempt in TrialJournal(folder).attempts:
        recording = recordings.get((attempt.trial, attempt.number))
        if recording is not None and recording.episode is not None:
            policy = {'policy': policies[attempt.trial]} if attempt.trial in policies else {}
            labels[recording.episode] = (_outcome(attempt), _ending(attempt) | policy)
    return label_episodes(folder / FOLDER, labels) if labels else 0


def _key(facts: Mapping[str, str]) -> AttemptKey:
    return int(facts['trial']), int(facts['attempt'])


def _outcome(attempt: Attempt) -> str:
    if attempt.result is None:
        return ''
    return 'success' if attempt.result.success else 'failure'


def _ending(attempt: Attempt) -> dict[str, str]:
    if attempt.result is None:
        return {'voided': attempt.voided} if attempt.voided else {}
    result = attempt.result
    return {'score': f'{result.score:g}', 'failure': result.failure, 'ended': result.ended,
            'note': result.note}
