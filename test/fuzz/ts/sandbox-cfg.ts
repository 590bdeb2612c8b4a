/** sandbox.cfg: a sandbox that is read from a file, written and read again is written as the same bytes. */
import assert from 'node:assert/strict';
import { formatSandboxCfg, parseSandboxCfg } from '../../../src/config/sandbox-cfg/sandbox-cfg.js';
import { SandboxError } from '../../../src/util/errors.js';
import { settledOrRefused } from './support/expect.js';
import type { Target } from './support/target.js';
import { USERS } from './support/users.js';

export const target: Target = {
  kind: 'settling',
  mostBytes: 4096,
  quickRuns: 4000,
  repeats: true,
  async read(data) {
    const config = await settledOrRefused(parseSandboxCfg(data.toString(), { users: USERS }), SandboxError);
    if (config === undefined) return;
    const text = await formatSandboxCfg(config, { users: USERS });
    const again = await parseSandboxCfg(text, { users: USERS });
    assert.equal(await formatSandboxCfg(again, { users: USERS }), text);
  },
};
