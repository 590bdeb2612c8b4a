/** The grammar of the machine's nodes and of the host's, and how memory is divided. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numaMemory, parseNumaNode, parseNumaNodes } from '../../../../src/config/parsers/numa.js';
import { GIB, KIB, MIB } from '../../../../src/config/parsers/size.js';
import { Random, refuses } from '../support.js';

test('nodes of the machine', () => {
  for (const [text, node] of [
    ['0:cpus=0', { node: 0, cpus: [0], memory: undefined, hostNodes: undefined }],
    ['3:cpus=4-6,8,memory=1G', { node: 3, cpus: [4, 5, 6, 8], memory: GIB, hostNodes: undefined }],
    ['127:memory=64,cpus=2,1', { node: 127, cpus: [1, 2], memory: 64 * MIB, hostNodes: undefined }],
    ['0:host=1,3,cpus=0,memory=1K', { node: 0, cpus: [0], memory: KIB, hostNodes: [1, 3] }],
  ] as const) {
    assert.deepEqual(parseNumaNode(text), node);
  }
});

test('bad nodes of the machine', async (t) => {
  const table: [string, string, string][] = [
    ['', 'numa-invalid', '""'],
    ['0', 'numa-invalid', '""'],
    ['0:', 'numa-invalid', '""'],
    ['0:memory=1G', 'numa-invalid', 'names no CPUs'],
    ['0:cpus=', 'numa-invalid', '""'],
    ['0:cpus=1-0', 'numa-invalid', '"1-0"'],
    ['0:cpus=0,memory=1G,2', 'numa-invalid', '"2"'],
    ['0:cpus=0,cpus=1', 'numa-invalid', '"cpus=1"'],
    ['0:cpus=0,size=1', 'numa-invalid', '"size=1"'],
    ['0:0,cpus=1', 'numa-invalid', '"0"'],
    ['0:cpus=1,host=', 'numa-invalid', '""'],
    ['0:cpus=1,toString=1', 'numa-invalid', '"toString=1"'],
    ['128:cpus=0', 'number-invalid', '"128"'],
    ['a:cpus=0', 'number-invalid', '"a"'],
    ['0:cpus=0,memory=0', 'size-zero', 'memory'],
    ['0:cpus=0,memory=1X', 'size-invalid', '"1X"'],
  ];
  for (const [text, code, name] of table) {
    await t.test(JSON.stringify(text), () => refuses(() => parseNumaNode(text), 'arguments', code, '--numa', name));
  }
});

test('nodes without memory share what the others leave', () => {
  const node = (memory?: number) => ({ node: 0, cpus: [], memory, hostNodes: undefined });
  assert.deepEqual(numaMemory([node(), node()], 512 * MIB), [256 * MIB, 256 * MIB]);
  assert.deepEqual(numaMemory([node(), node(100 * MIB)], 512 * MIB), [412 * MIB, 100 * MIB]);
  // The last one gets what is no whole MiB.
  assert.deepEqual(numaMemory([node(), node(), node()], 100 * MIB + KIB), [33 * MIB, 33 * MIB, 34 * MIB + KIB]);
  assert.deepEqual(numaMemory([], MIB), []);
  const random = new Random(7);
  for (let round = 0; round < 200; round += 1) {
    const memory = (1000 + random.below(1000)) * MIB + random.below(1024) * KIB;
    const nodes = [node(), ...random.list(6, () => node(random.chance() ? random.below(100) * MIB : undefined))];
    assert.equal(
      numaMemory(nodes, memory).reduce((sum, bytes) => sum + bytes, 0),
      memory,
    );
  }
});

test('nodes of the host', async () => {
  assert.deepEqual(parseNumaNodes('1'), { nodes: [1], mode: 'strict' });
  assert.deepEqual(parseNumaNodes('2,0-1'), { nodes: [0, 1, 2], mode: 'strict' });
  assert.deepEqual(parseNumaNodes('0,2,mode=interleave'), { nodes: [0, 2], mode: 'interleave' });
  for (const [text, part] of [
    ['', '""'],
    ['all', '"all"'],
    ['mode=strict', '"mode=strict"'],
    ['0,mode=', '""'],
    ['0,mode=local', '"local"'],
    ['0,mode=strict,1', '"mode=strict"'],
  ] as const) {
    await refuses(() => parseNumaNodes(text), 'arguments', 'numa-nodes-invalid', '--numa-nodes', part);
  }
});
