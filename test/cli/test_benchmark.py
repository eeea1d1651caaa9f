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
import json
import time

from faster_ros.cli.benchmark import main
from faster_ros.cli.prefix_benchmark import _options
from faster_ros.policy.backbones.registry import make_backbone
from faster_ros.policy.config import PROMPT_TOKENS
from faster_ros.policy.latency import measure_call, WholeCall
from faster_ros.policy.sizes import (
    random_policy,
    RandomCameras,
    size_config,
    SIZES,
    with_blocks_of,
    without_expert,
)
import pytest
import torch
from torch._dynamo import register_backend

CPU = torch.device('cpu')


@pytest.fixture(scope='module')
def policy():
    """Return the smallest policy with the codes of a single arm."""
    return random_policy(size_config(SIZES['tiny'], 3, 7, 64, 2), CPU, torch.float32)


def test_a_benchmark_measures_every_part_and_way_of_decoding(tmp_path, capsys):
    assert main(['policy', '--calls', '2', '--out', str(tmp_path)]) == 0
    figures = json.loads((tmp_path / 'latency.json').read_text())
    assert (figures['tokens'], figures['block_size'], figures['passes']) == (21, 7, 3)
    assert set(figures['parts_ms']) == {
        'input', 'vision', 'prefix', 'decode', 'actions', 'call', 'pass 1', 'pass 2', 'pass 3'}
    assert set(figures['decode_ms']) == {'BAR', 'AR', 'FAST-style', 'flow'}
    assert set(figures['generate_ms']) == {'alone', 'with committed actions'}
    assert all(row['p99'] >= row['p50'] > 0
               for part in ('decode_ms', 'generate_ms') for row in figures[part].values())
    assert all(value > 0 for value in figures['floor'].values())
    assert (tmp_path / 'latency.png').stat().st_size > 1000
    table = (tmp_path / 'table.md').read_text()
    assert '| BAR | 3 |' in table
    assert '| AR | 21 |' in table
    assert table in capsys.readouterr().out


@pytest.mark.slow
def test_torch_compile_is_a_row_of_its_own_or_an_error_that_names_the_option(tmp_path):
    assert main(['policy', '--calls', '1', '--compile', 'eager', '--out', str(tmp_path)]) == 0
    found = json.loads((tmp_path / 'latency.json').read_text())['compiled']
    assert set(found['call_ms']) == {'as above', 'by torch.compile'}
    assert found['equal_codes'] == 1
    assert '| by torch.compile |' in (tmp_path / 'table.md').read_text()

    @register_backend
    def broken(graph, inputs):
        raise RuntimeError('no compiler here')

    with pytest.raises(ValueError, match='--compile: torch.compile is not usable here'):
        main(['policy', '--calls', '1', '--compile', 'broken', '--out', str(tmp_path)])


@pytest.mark.slow
def test_steps_of_a_large_models_training_are_measured_with_lora(tmp_path, capsys):
    pytest.importorskip('transformers', reason='transformers is not installed')
    assert main(['training', '--size', 'paligemma-mini', '--steps', '1', '--batch', '1',
                 '--workers', '0', '--device', 'cpu', '--out', str(tmp_path)]) == 0
    assert 'LoRA rank 16' in capsys.readouterr().out


def test_steps_of_a_training_are_measured_on_random_weights(tmp_path, capsys):
    assert main(['training', '--steps', '2', '--batch', '4', '--accumulate', '2', '--workers', '0',
                 '--device', 'cpu', '--out', str(tmp_path)]) == 0
    figures = json.loads((tmp_path / 'training.json').read_text())
    assert figures['rows_per_s'] > 0
    assert figures['codes_per_s'] == pytest.approx(24 * figures['rows_per_s'])
    assert figures['peak_memory_gb'] is None
    assert 'tiny, 4 rows in 2 parts' in capsys.readouterr().out


def test_a_call_is_timed_from_images_to_a_chunk_and_as_every_part_is(policy):
    pause_s = 0.05

    def look():
        time.sleep(pause_s)
        return cameras()

    def decode(codes):
        time.sleep(pause_s)
        return codes.float()

    cameras = RandomCameras(policy.config, CPU)
    watch = measure_call(policy, WholeCall(look, policy.generate, decode), 2)
    assert all(call >= 2e3 * pause_s for call in watch.times['call'])
    assert all(part >= 1e3 * pause_s for name in ('input', 'actions')
               for part in watch.times[name])


@pytest.mark.parametrize('size', ['tiny', 'paligemma-mini'])
def test_a_random_observation_has_the_prompt_of_a_trained_policy_and_new_images(size):
    pytest.importorskip('transformers', reason='transformers is not installed')
    config = size_config(SIZES[size], 3, 7, 64, 2)
    look = RandomCameras(config, CPU)
    first, second = look(), look()
    assert first.words.shape == second.words.shape == (
        (1, 6) if size == 'tiny' else (1, 2 * 16 * 16 + PROMPT_TOKENS))
    assert not torch.equal(first.images, second.images)
    assert not torch.equal(first.state, second.state)


@pytest.mark.slow
@pytest.mark.parametrize('policy', [[], ['--size', 'paligemma-mini']])
def test_savings_at_the_prefix_are_measured_on_frames_of_the_simulator(tmp_path, policy):
    assert main(['prefix', '--episodes', '1', '--frames', '3', '--out', str(tmp_path),
                 *policy]) == 0
    none, *options = json.loads((tmp_path / 'prefix.json').read_text())['rows']
    assert (none['option'], none['equal_codes'], none['image_tokens_anew']) == ('none', 1, 1)
    if policy:
        assert options.pop(0)['option'] == 'attention step by step'
    merged, kept = options[1], options[-1]
    assert merged['option'] == 'image_share 0.5'
    assert merged['prefix_tokens'] < none['prefix_tokens']
    assert kept['option'] == 'reuse_tolerance 0.2'
    assert kept['image_tokens_anew'] < 1
    assert all(0 <= row['equal_codes'] <= 1 and row['prefix_p50_ms'] > 0 for row in options)


def test_without_a_gpu_cuda_is_refused(tmp_path):
    if torch.cuda.is_available():
        pytest.skip('there is a GPU here')
    for what in ('policy', 'prefix'):
        with pytest.raises(ValueError, match='device cuda: torch finds no CUDA device here'):
            main([what, '--device', 'cuda', '--out', str(tmp_path)])


@pytest.mark.parametrize('what, module, lower', [
    ('policy', 'benchmark', 'lower --size or --cameras'),
    ('prefix', 'prefix_benchmark', 'lower --size')])
def test_a_gpu_that_is_full_is_an_error_that_says_what_to_lower(
        what, module, lower, tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError('tried to allocate 6 GiB')

    monkeypatch.setattr(f'faster_ros.cli.{module}.random_policy', full)
    with pytest.raises(ValueError, match=f'out of GPU memory .*6 GiB.*: {lower}'):
        main([what, '--size', 'tiny', '--out', str(tmp_path)])


@torch.no_grad()
@pytest.mark.parametrize('family, rows', [
    ('smolvlm', ['attention step by step']), ('paligemma2', [])])
def test_attention_without_a_fused_kernel_is_a_row_and_computes_the_same(
        family, rows, monkeypatch):
    pytest.importorskip('transformers', reason='transformers is not installed')
    from small_vlms import batch, model

    plain = model(family)
    ways = dict(_options(plain))
    assert [name for name in ways if 'attention' in name] == rows
    tokens = plain.embed(batch(family, 1))
    expected, fused = ways['none']()(tokens), []
    monkeypatch.setattr(torch.nn.functional, 'scaled_dot_product_attention',
                        lambda *_, **__: fused.append(1))
    found = ways[(rows or ['none'])[0]]()(tokens)
    assert not fused
    for one, other in zip(found.values, expected.values):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_the_ways_of_decoding_share_their_weights(policy):
    one, none = with_blocks_of(policy, 1), without_expert(policy, 5, 32)
    assert one.expert is policy.expert
    assert one.backbone is none.backbone is policy.backbone
    batch = RandomCameras(policy.config, CPU)()
    assert policy.generate(batch).shape == one.generate(batch).shape == (1, 3, 7)
    assert none.generate(batch).shape == (1, 1, 5)


@pytest.mark.parametrize('name, billions', [
    ('smolvlm-256m', 0.23), ('smolvlm-500m', 0.46), ('paligemma-3b', 2.92)])
def test_sizes_have_the_published_number_of_parameters(name, billions):
    pytest.importorskip('transformers', reason='transformers is not installed')
    with torch.device('meta'):
        backbone = make_backbone(size_config(SIZES[name], 3, 7, 4096, 2))
    count = sum(weight.numel() for weight in backbone.parameters())
    assert count / 1e9 == pytest.approx(billions, rel=0.03)
