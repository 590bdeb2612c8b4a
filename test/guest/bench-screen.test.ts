/** virt-sandbox-bench with a screen: it measures until a program has drawn, and ends that. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readResult } from '../../src/bench/result/result.js';
import { ACCEL } from '../helpers/acceleration.js';
import { bench } from '../helpers/bench.js';
import { embedded } from '../helpers/connections.js';
import { terminal, unlessDesktop } from '../helpers/desktop.js';
import { scratchDirectory } from '../helpers/scratch.js';

describe('a run with a screen', { skip: embedded.skip || unlessDesktop() }, () => {
  it('ends with the first picture, which has stages of its own', async (t) => {
    const directory = scratchDirectory(t);
    const file = (name: string) => join(directory, name);
    const options = `-c ${embedded.uri} ${ACCEL.join(' ')} --boot cold -S nobody --graphics`;
    const { code, out, stderr } = await bench([
      ...['run', '-n', '1', '--warm-up', '0', '--no-floor', '--history', 'none', '--options', options],
      ...['-o', file('r.json'), '--html', file('r.html'), '--', ...terminal('while :; do sleep 1000; done')],
    ]);
    assert.equal(code, 0, stderr);
    const [variant] = readResult(file('r.json')).variants;
    const { timeline, values = [], parts = {} } = variant ?? {};
    const { picture, wall, stages } = timeline ?? assert.fail(stderr);
    assert.ok(picture !== undefined && picture < wall, `${picture} of ${wall}`);
    const wanted = ['the compositor, until it can show programs', 'application, until its first picture'];
    const found = stages.filter(({ name }) => wanted.includes(name));
    assert.deepEqual(
      found.map(({ name }) => name),
      wanted,
    );
    assert.equal(found[1]?.end, picture);
    // What comes later is no part of the figure.
    const sum = Object.values(parts).reduce((total, one) => total + one, 0);
    assert.ok(Math.abs(sum - (values[0] ?? 0)) < 1e-3, `${sum} of ${values[0]}`);
    for (const name of wanted) assert.match(out, new RegExp(name));
  });
});
