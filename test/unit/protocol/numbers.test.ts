/** The numbers of the protocol: wire.ts, the native init and docs/protocol.md agree. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import * as wire from '../../../src/protocol/wire.js';

/** The defines of init/native/transport/protocol.h: numbers as numbers, strings as strings. */
async function nativeNumbers(): Promise<Map<string, number | string>> {
  const text = await readFile(join(process.cwd(), 'init/native/transport/protocol.h'), 'utf8');
  const defines = new Map<string, number | string>();
  for (const [, name, value] of text.matchAll(/^#define VS_(\w+) (.+)$/gm)) {
    assert.ok(name !== undefined && value !== undefined);
    assert.ok(!defines.has(name), `${name} is defined twice`);
    assert.match(value, /^(\d+|0x[0-9a-f]+|"[^"]*")$/, `${name} is one plain value`);
    defines.set(name, value.startsWith('"') ? value.slice(1, -1) : Number(value));
  }
  return defines;
}

/** Every name of a group of wire.ts, with its prefix in protocol.h. */
function group(prefix: string, members: Record<string, number>): [string, number][] {
  return Object.entries(members).map(([name, value]) => [`${prefix}_${name}`, value]);
}

const GROUPS: [string, Record<string, number>][] = [
  ['PROC', wire.Proc],
  ['TYPE', wire.MessageType],
  ['STATUS', wire.Status],
  ['CALL', wire.CallFlag],
  ['SPAWN', wire.SpawnFlag],
  ['EXIT', wire.ExitFlag],
  ['WRITE', wire.WriteFlag],
];

test('the native init has the numbers of wire.ts', async () => {
  const native = await nativeNumbers();
  const expected: [string, number | string][] = [
    ['HANDSHAKE_WAIT', wire.HANDSHAKE_WAIT],
    ['HANDSHAKE_SYNC', wire.HANDSHAKE_SYNC],
    ['PROTOCOL_VERSION', wire.PROTOCOL_VERSION],
    ['HEADER_BYTES', wire.HEADER_BYTES],
    ['MAX_PACKET_BYTES', wire.MAX_PACKET_BYTES],
    ['MAX_SPAWN_BYTES', wire.MAX_SPAWN_BYTES],
    ['STDIN_WINDOW_BYTES', wire.STDIN_WINDOW_BYTES],
    ['OUTPUT_WINDOW_BYTES', wire.OUTPUT_WINDOW_BYTES],
    ['MAX_PROCESSES', wire.MAX_PROCESSES],
    ['KEPT_FD', wire.KEPT_FD],
    ['KEPT_SECOND_FD', wire.KEPT_SECOND_FD],
    ['CHANNEL_NAME', wire.CHANNEL_NAME],
    ['SHELL_NAME', wire.SHELL_NAME],
    ...GROUPS.flatMap(([prefix, members]) => group(prefix, members)),
  ];
  for (const [name, value] of expected) assert.equal(native.get(name), value, name);
});

test('the native init has no number that wire.ts does not have', async () => {
  const native = await nativeNumbers();
  for (const [prefix, members] of GROUPS) {
    const known = new Set(Object.keys(members).map((name) => `${prefix}_${name}`));
    const there = [...native.keys()].filter((name) => name.startsWith(`${prefix}_`));
    assert.deepEqual(new Set(there), known, prefix);
  }
});

test('docs/protocol.md has exactly the numbers of the procs', async () => {
  const whole = await readFile(join(process.cwd(), 'docs/protocol.md'), 'utf8');
  // The records of programs have numbers of their own.
  const text = whole.replace(/^## Programs of the init\n[\s\S]*?(?=^## )/m, '');
  // The first cell of a row names one or two: "| STDOUT 2, STDERR 3 | guest → host | …".
  const rows = [...text.matchAll(/^\| ([A-Z_]+ \d+(?:, [A-Z_]+ \d+)*) \|/gm)].flatMap(([, cell = '']) =>
    cell.split(', '),
  );
  const known = Object.entries(wire.Proc).map(([name, number]) => `${name} ${number}`);
  assert.deepEqual([...new Set(rows)].sort(), known.sort());
});

test('docs/protocol.md names every flag with its number', async () => {
  const text = await readFile(join(process.cwd(), 'docs/protocol.md'), 'utf8');
  const groups = [wire.MessageType, wire.Status, wire.CallFlag, wire.SpawnFlag, wire.ExitFlag, wire.WriteFlag];
  for (const members of groups) {
    const said = Object.entries(members).map(([name, number]) => `${name} ${number}`);
    assert.ok(text.includes(said.join(', ')), said.join(', '));
  }
});
