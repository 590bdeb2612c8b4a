/** The grammar of `--slots`. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MOST_SLOTS, mostSlots, parseSlots, type Slots, slotsText } from '../../../../src/config/parsers/slots.js';
import { refuses } from '../support.js';

const DEFAULTS: Slots = { mounts: 4, disks: 1, networks: 0 };

test('kinds of slots come in any order, and the others keep their defaults', async (t) => {
  const table: [string, Slots][] = [
    ['mounts=4,disks=2,networks=1', { mounts: 4, disks: 2, networks: 1 }],
    ['networks=3,mounts=0', { mounts: 0, disks: 1, networks: 3 }],
    ['disks=0', { mounts: 4, disks: 0, networks: 0 }],
    ['mounts=26,disks=1', { mounts: 26, disks: 1, networks: 0 }],
    ['disks=007', { mounts: 4, disks: 7, networks: 0 }],
  ];
  for (const [text, slots] of table) await t.test(text, () => assert.deepEqual(parseSlots(text, DEFAULTS), slots));
});

test('invalid slots are refused with the reason', async (t) => {
  const table: [string, string, string][] = [
    ['', 'slots-unknown', '""'],
    ['disks', 'slots-unknown', '"disks"'],
    ['disk=1', 'slots-unknown', '"disk=1"'],
    ['Disks=1', 'slots-unknown', '"Disks=1"'],
    [' disks=1', 'slots-unknown', '" disks=1"'],
    ['toString=1', 'slots-unknown', '"toString=1"'],
    ['disks=1,', 'slots-unknown', '""'],
    ['disks=1;mounts=2', 'slots-unknown', '"disks=1;mounts=2"'],
    ['disks=1=2', 'slots-unknown', '"disks=1=2"'],
    ['disks=1,disks=1', 'slots-repeated', 'disks twice'],
    ['disks=', 'number-invalid', '--slots disks'],
    ['disks=-1', 'number-invalid', '"-1"'],
    ['disks=1.5', 'number-invalid', '"1.5"'],
    ['networks=one', 'number-invalid', '--slots networks'],
    [`mounts=${MOST_SLOTS + 1}`, 'number-invalid', '"28"'],
    ['mounts=27', 'slots-too-many', '28 slots (mounts=27,disks=1), and a machine has 27'],
    ['mounts=9,disks=9,networks=10', 'slots-too-many', '28 slots'],
  ];
  for (const [text, code, name] of table)
    await t.test(JSON.stringify(text), () =>
      refuses(() => parseSlots(text, DEFAULTS), 'arguments', code, '--slots', name),
    );
});

test('slots are printed for a user', () => {
  assert.equal(slotsText({ mounts: 4, disks: 2, networks: 1 }), 'mounts=4,disks=2,networks=1');
  assert.equal(slotsText({ mounts: 4, disks: 0, networks: 0 }), 'mounts=4');
  assert.equal(slotsText({ mounts: 0, disks: 0, networks: 0 }), 'mounts=0,disks=0,networks=0');
});

test('the maximum of two counts is taken kind by kind', () => {
  const other = { mounts: 1, disks: 2, networks: 3 };
  assert.deepEqual(mostSlots(DEFAULTS, other), { mounts: 4, disks: 2, networks: 3 });
});
