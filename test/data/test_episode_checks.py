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
"""Each truth check finds what it is for in an episode that is good but for that, and only that."""

from dataclasses import replace

from faster_ros.data.dataset_spec import ACTION, IMAGES, STAMP, STATE, TICK
from faster_ros.data.episode_checks import check_episode
from faster_ros.data.episode_evidence import EpisodeEvidence, JointFacts
from faster_ros.data.lerobot_dataset import video_frames
from faster_ros.data.video_encoder import EpisodeVideo, ImageStatistics
import numpy as np
import pytest

FPS, ROWS, SECOND = 30, 300, 10**9
NAMES = ('shoulder', 'elbow', 'gripper')
JOINTS = JointFacts(np.array([-2.0, -2.0, 0.0]), np.array([2.0, 2.0, 0.08]),
                    np.array([2.0, 2.0, 0.2]), (2,))
ROW = np.arange(ROWS)


def good(**changes):
    """Return an episode of ten seconds; ``changes`` replace or change columns by short name."""
    times = ROW / FPS
    action = np.stack([np.sin(times), np.cos(times), 0.08 * (times > 5)], 1)
    tick = 1_760_000_000 * SECOND + ROW * SECOND // FPS
    columns = {STATE: np.stack([np.sin(times - 0.1), np.cos(times - 0.1), action[:, 2]], 1),
               ACTION: action, TICK: tick.reshape(-1, 1),
               **{f'{STAMP}{name}': (tick - age).reshape(-1, 1) for name, age in (
                   ('state', 2_000_000), ('action', 3_000_000), ('front', 10_000_000),
                   ('wrist', 25_000_000))}}
    for name, change in changes.items():
        column = next(key for key in columns if key.rpartition('.')[2] == name)
        columns[column] = change(columns[column].copy())
    changed = {f'{IMAGES}{name}': [1.5] * (ROWS - 1) for name in ('front', 'wrist')}
    return EpisodeEvidence(FPS, columns, {STATE: NAMES, ACTION: NAMES}, changed, joints=JOINTS)


def put(rows, value):
    """Return a change that sets rows."""
    def change(column):
        column[rows] = value if not callable(value) else value(column)
        return column
    return change


def found(evidence):
    return [(finding.check, finding.refuses) for finding in check_episode(evidence).findings]


def test_a_good_episode_has_no_findings_and_its_figures_are_right():
    report = check_episode(good())
    assert (report.findings, report.verdict) == ((), 'good')
    assert report.figures['seconds'] == 10
    assert report.figures['front rate_hz'] == pytest.approx(30, rel=1e-3)
    assert report.figures['wrist age_s'] == pytest.approx(0.025)
    assert report.figures['skew_p95_s'] == pytest.approx(0.015, abs=1e-6)


@pytest.mark.parametrize(('changes', 'finding'), [
    ({'front': put(slice(100, 110), lambda c: c[99])}, ('gap', False)),
    ({'front': put(slice(100, 150), lambda c: c[99])}, ('gap', True)),
    ({'state': put(slice(200, 300), lambda c: c[199])}, ('gap', True)),
    ({'wrist': lambda c: c - 60_000_000}, ('skew', False)),
    ({'wrist': lambda c: c - 400_000_000}, ('clock_offset', False)),
    ({'stamp_ns': put(slice(150, 300), lambda c: c[150:] + SECOND)}, ('clock_step', True)),
])
def test_stamps_that_lie_are_found(changes, finding):
    evidence = good(**({} if 'state' in changes else changes))
    if 'state' in changes:
        columns = dict(evidence.columns)
        columns[f'{STAMP}state'] = changes['state'](columns[f'{STAMP}state'].copy())
        evidence = replace(evidence, columns=columns)
    assert finding in found(evidence)


@pytest.mark.parametrize(('column', 'change', 'finding'), [
    (STATE, put((slice(100, 160), 0), 0.3), ('frozen_joint', True)),
    (STATE, put((100, 1), 1.9), ('jump', False)),
    (ACTION, put((100, 0), -1.9), ('jump', False)),
    (STATE, put((slice(100, 150), 1), lambda c: 2.0 - 1e-4 * ROW[:50]), ('at_limit', False)),
    (ACTION, put((slice(None), 2), 0.08 * (ROW // 3 % 2)), ('chatter', False)),
])
def test_motion_that_cannot_be_is_found(column, change, finding):
    evidence = good()
    columns = {**evidence.columns, column: change(evidence.columns[column].copy())}
    assert finding in found(replace(evidence, columns=columns))


def test_an_episode_in_which_nothing_moves_is_refused():
    evidence = good()
    still = {name: np.tile(evidence.columns[name][:1], (ROWS, 1)) for name in (STATE, ACTION)}
    assert found(replace(evidence, columns={**evidence.columns, **still})) == [('idle', True)]


def test_a_short_episode_is_refused():
    evidence = good()
    short = {name: values[:20] for name, values in evidence.columns.items()}
    assert ('too_short', True) in found(replace(evidence, columns=short))


def test_images_that_stay_the_same_while_the_arm_moves_are_found():
    frozen = [1.5] * 100 + [0.0] * 60 + [1.5] * (ROWS - 161)
    assert found(replace(good(), changes={f'{IMAGES}front': frozen})) == [('frozen_image', True)]


def test_images_may_stay_the_same_while_only_the_gripper_moves():
    evidence = good()
    held = {name: np.column_stack([np.tile(values[:1, :2], (ROWS, 1)), values[:, 2]])
            for name, values in evidence.columns.items() if name in (STATE, ACTION)}
    evidence = replace(evidence, columns={**evidence.columns, **held},
                       changes={f'{IMAGES}front': [0.0] * (ROWS - 1)})
    assert 'frozen_image' not in [check for check, _ in found(evidence)]


def seen(pictures, folder):
    """Return the changes of pictures, as recorded and as decoded from their video."""
    video = EpisodeVideo(folder / 'video.mp4', FPS, pictures[0].shape[:2], live=False)
    for picture in pictures:
        video.add(picture)
    video.close()
    decoded = ImageStatistics()
    for _, picture in video_frames(folder / 'video.mp4'):
        decoded.add(picture)
    return video.statistics.changes, decoded.changes


def judged(pictures, folder):
    """Return the findings of an episode of which one camera sees these pictures."""
    return [found(replace(good(), changes={f'{IMAGES}front': changes}))
            for changes in seen(pictures, folder)]


@pytest.mark.parametrize(('noise', 'in_video'), [
    (0.0, [('frozen_image', True)]),
    (6.0, [])])  # the codec makes something else of the same noise each time
def test_a_frozen_camera_is_found_live_and_without_noise_in_its_video(tmp_path, noise, in_video):
    rows, columns = np.mgrid[0:240, 0:320]
    rng = np.random.default_rng(0)

    def picture(row):
        wave = 128 + 80 * np.sin(0.05 * columns + 0.03 * rows + 0.2 * row)[..., None]
        return np.clip(wave + rng.normal(0, noise, (240, 320, 3)), 0, 255).astype(np.uint8)

    pictures = [picture(row) for row in range(ROWS)]
    assert judged(pictures, tmp_path) == [[], []]
    pictures[100:150] = [pictures[100]] * 50
    assert judged(pictures, tmp_path) == [[('frozen_image', True)], in_video]


def test_a_small_thing_that_moves_slowly_in_clean_images_is_seen(tmp_path):
    pictures = []
    for row in range(ROWS):
        picture = np.full((240, 320, 3), 90, np.uint8)
        left = 40 + row // 6  # pixels: the arm is small in the image, and slow
        picture[100:124, left:left + 6] = 200
        pictures.append(picture)
    assert judged(pictures, tmp_path) == [[], []]


@pytest.mark.parametrize(('count', 'expected'), [
    (0, []), (1, [('dropped', False)]), (30, [('dropped', True)])])
def test_dropped_images_are_counted_against_a_thousandth(count, expected):
    assert found(replace(good(), counted={f'{IMAGES}front dropped': count})) == expected


def test_messages_that_the_raw_bag_has_lost_are_told_and_refuse_nothing():
    assert found(replace(good(), counted={'bag dropped': 3})) == [('dropped', False)]


def test_losses_that_no_row_suffers_from_are_none():
    fast = {'state received': 600, 'state missed': 400, 'state nominal_hz': 100.0,
            'state slow': 200}
    assert found(replace(good(), counted=fast)) == []


def test_a_gripper_that_shuts_at_once_is_no_jump():
    assert found(good()) == []


def test_a_gripper_is_known_by_its_name_where_the_robot_is_not():
    evidence = good()
    action = evidence.columns[ACTION].copy()
    action[:, 2] = np.where(ROW // 100 % 2, 1.0, -1.0)  # as LIBERO tells it
    toggled = replace(evidence, columns={**evidence.columns, ACTION: action}, joints=None)
    assert found(toggled) == []


def test_columns_without_a_name_are_named_by_their_number():
    evidence = good()
    action = np.column_stack([evidence.columns[ACTION], np.where(ROW // 100 % 2, 1.0, -1.0)])
    for names in ({}, {STATE: NAMES}):
        (finding,) = [item for item in check_episode(replace(
            evidence, columns={**evidence.columns, ACTION: action}, names=names,
            joints=None)).findings if 'column 3' in item.message]
        assert finding.message == 'action column 3 moves by 2.000 from row 99 to 100, 2 such steps'


def test_a_state_may_have_grippers_that_the_action_has_not():
    evidence = good()
    action = evidence.columns[ACTION][:, :2]
    named = {STATE: NAMES, ACTION: NAMES[:2]}
    assert found(replace(evidence, columns={**evidence.columns, ACTION: action}, names=named,
                         joints=None)) == []


def test_a_base_behind_the_joints_of_the_robot_is_judged_by_name():
    evidence = good()
    action = np.column_stack([evidence.columns[ACTION], np.where(ROW // 100 % 2, 0.5, 0.0)])
    named = {STATE: NAMES, ACTION: (*NAMES, 'base_linear_x')}
    messages = [item.message for item in check_episode(replace(
        evidence, columns={**evidence.columns, ACTION: action}, names=named)).findings]
    assert messages == ['action base_linear_x moves by 0.500 from row 99 to 100, 2 such steps']
