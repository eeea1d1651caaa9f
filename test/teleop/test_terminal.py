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
"""Keys of a terminal: arrows and letters, and presses that end by themselves."""

from faster_ros.teleop.terminal import cue, HELP, notices, status_line
import pytest

CONTROL = {'mode': 'running', 'reason': '', 'detail': ''}
TELEOP = {'policy': 'false', 'deadman': 'false', 'lead': 'human'}
RECORDER = {'recording': 'recording', 'episodes': '2', 'seconds': '12.0', 'disk_free_gb': '70.0',
            'front_rate_hz': '29.97', 'front_missed': '1', 'front_dropped': '2', 'silent': ''}


def test_the_line_of_the_terminal_tells_episode_losses_disk_and_rates():
    assert status_line('human', CONTROL, TELEOP, RECORDER) == (
        'arm running | lead human | recording 2: 12 s | lost 3 | disk 70 GB | Hz front 30')
    assert status_line('', {}, {}, {}) == 'arm ? | lead ? | ?, ? saved'


def test_eighty_columns_show_what_is_silent_who_leads_and_the_episode():
    teleop = TELEOP | {'policy': 'true'}
    line = status_line('intervention', CONTROL, teleop, RECORDER | {'silent': 'wrist'})
    assert line[:79].startswith('silent: wrist | arm running | intervention (tab: policy) | '
                                'recording 2: 12 s |')
    assert max(map(len, HELP.splitlines())) < 80


@pytest.mark.parametrize(('word', 'teleop', 'told'), [
    ('policy', {'lead': 'policy'}, 'policy (tab: you)'),
    ('idle', {'lead': 'policy'}, 'policy once armed (tab: you)'),
    ('idle', {'lead': 'idle'}, 'idle (tab: you)'),
    ('hold', {'lead': 'hold', 'deadman': 'true'}, 'hold (tab: policy)'),
])
def test_with_a_policy_the_line_tells_what_tab_does(word, teleop, told):
    assert f'| {told} |' in status_line(word, CONTROL, TELEOP | {'policy': 'true'} | teleop,
                                        RECORDER)


def test_reasons_refusals_and_the_task_are_told_by_their_subject():
    found = notices({'detail': '', 'reason': 'stopped'}, {'reason': 'paused', 'refusal': 'no'},
                    {'reason': 'the disk is full', 'task': 'fold it'})
    assert found == {'arm': 'stopped', 'teleop': 'paused', 'refused': 'no',
                     'recorder': 'the disk is full', 'task': 'fold it'}
    assert set(notices({}, {}, {}).values()) == {''}


def status(recording, episodes=3, seconds=None, reason=''):
    """Return what recorder_node tells."""
    timed = {} if seconds is None else {'seconds': str(seconds)}
    return {'recording': recording, 'episodes': str(episodes), 'reason': reason, **timed}


@pytest.mark.parametrize(('before', 'now', 'words'), [
    ({}, status('idle'), ''),
    (status('idle'), status('recording', seconds=0.0), 'recording'),
    (status('recording', seconds=1.0), status('recording', seconds=1.2), ''),
    (status('recording', seconds=9.0), status('recording', seconds=0.1), 'recording'),
    (status('recording', seconds=9.0), status('idle', 4), 'episode 3 saved'),
    (status('recording', seconds=9.0), status('recording', 4, 0.1), 'episode 3 saved'),
    (status('recording', seconds=9.0), status('idle'), 'discarded'),
    (status('recording', seconds=9.0), status('stopped', 3, 9.0, 'stopped: 0.9 GB are left'),
     'stopped 0.9 GB are left'),
    (status('recording', seconds=9.0), status('idle', reason='the episode is lost: ...'),
     'episode lost'),
])
def test_a_person_who_looks_at_the_arm_is_told_what_becomes_of_the_recording(before, now, words):
    assert cue(before, now) == words
