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
from faster_ros.policy_server.wire import pack, unpack
import msgpack
import numpy as np
import pytest


@pytest.mark.parametrize('dtype', ['bool', 'uint8', 'int16', 'int64', 'float16', 'float32', '>f8'])
@pytest.mark.parametrize('shape', [(), (0, 3), (2, 3), (4, 1, 2)])
def test_arrays_come_back_as_they_were(dtype, shape):
    count = np.arange(np.prod(shape, dtype=int)) % 2
    array = count.astype(dtype).reshape(shape)
    back = unpack(pack({'a': {'deep': [array]}}))['a']['deep'][0]
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert np.array_equal(back, array)
    assert back.flags.writeable


def test_everything_else_comes_back_too():
    message = {'text': 'pick up', 'yes': True, 'none': None, 'number': 3, 'half': 0.5,
               'bytes': b'\x00', 'list': [1, ['a']], 'map': {'x': {}}}
    assert unpack(pack(message)) == message
    assert unpack(pack({'one': np.float32(0.25), 'pair': (1, 2)})) == {'one': 0.25,
                                                                       'pair': [1, 2]}


def test_an_array_is_the_map_that_openpi_writes():
    frame = pack({'observation/state': np.array([[1.0, 2.0]], np.float32)})
    assert msgpack.unpackb(frame) == {'observation/state': {
        b'__ndarray__': True, b'data': np.array([1, 2], '<f4').tobytes(), b'dtype': '<f4',
        b'shape': [1, 2]}}


@pytest.mark.parametrize('array, name', [
    (np.array([{}, None]), 'object'), (np.array([1j]), "'<c16'"), (np.array(['a']), "'<U1'"),
    (np.zeros(1, [('a', 'i4')]), r"'\|V4'"), (np.array(['2026'], 'M8[Y]'), r"'<M8\[Y\]'")])
def test_other_types_are_refused_by_name_when_they_are_sent(array, name):
    with pytest.raises(ValueError, match=f"entry 'a > 1' has type {name}; expected booleans"):
        pack({'a': [0, array]})


@pytest.mark.parametrize('dtype, name', [
    ('|O', 'object'), ('O', 'object'), (b'|O', 'object'), ('<c16', "'<c16'"), ('i4,f8', "'i4,f8'"),
    (None, 'None'), (7, '7')])
@pytest.mark.parametrize('kind', [b'__ndarray__', b'__npgeneric__'])
def test_other_types_are_refused_by_name_when_they_come(kind, dtype, name):
    frame = msgpack.packb({'observation': {'state': {
        kind: True, b'data': b'\x80\x04.', b'dtype': dtype, b'shape': [1]}}})
    with pytest.raises(ValueError, match=f"entry 'observation > state' has type {name}; expected"):
        unpack(frame)


@pytest.mark.parametrize('shape, data, words', [
    ([2], b'1234', r'shape \(2,\) of float32 takes 8 bytes, got 4'),
    ([-1], b'1234', r'expected the shape as a list of sizes, got \[-1\]'),
    ([True], b'1234', 'expected the shape as a list of sizes'),
    (None, b'1234', 'expected the shape as a list of sizes, got None'),
    ([2**40, 2**40], b'1234', 'takes 4835703278458516698824704 bytes, got 4'),
    ([1], 'abcd', "takes 4 bytes, got 'abcd'"),
])
def test_an_array_that_contradicts_itself_is_refused(shape, data, words):
    frame = msgpack.packb({'a': {b'__ndarray__': True, b'data': data, b'dtype': '<f4',
                                 b'shape': shape}})
    with pytest.raises(ValueError, match=f"entry 'a': .*{words}"):
        unpack(frame)


@pytest.mark.parametrize('frame', [b'', b'\xc1', b'\x81', msgpack.packb([1]), msgpack.packb(3),
                                   b'\x91' * 5000, msgpack.packb({}) + b'\x00'])
def test_what_is_no_map_is_refused(frame):
    with pytest.raises(ValueError, match='expected a msgpack map, got'):
        unpack(frame)


def test_what_cannot_travel_is_named():
    with pytest.raises(ValueError, match="entry 'policy' is <object object at .*; expected an"):
        pack({'policy': object()})
