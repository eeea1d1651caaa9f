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
"""What the terminal of keys_node tells: the line that goes on, what changes, and cues."""

from __future__ import annotations

from collections.abc import Mapping

from faster_ros.teleop.keys import HAND_BACK, leader, tab

HELP = ('tab take over / hand back, space rest, e arm, Esc stop, q leave, h these lines\n'
        '-> begin / save an episode, <- discard and redo, y / n mark it')


def status_line(lead: str, control: Mapping[str, str], teleop: Mapping[str, str],
                recorder: Mapping[str, str]) -> str:
    """
    Return what a person sees at a glance: what is wrong, who leads, the episode, losses, rates.

    ``lead``: the word of ``~/lead``; then the statuses of the nodes. The end may be cut off.
    """
    rates = ' '.join(f'{name.removesuffix("_rate_hz")} {float(value):.0f}'
                     for name, value in recorder.items() if name.endswith('_rate_hz'))
    lost = sum(int(value) for name, value in recorder.items()
               if name.endswith(('_missed', '_dropped', '_unused')))
    state, count = recorder.get('recording', '?'), recorder.get('episodes', '?')
    episode = (f"{state} {count}: {float(recorder['seconds']):.0f} s" if 'seconds' in recorder
               else f'{state}, {count} saved')
    parts = [f"silent: {recorder['silent']}" if recorder.get('silent') else '',
             teleop.get('note', ''), f"arm {control.get('mode', '?')}", _lead(lead, teleop),
             episode]
    if rates:
        parts.append(f'lost {lost}')
    if 'disk_free_gb' in recorder:
        parts.append(f"disk {float(recorder['disk_free_gb']):.0f} GB")
    return ' | '.join(filter(None, [*parts, f'Hz {rates}' if rates else '']))


def _lead(word: str, teleop: Mapping[str, str]) -> str:
    lead = leader(word, teleop)
    if teleop.get('policy') != 'true':
        return f"lead {lead or '?'}"
    armed = ' once armed' if lead != word else ''
    to = 'policy' if tab(lead, teleop)[0] == HAND_BACK else 'you'
    return f'{lead}{armed} (tab: {to})'


def notices(control: Mapping[str, str], teleop: Mapping[str, str],
            recorder: Mapping[str, str]) -> dict[str, str]:
    """Return what is told when it changes, by its subject: reasons, refusals, the task."""
    return {'arm': control.get('detail') or control.get('reason', ''),
            'teleop': teleop.get('reason', ''), 'refused': teleop.get('refusal', ''),
            'recorder': recorder.get('reason', ''), 'task': recorder.get('task', '')}


def cue(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return what a person is told who looks at the arm, between two statuses of recorder_node."""
    if 'recording' not in before or 'recording' not in now:
        return ''
    if int(now['episodes']) > int(before['episodes']):
        return f"episode {int(now['episodes']) - 1} saved"
    again = float(now.get('seconds', 0.0)) < float(before.get('seconds', 0.0))
    if now['recording'] == before['recording'] and not again:
        return ''
    if now['recording'] == 'recording':
        return 'recording'
    if now['recording'] == 'stopped':
        return f"stopped {now['reason'].removeprefix('stopped: ')}".strip()
    return 'episode lost' if now['reason'] else 'discarded'
