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
What is learnt of an episode after it was saved: its outcome and further facts.

They stand in the episode's row of ``meta/episodes``, of which the file is replaced at once. A
recorder may go on meanwhile: it writes other files.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
import json
from pathlib import Path
from typing import Any

from faster_ros.data.dataset_spec import EpisodeFacts
from faster_ros.data.durable import write_durably


def label_episodes(folder: Path, labels: Mapping[int, tuple[str, Mapping[str, str]]]) -> int:
    """
    Give episodes of a data set of ours their outcome, and facts beside those they have.

    ``labels``: number of an episode -> (outcome, facts). Returns how many episodes changed.
    """
    from pyarrow import array, parquet

    changed = 0
    for path in sorted((folder / 'meta/episodes').glob('**/*.parquet')):
        table = parquet.read_table(path)
        rows = table.select(['episode_index', 'tasks', 'outcome', 'facts']).to_pylist()
        told = [_labelled(row, labels) for row in rows]
        count = sum((row['outcome'], row['facts']) != new for row, new in zip(rows, told))
        if not count:
            continue
        for column, values in zip(('outcome', 'facts'), zip(*told)):
            table = table.set_column(table.column_names.index(column), column, array(values))
        sink = BytesIO()
        parquet.write_table(table, sink, compression='snappy')
        write_durably(path, sink.getvalue())
        changed += count
    return changed


def _labelled(row: Mapping[str, Any],
              labels: Mapping[int, tuple[str, Mapping[str, str]]]) -> tuple[str, str]:
    """Return outcome and facts of an episode as they are to be."""
    if row['episode_index'] not in labels:
        return row['outcome'], row['facts']
    outcome, facts = labels[row['episode_index']]
    known = EpisodeFacts(row['tasks'][0], outcome, {**json.loads(row['facts']), **facts})
    return known.outcome, json.dumps(dict(known.facts))
