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
"""The thread that performs a recovery: it ends where a person stops it, and says how it ended."""

from types import SimpleNamespace

from faster_ros.nodes.recovery_runner import RecoveryRunner
from faster_ros.robots.recovery import Call, Step
import pytest
from std_srvs.srv import Trigger

TRIGGER = ('std_srvs', 'srv', 'Trigger')


class Future:
    """A future that has its answer."""

    def __init__(self, answer):
        self._answer = answer

    def add_done_callback(self, callback):
        callback(self)

    def result(self):
        return self._answer


class Driver:
    """A node and the services behind it: ``answer`` says what a call by its name brings."""

    def __init__(self, answer=lambda name: True, ready=True):
        self.called, self.looked = [], 0
        self._answer, self._ready = answer, ready

    def get_logger(self):
        return SimpleNamespace(info=str, warning=str, error=str)

    def create_client(self, kind, name):
        def call(_):
            self.called.append(name)
            return Future(Trigger.Response(success=self._answer(name)))
        return SimpleNamespace(srv_type=kind, call_async=call, service_is_ready=self._is_ready)

    def _is_ready(self):
        self.looked += 1
        return self._ready


def calls(*names):
    return tuple(Call(name, TRIGGER, lambda answer: answer.success) for name in names)


def ended(runner):
    """Start; returns the progress at the end."""
    assert runner.start() == ''
    runner._thread.join(20.0)
    assert not runner.running
    return runner.progress


def test_each_step_is_performed_in_its_order_until_done():
    driver = Driver()
    steps = (Step('unlock', calls('/unlock')), Step('play', calls('/play')))
    assert ended(RecoveryRunner(driver, steps, lambda: '')) == 'done'
    assert driver.called == ['/unlock', '/play']


def test_a_stop_while_a_call_runs_leaves_out_the_other_way_to_perform_the_step():
    def answer(_):
        runner.cancel()
        return False
    driver = Driver(answer)
    runner = RecoveryRunner(driver, (Step('start the program', calls('/resend', '/play')),),
                            lambda: '')
    assert 'stopped by ~/stop' in ended(runner)
    assert driver.called == ['/resend']


def test_a_stop_while_a_service_is_looked_for_is_not_told_as_a_missing_driver():
    driver = Driver(ready=False)
    runner = RecoveryRunner(driver, (Step('unlock', calls('/unlock')),), lambda: '')
    assert runner.start() == ''
    while not driver.looked:
        pass
    runner.cancel()
    runner._thread.join(20.0)
    assert runner.progress == 'failed in step 1 of 1, unlock: stopped by ~/stop'


def test_a_service_that_nobody_serves_is_named():
    runner = RecoveryRunner(Driver(ready=False), (Step('unlock', calls('/unlock')),), lambda: '')
    assert 'nobody serves /unlock; is the driver running?' in ended(runner)


@pytest.mark.parametrize('needed', [True, False])
def test_an_unexpected_error_in_a_step_ends_the_recovery_as_failed_with_its_text(needed):
    def hold():
        raise ValueError('a pose of 5 joints')
    steps = (Step('hold', hold=True, needed=needed), Step('play', calls('/play')))
    driver = Driver()
    assert ended(RecoveryRunner(driver, steps, hold)) == (
        "failed in step 1 of 2, hold: ValueError('a pose of 5 joints')")
    assert driver.called == []


def test_a_robot_file_without_a_recovery_is_told_whose_recovery_to_call():
    message = RecoveryRunner(Driver(), (), lambda: '').start()
    assert "the robot file says 'recovery: none'" in message
    assert 'docs/drivers.md' in message
