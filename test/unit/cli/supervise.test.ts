import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { REPOSITORY, runSandbox } from '../../helpers/run.js';

describe('who supervises a sandbox', () => {
  it('handles signals before it says so: none is lost, and none ends it', async () => {
    const program = `${REPOSITORY}build/test/helpers/supervising.js`;
    const { code, signal, out } = await runSandbox([program], { program: process.execPath });
    assert.deepEqual({ code, signal, out }, { code: 0, signal: null, out: '7 SIGINT SIGTERM\n' });
  });
});
