/** Random sandboxes survive a round trip through sandbox.cfg; damaged files are refused. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatSandboxCfg, parseSandboxCfg } from '../../../../src/config/sandbox-cfg/sandbox-cfg.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { Random, testUsers } from '../support.js';
import { randomSandbox } from './random-sandbox.js';

test('any sandbox is equal after saving and loading, and its file is equal after saving again', async (t) => {
  const users = await testUsers(t);
  const random = new Random(20260731);
  for (let round = 0; round < 400; round += 1) {
    const config = randomSandbox(random, round % 2 === 0);
    const text = await formatSandboxCfg(config, { users });
    const back = await parseSandboxCfg(text, { users });
    assert.deepEqual(back, config, `round ${round}:\n${text}`);
    assert.equal(await formatSandboxCfg(back, { users }), text);
  }
});

test('a damaged file loads, or is refused with an error of this package', async (t) => {
  const users = await testUsers(t);
  const random = new Random(77);
  let refused = 0;
  let loaded = 0;
  for (let round = 0; round < 1500; round += 1) {
    const text = await formatSandboxCfg(randomSandbox(random, false), { users });
    const at = random.below(text.length);
    const damaged = text.slice(0, at) + random.text(3) + text.slice(at + random.below(6));
    try {
      const config = await parseSandboxCfg(damaged, { users });
      // A file that loads is a sandbox that can be saved, and stays equal then.
      const again = await formatSandboxCfg(config, { users });
      assert.equal(await formatSandboxCfg(await parseSandboxCfg(again, { users }), { users }), again);
      loaded += 1;
    } catch (error) {
      assert.ok(error instanceof SandboxError, `round ${round}: ${String(error)}\n${damaged}`);
      assert.equal(error.stage, 'config');
      refused += 1;
    }
  }
  assert.ok(refused > 100 && loaded > 100, `${refused} refused, ${loaded} loaded`);
});
