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
The video of a run: both cameras, the task, how it went and the joints, commanded and measured.

Frames are kept as they come and drawn and encoded between trials, while nothing is measured. Used
by demo_node.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
from faster_ros.interfaces import FloatArray, ImageArray
import numpy as np

_VIEW = (640, 480)  # width and height of one camera in the video
_STRIP = 300  # height of the plots below, px
_PLOT_SECONDS = 4.0
_KEPT = 1200  # frames, about 100 kB each; of a longer trial the last are shown
_BACKGROUND = (24, 24, 28)
_PANEL = (40, 40, 46)
_TEXT = (235, 235, 235)
_DIM = (150, 150, 158)
_COMMANDED = (255, 176, 64)
_MEASURED = (96, 190, 255)
OUTCOME_COLOURS = {'success': (90, 210, 120), '': _DIM}
_FAILED = (240, 100, 90)


@dataclass(frozen=True)
class VideoFrame:
    """
    What one frame shows.

    ``jpegs``: camera -> compressed image. ``outcome``: empty while the trial runs.
    ``commanded`` and ``measured``: seconds (T,) and positions (T, D).
    """

    title: str
    outcome: str
    seconds: float
    jpegs: Mapping[str, bytes]
    commanded: tuple[FloatArray, FloatArray]
    measured: tuple[FloatArray, FloatArray]


class TrialVideo:
    """Keeps the frames of a trial until ``draw`` encodes them; ``close`` finishes the file."""

    def __init__(
        self,
        path: Path,
        joint_names: tuple[str, ...],
        rate_hz: float,
        limits: tuple[FloatArray, FloatArray],
    ) -> None:
        """``limits``: lower and upper joint limits, the range of the plots."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.picture = path.with_name('picture.png')  # the first success
        self.picture.unlink(missing_ok=True)
        self._names = joint_names
        self._limits = limits
        size = (_VIEW[1] + _STRIP, 2 * _VIEW[0], 3)
        self._background = np.full(size, _BACKGROUND, np.uint8)
        self._waiting: deque[VideoFrame] = deque(maxlen=_KEPT)
        self._shown = 0
        self._container = av.open(str(path), 'w', options={'movflags': 'faststart'})
        self._rate = Fraction(rate_hz).limit_denominator()
        stream = self._container.add_stream('libx264', rate=self._rate)
        stream.width, stream.height = 2 * _VIEW[0], _VIEW[1] + _STRIP
        stream.pix_fmt = 'yuv420p'
        stream.options = {'preset': 'ultrafast', 'crf': '22', 'threads': '1'}
        self._stream = stream
        self._failure: Exception | None = None

    def add(self, frame: VideoFrame) -> None:
        """Keep one frame."""
        self._waiting.append(frame)

    def draw(self) -> None:
        """Encode what was kept; an error waits for ``close``."""
        frames, self._waiting = self._waiting, deque(maxlen=_KEPT)
        if self._failure is not None:
            return
        try:
            for frame in frames:
                picture = self._draw(frame)
                self._encode(picture)
                if frame.outcome == 'success' and not self.picture.exists():
                    cv2.imwrite(str(self.picture), picture[..., ::-1])
        except Exception as error:
            self._failure = error

    def close(self) -> str:
        """Encode what is kept, finish the file and return what went wrong; no run fails for it."""
        self.draw()
        try:
            if self._failure is None:
                self._container.mux(self._stream.encode(None))
            self._container.close()
        except Exception as error:
            self._failure = self._failure or error
        return f'the video could not be written: {self._failure}' if self._failure else ''

    def _encode(self, picture: ImageArray) -> None:
        frame = av.VideoFrame.from_ndarray(picture, 'rgb24')
        frame.pts, frame.time_base = self._shown, 1 / self._rate
        self._shown += 1
        self._container.mux(self._stream.encode(frame))

    def _draw(self, frame: VideoFrame) -> ImageArray:
        width, height = _VIEW
        canvas = self._background.copy()
        for index, (name, jpeg) in enumerate(frame.jpegs.items()):
            view = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            if index > 1 or view is None:
                continue
            left = index * width
            view = cv2.resize(cv2.cvtColor(view, cv2.COLOR_BGR2RGB), _VIEW)
            canvas[:height, left:left + width] = view
            put_text(canvas, name, (left + width - 76, height - 14), 0.55, _TEXT, shadow=True)
        put_text(canvas, frame.title, (16, 34), 0.85, _TEXT, shadow=True)
        status = f'{frame.seconds:.1f} s' + (f'   {frame.outcome}' if frame.outcome else '')
        colour = OUTCOME_COLOURS.get(frame.outcome, _FAILED) if frame.outcome else _TEXT
        put_text(canvas, status, (16, 66), 0.7, colour, shadow=True)
        draw_plots(canvas[height:], self._names, self._limits, frame)
        return canvas


def draw_plots(
    canvas: ImageArray,
    names: tuple[str, ...],
    limits: tuple[FloatArray, FloatArray],
    frame: VideoFrame,
) -> None:
    """Draw one small plot per joint over the last seconds, commanded above measured."""
    columns = (len(names) + 1) // 2
    cell_width, top = canvas.shape[1] // columns, 30
    cell_height = (canvas.shape[0] - top) // 2
    put_text(canvas, 'commanded', (12, 20), 0.45, _COMMANDED)
    put_text(canvas, 'measured', (112, 20), 0.45, _MEASURED)
    note = 'joint positions over the last 4 s in rad and m, each on a scale of its own'
    put_text(canvas, note, (205, 20), 0.45, _DIM)
    for index, name in enumerate(names):
        left = (index % columns) * cell_width + 6
        upper = top + (index // columns) * cell_height
        box = (left, upper, cell_width - 12, cell_height - 8)
        _draw_plot(canvas, box, name, index, limits, frame)


def _draw_plot(
    canvas: ImageArray,
    box: tuple[int, int, int, int],
    name: str,
    index: int,
    limits: tuple[FloatArray, FloatArray],
    frame: VideoFrame,
) -> None:
    left, top, width, height = box
    cv2.rectangle(canvas, (left, top), (left + width, top + height), _PANEL, -1)
    traces = [
        (seconds, positions[:, index])
        for seconds, positions in (frame.measured, frame.commanded)
        if len(seconds)
    ]
    if traces:
        values = np.concatenate([trace for _, trace in traces])
        span = limits[1][index] - limits[0][index]
        middle = 0.5 * (values.min() + values.max())
        half = max(0.55 * (values.max() - values.min()), 0.05 * span)
        for (seconds, trace), colour in zip(traces, (_MEASURED, _COMMANDED)):
            x = left + width * (1 + (seconds - frame.seconds) / _PLOT_SECONDS)
            y = top + 0.5 * height - (height - 34) * 0.5 * (trace - middle) / half + 8
            inside = x >= left
            points = np.stack([x[inside], y[inside]], axis=1)
            cv2.polylines(
                canvas, [np.round(points * 16).astype(np.int32)], False, colour, 1, cv2.LINE_AA, 4
            )
        put_text(canvas, f'{traces[0][1][-1]:+.3f}', (left + width - 58, top + 16), 0.42, _DIM)
    put_text(canvas, name, (left + 6, top + 16), 0.42, _TEXT)


def put_text(
    canvas: ImageArray,
    text: str,
    origin: tuple[int, int],
    scale: float,
    colour: tuple[int, int, int],
    shadow: bool = False,
) -> None:
    """Write one line; ``shadow`` keeps it readable on a camera image."""
    if shadow:
        cv2.putText(
            canvas, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 4, cv2.LINE_AA
        )
    cv2.putText(
        canvas,
        text,
        origin,
        cv2.FONT_HERSHEY_SIMPLEX,
        scale,
        colour,
        2 if scale > 0.6 else 1,
        cv2.LINE_AA,
    )
