/** The memory of a snapshot on QEMU's command line: what src/domain writes is what src/image finds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  restoredMachineArguments,
  savedMachineArguments,
  sharingMachineArguments,
} from '../../../../src/domain/snapshot.js';
import { MEMORY_ID, memoryPathIn } from '../../../../src/image/snapshot/qemu-memory.js';

const memory = { path: '/images/0/warm/name-1/memory', size: 1 << 29 };
const pathsIn = (words: readonly string[]) => words.flatMap((word) => memoryPathIn(word) ?? []);

test('a machine that is saved or restored names the file of its memory', () => {
  assert.deepEqual(pathsIn(savedMachineArguments(memory)), [memory.path]);
  assert.deepEqual(pathsIn(restoredMachineArguments(memory)), [memory.path]);
});

test('a machine with a copy of the memory names no file', () => {
  assert.deepEqual(pathsIn(sharingMachineArguments(memory.size)), []);
});

test('other arguments, and those of other programs, name none', () => {
  const others = [
    ...['', '{', `{ ${MEMORY_ID}`, `"${MEMORY_ID}"`, `memory-backend=${MEMORY_ID}`, 'null'],
    JSON.stringify({ id: 'other', 'mem-path': `/tmp/${MEMORY_ID}` }),
    JSON.stringify({ id: MEMORY_ID, 'mem-path': 5 }),
    JSON.stringify([MEMORY_ID]),
  ];
  assert.deepEqual(pathsIn(others), []);
});
