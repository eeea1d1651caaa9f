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
"""What keeps threads with a period on time."""

import subprocess
import sys

IMAGES = """
import resource
{before}
def images():
    return [b'x' * 921_600 for _ in range(3)]
images()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    images()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_memory_of_images_is_used_again_instead_of_taken_anew():
    keep = ('from faster_ros.runtime.scheduling import keep_freed_memory\n'
            'assert keep_freed_memory()')
    taken_anew, kept = (int(subprocess.run(
        [sys.executable, '-c', IMAGES.format(before=before)], check=True, capture_output=True,
        text=True).stdout) for before in ('', keep))
    assert kept < taken_anew / 4
