/** Which steps of a container can have a breakpoint. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { configFromOptions } from '../../../../src/config/options.js';
import { devicesOf } from '../../../../src/sandbox/devices/devices.js';
import { stopsBeforeRoot } from '../../../../src/sandbox/setup/breakpoint.js';
import type { LaunchOptions } from '../../../../src/sandbox/types.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

test('a container can stop before it hides something, if there is something to hide', async (t) => {
  const root = scratchDirectory(t);
  mkdirSync(join(root, 'data/private'), { recursive: true });
  const stopsAtHide = async (hide: string) => {
    const config = await configFromOptions({ command: ['true'], root, hide: [hide] });
    const server = { kind: 'lxc', readOnlyVirtiofs: false } as const;
    const devices = devicesOf(config, { name: 'break', images: new Map(), server, root: '9p' });
    const breakpoint = { step: 'hide' } as NonNullable<LaunchOptions['breakpoint']>;
    return stopsBeforeRoot(config, { name: 'break', devices }, { breakpoint });
  };
  assert.equal(await stopsAtHide('/data/private'), false);
  await assert.rejects(stopsAtHide('/data/gone'), { code: 'unknown-step', remedy: /^use one of (?!.*\bhide\b).*root/ });
});
