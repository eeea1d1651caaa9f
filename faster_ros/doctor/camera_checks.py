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
"""Are a camera's images those of the robot file, and do all of them arrive."""

from __future__ import annotations

from faster_ros.doctor.facts import CameraFacts, SystemFacts
from faster_ros.doctor.report import critical, Line, ok, warning
import numpy as np

DEFAULT_SEGMENT_BYTES = 512 * 1024  # of shared memory that Fast DDS gives a participant
_LOST_SHARE = 0.02
_DEPTH = ('16UC1', '32FC1', 'mono16')


def images(camera: CameraFacts) -> Line:
    """Say whether the policy can read the newest image, and why not."""
    check = f'{camera.name} image'
    size = f'{camera.width}x{camera.height} {camera.encoding}'
    if not camera.unreadable:
        return ok(check, f'{size}, as in the robot file')
    if camera.unreadable.startswith('size'):
        remedy = ('set the resolution of the camera driver, or width and height in the robot '
                  'file to what the policy was trained with')
    elif camera.encoding in _DEPTH:
        remedy = 'this is a depth image: name the topic of the colour image in the robot file'
    else:
        remedy = "set the colour format of the camera driver, rgb8 is every driver's default"
    return critical(check, camera.unreadable, remedy)


def lost_frames(camera: CameraFacts, system: SystemFacts) -> Line:
    """Count the frames that are missing between the stamps."""
    check = f'{camera.name} frames'
    times = np.unique(np.array(camera.stream.stamps_ns, dtype=np.int64))
    if len(times) < 3:
        return warning(check, f'{len(times)} different stamps; losses cannot be counted',
                       'watch longer: --seconds 10')
    # Over the whole span: a late frame that is followed by an early one is not a lost one.
    expected = round((times[-1] - times[0]) / np.median(np.diff(times))) + 1
    lost = max(0, expected - len(times))
    share = lost / (len(times) + lost)
    found = f'{lost} of {len(times) + lost} lost'
    if share <= _LOST_SHARE:
        return ok(check, found)
    return warning(check, found, large_image_remedy(camera, system)
                   or 'is the machine or the USB bus overloaded?')


def large_image_remedy(camera: CameraFacts, system: SystemFacts) -> str:
    """Return the advice for images that do not fit into the shared memory of their writer."""
    fits = 0 < camera.size_bytes <= DEFAULT_SEGMENT_BYTES
    if fits or 'fastrtps' not in system.middleware or 'Compressed' in camera.stream.type_name:
        return ''
    return ('is the machine overloaded? If not, start the camera driver with '
            f'{system.profile_variable}=<share>/faster_ros/config/fastdds_large_images.xml: the '
            'default shared memory of Fast DDS (512 KiB) loses large images; or take '
            'compressed:=true')


def shared_memory(cameras: tuple[CameraFacts, ...], system: SystemFacts) -> Line:
    """Say whether this shell gives Fast DDS room for large images."""
    check = 'large images'
    largest = max((camera.size_bytes for camera in cameras), default=0)
    if 'fastrtps' not in system.middleware:
        return ok(check, f'{system.middleware or "another middleware"} needs no profile')
    if not cameras:
        return ok(check, 'no cameras')
    if not largest:
        return warning(check, 'no image came, so its size is not known',
                       'start the cameras, then examine again')
    if largest <= DEFAULT_SEGMENT_BYTES:
        return ok(check, f'{largest / 1024:.0f} KiB each fit into the default shared memory')
    found = f'{largest / 1024:.0f} KiB each'
    if system.segment_bytes >= 4 * largest:
        return ok(check, f'{found}; {system.profile} gives {system.segment_bytes >> 20} MiB')
    said = f'{system.profile} does not give' if system.profile else (
        f'{system.profile_variable} is not set, so Fast DDS does not give')
    return warning(check, f'{found}; {said} a camera driver that is started from here enough '
                   'shared memory', f'export {system.profile_variable}=<share>/faster_ros/config/'
                   'fastdds_large_images.xml in the shell of the camera drivers')
