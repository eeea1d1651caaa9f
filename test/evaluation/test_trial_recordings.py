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
"""Which episode shows which attempt, how it ended, and that nobody learns the policy too early."""

import csv
import json

from faster_ros.data.dataset_spec import EpisodeFacts, IMAGES
from faster_ros.data.dataset_validation import problems
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.data.lerobot_writer import LeRobotWriter
from faster_ros.evaluation.plan_page import write_results
from faster_ros.evaluation.trial_recordings import FOLDER, label_recordings, read_recordings
from faster_ros.evaluation.trial_session import TrialSession
import numpy as np
import pytest
from recording_samples import frame, SPEC
from test_plan_report import start

FAILED = {'action': 'judge', 'success': False, 'failure': 'missed', 'score': 0.3}
WON = {'action': 'judge', 'success': True}


class Evaluation:
    """An evaluation with a recorder beside it, as evaluation_node has them."""

    def __init__(self, folder):
        self.folder = folder
        self.session = TrialSession(folder)
        self.writer = LeRobotWriter(folder / FOLDER, SPEC, live=False)

    def record(self, problem=''):
        """Record an attempt and let it end."""
        facts = self.session.facts()
        self.session.begin(1)
        if not problem:
            self.writer.begin_episode(EpisodeFacts('pick it up', facts=facts))
            for row in range(15):
                self.writer.add_frame(frame(row))
            self.writer.save_episode()
        else:
            self.session.recording_problem(problem, 2)
        self.session.finish(3.0, 'time limit', 0, 3)

    def judge(self, body):
        self.session.act({'trial': self.session.trial.number, **body}, 4)

    def facts(self):
        return [entry.facts for entry in LeRobotDataset(self.folder / FOLDER).episodes]


@pytest.fixture
def evaluation(tmp_path):
    evaluation = Evaluation(start(tmp_path, states=2)[0])
    yield evaluation
    evaluation.writer.close()


def test_every_attempt_has_its_episode_and_the_report_links_its_videos(evaluation):
    evaluation.record()
    evaluation.judge({'action': 'void', 'reason': 'someone bumped the table'})
    for body in (FAILED, WON, WON, WON):
        evaluation.record()
        evaluation.judge(body)
    figures = write_results(evaluation.folder)
    assert figures['recordings'] == {'episodes': 5, 'attempts': 5, 'problems': {}}
    recordings = read_recordings(evaluation.folder)
    assert sorted(recordings) == [(1, 1), (1, 2), (2, 1), (3, 1), (4, 1)]
    page = (evaluation.folder / 'report.html').read_text()
    for recording in recordings.values():
        for video in recording.videos.values():
            assert f'<a href="{video}">' in page and (evaluation.folder / video).is_file()
    rows = list(csv.DictReader((evaluation.folder / 'trials.csv').open()))
    assert [(row['attempt'], row['episode']) for row in rows] == [
        ('2', '1'), ('1', '2'), ('1', '3'), ('1', '4')]
    facts = evaluation.facts()
    assert [one.outcome for one in facts] == ['', 'failure', 'success', 'success', 'success']
    assert facts[0].facts['voided'] == 'someone bumped the table'
    assert facts[1].facts['failure'] == 'missed' and facts[1].facts['score'] == '0.3'
    assert sorted(one.facts['policy'] for one in facts[1:]) == ['bad', 'bad', 'good', 'good']
    assert list(problems(LeRobotDataset(evaluation.folder / FOLDER))) == []


def test_no_recording_names_a_policy_before_the_end(evaluation):
    evaluation.record()
    evaluation.judge(FAILED)
    write_results(evaluation.folder)
    text = json.dumps(dict(evaluation.facts()[0].facts))
    assert 'policy' not in text and 'good' not in text and 'bad' not in text
    assert evaluation.facts()[0].outcome == 'failure'
    page = (evaluation.folder / 'report.html').read_text()
    assert f'{FOLDER}/videos/{IMAGES}front' in page and '<th>policy</th>' not in page


def test_what_went_wrong_with_a_recording_is_on_the_page_and_in_the_journal(evaluation):
    evaluation.record(problem='stopped: 0.9 GB are left on the disk')
    evaluation.judge(WON)
    again = TrialSession(evaluation.folder)
    assert again.trial.number == 2  # the problem is no event of the trial's course
    figures = write_results(evaluation.folder)
    assert figures['recordings']['problems'] == {
        'trial 1, attempt 1': 'stopped: 0.9 GB are left on the disk'}
    assert '0.9 GB are left on the disk' in (evaluation.folder / 'report.html').read_text()


def test_an_attempt_that_a_kill_interrupted_is_found_beside_the_episodes(evaluation):
    facts = evaluation.session.facts()
    evaluation.session.begin(1)
    evaluation.writer.begin_episode(EpisodeFacts('pick it up', facts=facts))
    evaluation.writer.add_frame(frame(0))
    evaluation.writer.close()
    after = Evaluation(evaluation.folder)
    assert after.session.facts()['attempt'] == '2'
    after.record()
    after.judge(WON)
    after.writer.close()
    found = read_recordings(evaluation.folder)
    assert found[1, 1].episode is None and found[1, 2].episode == 0
    assert (evaluation.folder / found[1, 1].files / 'facts.json').is_file()
    write_results(evaluation.folder)
    assert found[1, 1].files in (evaluation.folder / 'report.html').read_text()


def test_labels_are_written_once_and_change_nothing_else(evaluation):
    evaluation.record()
    evaluation.judge(FAILED)
    before = LeRobotDataset(evaluation.folder / FOLDER)
    rows = before.columns(before.episodes[0])
    assert label_recordings(evaluation.folder, {}) == 1
    assert label_recordings(evaluation.folder, {}) == 0
    after = LeRobotDataset(evaluation.folder / FOLDER)
    assert after.episodes[0].findings == before.episodes[0].findings
    assert all(np.array_equal(values, rows[name])
               for name, values in after.columns(after.episodes[0]).items())
