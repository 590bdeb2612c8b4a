/** The version of the Node.js for a common init in the guest is checked when an image is built. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { LEAST_NODE, readRuntime } from '../../../../src/image/build/node-runtime.js';
import { forgetInputs } from '../../../../src/util/input-log.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { fakeNode } from '../../../helpers/fake-node.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

it('another program, or an old Node.js, is refused', async (t) => {
  const directory = scratchDirectory(t);
  await rejectsWith(
    readRuntime('/bin/true', forgetInputs),
    'node-unusable',
    /\/bin\/true is no Node\.js: --version gives "true /,
  );
  await rejectsWith(readRuntime('/bin/false', forgetInputs), 'node-unusable', /is no Node\.js/, /--node/);
  for (const version of ['v18.20.1', 'v20.18.9', 'v9.99.0']) {
    const node = fakeNode(directory, version);
    const line = new RegExp(`is Node\\.js ${version.slice(1)}, and the common init needs 20\\.19`);
    await rejectsWith(readRuntime(node, forgetInputs), 'node-unusable', line);
  }
});

it('a Node.js that is new enough is read', async (t) => {
  const directory = scratchDirectory(t);
  for (const version of ['v20.19.0', 'v22.0.0', 'v100.1.2-nightly']) {
    const programs = await readRuntime(fakeNode(directory, version), forgetInputs);
    assert.ok(programs.some(({ name }) => name === 'common/node'));
  }
});

it('the oldest version is that of package.json', () => {
  const { engines } = JSON.parse(readFileSync('package.json', 'utf8')) as { engines: { node: string } };
  assert.equal(engines.node, `>=${LEAST_NODE}`);
});
