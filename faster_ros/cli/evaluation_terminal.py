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
``faster_ros eval operate``: the operator's page in a terminal, for a machine without a browser.

Talks to the same server on this machine as the page does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import json
import select
import sys
import time
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

_POLL_S = 0.3
_ANSWER_S = 10.0

Ask = Callable[[str], str]


class Terminal:
    """Shows each trial and asks for what is next; ``ask`` prompts for a line."""

    def __init__(self, url: str, ask: Ask = input) -> None:
        self._url = url.rstrip('/')
        self._ask = ask
        self._told = ''

    def run(self) -> None:
        """Go through the trials until the evaluation is over."""
        while (view := self._view())['phase'] != 'over':
            step = {'setup': self._setup, 'running': self._running, 'judging': self._judge}
            step[view['phase']](view)
        self._say(f"{view['done']} of {view['planned']} trials are done\n{view['message']}")

    def _setup(self, view: Mapping[str, Any]) -> None:
        self._say(f"\nTrial {view['trial']} of {view['planned']}: {view['task']}, "
                  f"{view['initial_state']}\n  {view['description']}\n"
                  f"  instruction: {view['instruction']}\n  {view['message']}"
                  + ('' if view['recording']['well'] else
                     f"\n  recording: {view['recording']['text']}"))
        if not view['ready']:
            time.sleep(_POLL_S)
            return
        self._ask('Enter starts the arm (ctrl-C leaves) > ')
        self._act(view, 'start')
        while (now := self._view())['phase'] == 'setup' and now['starting']:
            time.sleep(_POLL_S)

    def _running(self, view: Mapping[str, Any]) -> None:
        self._say('The arm moves. Enter stops it, i and Enter counts an intervention.')
        if select.select([sys.stdin], [], [], _POLL_S)[0]:
            word = sys.stdin.readline().strip()
            self._act(view, 'intervention' if word == 'i' else 'stop')

    def _judge(self, view: Mapping[str, Any]) -> None:
        self._say(f"It ended after {view['run']['seconds']:.1f} s: {view['run']['ended']}\n"
                  f"Success means: {view['success']}")
        word = self._ask('s success, f failure, v void > ').strip().lower()
        if word == 'v':
            self._act(view, 'void', reason=self._ask('why does it not count? > '))
        elif word in ('s', 'f'):
            self._act(view, 'judge', success=word == 's', **self._details(view, word == 's'))

    def _details(self, view: Mapping[str, Any], success: bool) -> dict[str, Any]:
        failure, score = '', None
        if not success:
            failure = self._choose('what failed', view['failures'])
            if view['scores']:
                reached = self._choose('how far it got', ['nothing', *view['scores']])
                score = view['scores'].get(reached, 0.0)
        return {'failure': failure, 'score': score, 'note': self._ask('note > ')}

    def _choose(self, text: str, names: list[str]) -> str:
        while True:
            listed = ', '.join(f'{number} {name}' for number, name in enumerate(names, 1))
            word = self._ask(f'{text}: {listed} > ').strip()
            if word.isdigit() and 1 <= int(word) <= len(names):
                return names[int(word) - 1]

    def _say(self, text: str) -> None:
        if text != self._told:
            print(text, flush=True)
            self._told = text

    def _view(self) -> dict[str, Any]:
        with urlopen(f'{self._url}/state', timeout=_ANSWER_S) as answer:
            view: dict[str, Any] = json.load(answer)
            return view

    def _act(self, view: Mapping[str, Any], action: str, **told: Any) -> None:
        body = json.dumps({'action': action, 'trial': view['trial'], **told}).encode()
        request = Request(f'{self._url}/act', body, {'Content-Type': 'application/json'})
        try:
            urlopen(request, timeout=_ANSWER_S).close()
        except HTTPError as error:
            print(error.read().decode(), flush=True)


def operate(url: str) -> int:
    """Run the terminal; returns the exit code."""
    try:
        Terminal(url).run()
    except URLError as error:
        raise ValueError(f'no evaluation_node answers at {url}: {error.reason}') from None
    return 0
