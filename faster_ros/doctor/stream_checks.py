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
"""Is a topic there, at its rate, in a fitting quality, and with stamps that can be trusted."""

from __future__ import annotations

from faster_ros.doctor.facts import Endpoint, Quality, StreamFacts
from faster_ros.doctor.report import critical, Line, ok, warning
import numpy as np

_CLOCK_OFF_S = 1.0       # further apart, two clocks are not synchronised
_FUTURE_S = 0.02         # a stamp this far ahead is more than jitter
_UNEVEN_AGE_S = 0.25     # ages that differ by more look like a clock that was set
_SHARE_OF_RATE = 0.8
_SHARE_OF_REPEATED = 0.1
START_DRIVER = 'start its driver, or correct the topic in the robot file'


def presence(check: str, stream: StreamFacts, few: str = '') -> Line:
    """Say whether messages come; ``few`` is the remedy if a publisher is there but no message."""
    if not stream.publishers:
        similar = ', '.join(stream.similar)
        hint = f'; {stream.type_name} comes on {similar}' if similar else ''
        return critical(check, f'nobody publishes {stream.topic}{hint}', START_DRIVER)
    names = node_names(stream.publishers)
    wrong = sorted({end.type_name for end in stream.publishers} - {stream.type_name})
    if wrong:
        return critical(check, f"{stream.topic} carries {', '.join(wrong)} from {names}; expected "
                        f'{stream.type_name}', 'correct the topic in the robot file')
    if not stream.arrivals_ns:
        return critical(check, f'no message on {stream.topic} in {stream.seconds:g} s, though '
                        f'{names} publishes it', few or 'is the driver connected to the hardware? '
                        'see its log')
    found = f'{len(stream.arrivals_ns)} messages in {stream.seconds:g} s on {stream.topic}'
    if len(stream.publishers) > 1:
        return warning(check, f'{found} from {len(stream.publishers)} publishers: {names}',
                       'stop all but one, or their messages mix')
    return ok(check, f'{found} from {names}')


def quality(check: str, stream: StreamFacts) -> Line:
    """Say whether every publisher offers what the nodes of this package ask for."""
    reasons = {end.node: mismatch(end.quality, stream.requested) for end in stream.publishers}
    unfit = [f'{node}: {reason}' for node, reason in reasons.items() if reason]
    if unfit:
        return critical(check, f"{stream.topic} from {'; '.join(unfit)}",
                        'set the quality of service of the publisher')
    asked = 'reliable' if stream.requested.reliable else 'best effort'
    offered = sorted({'reliable' if end.quality.reliable else 'best effort'
                      for end in stream.publishers})
    return ok(check, f"{' and '.join(offered)} offered, {asked} asked")


def mismatch(offered: Quality, requested: Quality) -> str:
    """Return '' or why a publisher's quality does not reach a subscription."""
    if requested.reliable and not offered.reliable:
        return 'best effort is offered, reliable asked'
    if requested.transient_local and not offered.transient_local:
        return 'volatile is offered, transient local asked'
    if offered.deadline_s > requested.deadline_s:
        return (f'a deadline of {offered.deadline_s:g} s is offered, '
                f'{requested.deadline_s:g} s asked')
    return ''


def rate(check: str, stream: StreamFacts, expected_hz: float, max_age_s: float,
         slow: str = '') -> Line:
    """Compare the rate with the robot file's; ``slow`` is the remedy for a low one."""
    slow = slow or 'raise the rate of the driver, or state the true one in the robot file'
    arrivals = np.array(stream.arrivals_ns)
    if len(arrivals) < 2:
        return critical(check, f'one message in {stream.seconds:g} s; expected {expected_hz:g} Hz',
                        slow)
    gaps_s = np.diff(arrivals) * 1e-9
    measured_hz = len(gaps_s) / max(float(gaps_s.sum()), 1e-9)
    found = f'{measured_hz:.1f} Hz, robot file {expected_hz:g} Hz'
    if measured_hz * max_age_s < 1.0:
        return critical(check, f'{found}; {1 / measured_hz:.2f} s between messages, more than '
                        f'the {max_age_s:g} s after which the arm holds', slow)
    if gaps_s.max() > max_age_s:
        return warning(check, f'{found}; one gap of {gaps_s.max():.2f} s, the arm holds after '
                       f'{max_age_s:g} s', slow)
    if measured_hz < _SHARE_OF_RATE * expected_hz:
        return warning(check, found, slow)
    return ok(check, found)


def stamps(check: str, stream: StreamFacts, max_age_s: float) -> Line:
    """Judge the stamps against the clock and against each other."""
    times, ages_s = np.array(stream.stamps_ns), _ages(stream)
    age_s = float(np.median(ages_s))
    back_s = -float(np.diff(times).min(initial=0)) * 1e-9
    if (times == 0).any():
        return critical(check, f'{(times == 0).mean():.0%} of the stamps are zero',
                        'let the driver fill header.stamp with the time of measurement')
    if abs(age_s) > _CLOCK_OFF_S:
        return critical(check, f'stamps are {_off(age_s)}',
                        'synchronise the clocks of both machines (chrony), or set the time '
                        'domain of the driver to the ROS clock')
    if not -max_age_s <= age_s <= max_age_s:
        return critical(check, f'stamps are {_off(age_s)}; limit {max_age_s:g} s',
                        'synchronise the clocks, or find what delays the messages')
    if back_s > 0:
        return critical(check, f'stamps go back by up to {back_s:.3f} s',
                        'let one node publish, and keep its clock from being set')
    return _small_faults(check, times, ages_s)


def _small_faults(check: str, times: np.ndarray, ages_s: np.ndarray) -> Line:
    age_s, spread_s = float(np.median(ages_s)), float(np.ptp(ages_s))
    repeated = float((np.diff(times) == 0).mean()) if len(times) > 1 else 0.0
    if age_s < -_FUTURE_S:
        return warning(check, f'stamps are {_off(age_s)}', 'synchronise the clocks (chrony)')
    if spread_s > _UNEVEN_AGE_S:
        return warning(check, f'ages differ by {spread_s:.2f} s (median {age_s:.3f} s)',
                       'is the machine overloaded, or was a clock set meanwhile?')
    if repeated > _SHARE_OF_REPEATED:
        return warning(check, f'{repeated:.0%} of the stamps repeat the one before',
                       'the driver publishes faster than it measures')
    return ok(check, f'{age_s * 1e3:.0f} ms old on arrival, in order')


def _ages(stream: StreamFacts) -> np.ndarray:
    return np.array([(arrival - stamp) * 1e-9
                     for arrival, stamp in zip(stream.arrivals_ns, stream.stamps_ns)])


def _off(age_s: float) -> str:
    return f'{age_s:.2f} s old' if age_s > 0 else f'{-age_s:.2f} s in the future'


def node_names(endpoints: tuple[Endpoint, ...]) -> str:
    """Return who is there, each name once, with its number if it comes more often."""
    names = [end.node for end in endpoints]
    return ', '.join(name if names.count(name) == 1 else f'{name} ({names.count(name)} times)'
                     for name in sorted(set(names)))
