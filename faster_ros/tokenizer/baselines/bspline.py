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
"""BEAST (arXiv 2506.06072): the control points of a B-spline per dimension."""

from __future__ import annotations

from collections.abc import Sequence

from faster_ros.interfaces import FloatArray
from faster_ros.tokenizer.baselines.uniform_code import UniformCode
from faster_ros.tokenizer.protocol import IntArray, LIMIT, refuse_unfitted, TokenizerSpec
import numpy as np
from scipy.interpolate import BSpline

_DEGREE = 3


def basis(rows: int, points: int) -> FloatArray:
    """Return the clamped uniform B-splines of a chunk, shape (rows, points)."""
    degree = min(_DEGREE, points - 1)
    inner = np.linspace(0, 1, points - degree + 1)
    knots = np.concatenate([np.zeros(degree), inner, np.ones(degree)])
    matrix: FloatArray = BSpline.design_matrix(np.linspace(0, 1, rows), knots, degree).toarray()
    return matrix


class BSplines:
    """
    N x D tokens: control points by ridge least squares, 256 uniform levels, no codebook.

    Published defaults: clamped uniform cubic splines, N of about 5 to 15 control points for each
    dimension. The tie of the first control point to the previous action is left out, for a chunk
    is encoded alone here.
    """

    def __init__(self, points: int = 5, levels: int = 256, ridge: float = 1e-6) -> None:
        self._points = points
        self._code = UniformCode(levels)
        self._ridge = ridge
        self._basis: FloatArray = np.zeros((0, 0))
        self._fit: FloatArray = np.zeros((0, 0))
        self._columns = 0

    @property
    def spec(self) -> TokenizerSpec:
        """Return N x D tokens."""
        return TokenizerSpec(f'B-spline {self._points}', self._code.bins,
                             self._points * self._columns,
                             'BEAST: cubic, 5 to 15 control points, 256 levels')

    def fit(self, chunks: FloatArray) -> None:
        """Learn the range of each control point."""
        rows, self._columns = chunks.shape[1:]
        self._points = min(self._points, rows)
        self._basis = basis(rows, self._points)
        gram: FloatArray = self._basis.T @ self._basis + self._ridge * np.eye(self._points)
        self._fit = np.asarray(np.linalg.solve(gram, self._basis.T), dtype=np.float64)
        self._code.fit(self._control_points(chunks))

    def encode(self, chunks: FloatArray) -> list[IntArray]:
        """Return N * D levels for each chunk, control point by control point."""
        refuse_unfitted(self.spec, self._columns > 0)
        return self._code.encode(self._control_points(chunks), self.spec)

    def decode(self, sequences: Sequence[IntArray]) -> FloatArray:
        """Return the chunks of whole sequences."""
        points = self._code.decode(sequences, self.spec, prefix_decodes=False)
        chunks = self._basis @ points.reshape(-1, self._points, self._columns)
        clipped: FloatArray = np.clip(chunks, -LIMIT, LIMIT)
        return clipped

    def _control_points(self, chunks: FloatArray) -> FloatArray:
        points: FloatArray = (self._fit @ chunks).reshape(len(chunks), -1)
        return points
