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
"""Rows at an even rate from streams of their own rates, delays and gaps."""

from faster_ros.data.dataset_spec import ACTION, IMAGES, SOURCE, Source, STAMP, STATE, TICK
from faster_ros.data.frame_sampler import FrameSampler
from hypothesis import given, settings, strategies as st
import numpy as np
from recording_samples import FPS, SPEC, START_NS

MS = 1_000_000
PICTURE = np.zeros((48, 64, 3), np.uint8)


def messages(seconds=2.0, camera_ms=33, state_ms=5, action_ms=10):
    """Return (stamp, stream, values) of all streams in the order of their stamps."""
    found = [(START_NS + t * MS, name, PICTURE + index)
             for index, name in enumerate(('front', 'wrist'))
             for t in range(3 + 9 * index, int(seconds * 1000), camera_ms)]
    found += [(START_NS + t * MS, name, np.array([t / 1000, 0.0, 1.0]))
              for name, step in (('state', state_ms), ('action', action_ms))
              for t in range(0, int(seconds * 1000), step)]
    return sorted(found, key=lambda item: item[:2])


def feed(sampler, arrivals):
    """Hand over (arrival, stamp, stream, values) in order; return all rows."""
    rows = []
    for now_ns, stamp_ns, stream, values in arrivals:
        if stream == 'state':
            sampler.add_state(stamp_ns, values)
        elif stream == 'action':
            sampler.add_action(stamp_ns, values)
        else:
            sampler.add_image(stream, stamp_ns, values)
        rows += sampler.rows(now_ns)
    return rows


def test_each_row_holds_what_was_true_at_its_tick():
    rows = feed(FrameSampler(SPEC), [(stamp, stamp, *rest) for stamp, *rest in messages()])
    ticks = np.array([row.numbers[TICK][0] for row in rows])
    assert len(rows) >= 18
    # All have spoken at 12 ms; images come at 3 and 12 ms of a period of 33, rows every 100 ms.
    assert START_NS + 12 * MS <= ticks[0] < START_NS + 112 * MS
    np.testing.assert_array_equal(np.diff(ticks), 10**9 // FPS)
    for row, tick in zip(rows, ticks):
        seconds = (tick - START_NS) / 1e9
        np.testing.assert_allclose(row.numbers[STATE][0], seconds, atol=1e-9)
        assert seconds - 0.010 < row.numbers[ACTION][0] <= seconds
        for name, period in (('state', 5), ('action', 10), ('front', 33), ('wrist', 33)):
            assert 0 <= tick - row.numbers[f'{STAMP}{name}'][0] < period * MS


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 90), min_size=4, max_size=4), st.integers(0, 2**31))
def test_rows_do_not_depend_on_how_long_messages_travel(delays, seed):
    names = ('front', 'wrist', 'state', 'action')
    delay = dict(zip(names, delays))
    tie = np.random.default_rng(seed).permutation(10_000)
    arrivals = sorted(((stamp + delay[name] * MS, int(tie[k]), stamp, name, values)
                       for k, (stamp, name, values) in enumerate(messages(1.0))),
                      key=lambda item: item[:2])
    late = feed(FrameSampler(SPEC), [(now, *rest) for now, _, *rest in arrivals])
    prompt = feed(FrameSampler(SPEC), [(stamp, stamp, *rest) for stamp, *rest in messages(1.0)])
    assert len(prompt) > 7
    assert abs(len(late) - len(prompt)) <= 1
    for one, other in zip(late, prompt):
        for name in one.numbers:
            np.testing.assert_array_equal(one.numbers[name], other.numbers[name])


def test_a_camera_that_falls_silent_is_shown_with_its_old_stamp():
    silent = [(stamp, stamp, name, values) for stamp, name, values in messages()
              if name != 'front' or stamp < START_NS + 500 * MS]
    rows = feed(FrameSampler(SPEC), silent)
    assert len(rows) >= 15
    last = rows[-1].numbers
    assert last[TICK][0] - last[f'{STAMP}front'][0] > 900 * MS
    assert rows[-1].images[f'{IMAGES}front'] is rows[-2].images[f'{IMAGES}front']
    assert last[TICK][0] - last[f'{STAMP}wrist'][0] < 33 * MS


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 99.9), min_size=2, max_size=2), st.integers(0, 2**31))
def test_every_image_of_uneven_cameras_of_the_same_rate_stands_in_a_row(phases, seed):
    rng, period = np.random.default_rng(seed), 1000 / FPS
    gaps = np.diff(sorted(phases))[0]
    uneven_ms = 0.4 * max(gaps, period - gaps) / 2
    images = [(START_NS + round((phase + k * period + rng.uniform(-0.5, 0.5) * uneven_ms) * MS),
               name, PICTURE)
              for name, phase in zip(('front', 'wrist'), phases) for k in range(1, 60)]
    others = [entry for entry in messages(7.0) if entry[1] in ('state', 'action')]
    arrivals = sorted(images + others, key=lambda item: item[:2])
    rows = feed(FrameSampler(SPEC), [(entry[0], *entry) for entry in arrivals])
    for name in ('front', 'wrist'):
        shown = [int(row.numbers[f'{STAMP}{name}'][0]) for row in rows]
        between = [stamp for stamp, camera, _ in images
                   if camera == name and shown[0] <= stamp <= shown[-1]]
        assert sorted(shown)[:len(between)] == sorted(between)


def test_nothing_is_made_up_before_every_stream_has_spoken():
    sampler = FrameSampler(SPEC)
    rows = feed(sampler, [(stamp, stamp, name, values) for stamp, name, values in messages()
                          if name != 'action'])
    assert (rows, sampler.missing) == ([], ['action'])


def test_messages_that_go_back_in_time_are_counted_and_left_out():
    sampler = FrameSampler(SPEC)
    arrivals = [(stamp, stamp, name, values) for stamp, name, values in messages()]
    rows = feed(sampler, arrivals)
    sampler.add_state(START_NS, np.full(3, 9.0))
    assert sampler.counts['state'].out_of_order == 1
    assert max(row.numbers[STATE][0] for row in rows) < 2.1


def test_rows_tell_who_led_the_arm():
    sampler = FrameSampler(SPEC)
    sampler.set_source(START_NS, Source.POLICY)
    sampler.set_source(START_NS + 1000 * MS, Source.INTERVENTION)
    rows = feed(sampler, [(stamp, stamp, *rest) for stamp, *rest in messages()])
    for row in rows:
        wanted = (Source.POLICY if row.numbers[TICK][0] < START_NS + 1000 * MS
                  else Source.INTERVENTION)
        assert row.numbers[SOURCE][0] == wanted
