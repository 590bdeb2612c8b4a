/** --clipboard: what its words mean, where it is refused, and what a file and a command line make of it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { configFromOptions } from '../../../../src/config/options.js';
import { parseClipboard } from '../../../../src/config/parsers/clipboard.js';
import { formatSandboxCfg, parseSandboxCfg } from '../../../../src/config/sandbox-cfg/sandbox-cfg.js';
import { validateConfig } from '../../../../src/config/validate.js';
import { rejectsWith, throwsWith } from '../../../helpers/errors.js';

const config = (options: object) => configFromOptions({ command: ['true'], ...options });

describe('--clipboard', () => {
  for (const way of ['none', 'host-to-guest', 'both'])
    it(`can be ${way}`, async () => {
      assert.equal(parseClipboard(way, '--clipboard'), way);
      assert.equal(validateConfig(await config({ graphics: true, clipboard: way })).clipboard, way);
    });

  for (const wrong of ['', 'guest-to-host', 'BOTH', 'both,none'])
    it(`cannot be ${JSON.stringify(wrong)}`, () => {
      throwsWith(() => parseClipboard(wrong, '--clipboard'), 'clipboard-unknown', /none, host-to-guest, both/);
    });

  it('is none where there are no viewers, and nothing that shows the program', async () => {
    assert.equal((await config({})).clipboard, 'none');
    validateConfig(await config({ clipboard: 'none' }));
    const refusals = [
      [{}, 'clipboard-without-viewers', /--graphics=vnc/],
      [{ graphics: 'xvnc' }, 'clipboard-without-viewers', /--graphics=vnc/],
      [{ graphics: 'none' }, 'clipboard-without-viewers', /--graphics=vnc/],
      [{ graphics: 'vnc,compositor=none' }, 'clipboard-without-compositor', /--graphics/],
    ] as const;
    for (const [options, code, pattern] of refusals) {
      await rejectsWith(config({ ...options, clipboard: 'both' }), code, pattern);
    }
  });

  it('is in a file as it was given, and may be another one then', async () => {
    const given = await config({ graphics: true, clipboard: 'both' });
    const text = await formatSandboxCfg(given);
    assert.match(text, /^clipboard=both$/m);
    assert.equal((await parseSandboxCfg(text)).clipboard, 'both');
    assert.equal((await configFromOptions({ clipboard: 'none' }, undefined, given)).clipboard, 'none');
    assert.equal((await configFromOptions({ graphics: true }, undefined, given)).clipboard, 'both');
    assert.doesNotMatch(await formatSandboxCfg(await config({ graphics: true })), /clipboard/);
    await rejectsWith(parseSandboxCfg(text.replace('both', 'all')), 'clipboard-unknown', /\[graphics\]/);
  });
});
