/** The upper layer that a guest says its overlay has: the same in any pieces, with names that are one component each. */
import assert from 'node:assert/strict';
import { ProtocolError } from '../../../src/protocol/fields.js';
import { Room, type UpperLayer, WHITEOUT } from '../../../src/sandbox/overlay/layer.js';
import { LayerReader } from '../../../src/sandbox/overlay/sent-layer.js';
import { SandboxError } from '../../../src/util/errors.js';
import type { Target } from './support/target.js';

function tooLarge(): SandboxError {
  return new SandboxError({ stage: 'application', code: 'overlay-too-large', message: '', remedy: '' });
}

/** Undefined: it is refused. */
function cut(stream: Buffer, size: number): UpperLayer | undefined {
  const reader = new LayerReader(new Room(1 << 20, tooLarge));
  try {
    for (let at = 0; at < stream.length; at += size) reader.push(stream.subarray(at, at + size));
    return reader.end();
  } catch (error) {
    if (!(error instanceof ProtocolError) && !(error instanceof SandboxError)) throw error;
    return undefined;
  }
}

/** All that is in it, and how its directories are merged. */
function flat(layer: UpperLayer, above: string, lines: string[] = []): string[] {
  const origin = layer.origin();
  lines.push(`${above}/ ${typeof origin === 'string' ? origin : origin.redirect.toString('latin1')}`);
  const names: string[] = [];
  layer.names((name) => names.push(name));
  for (const name of names) {
    assert.ok(name.length > 0 && name.length <= 255 && !/[\0/]/.test(name) && name !== '.' && name !== '..');
    const entry = layer.look(name);
    assert.ok(entry !== undefined);
    const fields = entry === WHITEOUT ? entry : [entry.mode, entry.uid, entry.gid, entry.size, entry.mtimeNs].join();
    lines.push(`${above}/${name} ${fields} ${layer.target(name)}`);
    if (!layer.enter(name)) continue;
    flat(layer, `${above}/${name}`, lines);
    layer.leave();
  }
  return lines;
}

export const target: Target = {
  kind: 'sync',
  mostBytes: 4096,
  quickRuns: 10_000,
  read(data) {
    const stream = data.subarray(1);
    const [whole, pieces] = [cut(stream, Math.max(stream.length, 1)), cut(stream, (data[0] ?? 0) + 1)];
    assert.deepEqual(pieces && flat(pieces, ''), whole && flat(whole, ''));
  },
};
