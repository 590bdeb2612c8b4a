/**
 * The probe that decides whether an accelerator works. It must pass under TCG, so a pass under KVM can be trusted too.
 */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { probe } from '../../src/domain/probe.js';
import { resolveImage } from '../../src/image/resolve.js';
import { hostProgram } from '../../src/util/programs.js';
import { programPaths } from '../helpers/hide.js';
import { unlessProgram } from '../helpers/images.js';
import { servingKernel, unlessServingKernel } from '../helpers/kernels.js';

/** In milliseconds, emulated and beside another test. */
const LONG = 60_000;

describe('the acceleration probe', { skip: unlessServingKernel || unlessProgram('qemu-system-x86_64') }, () => {
  const [emulator = ''] = programPaths('qemu-system-x86_64');
  let kernel = '';
  before(async () => {
    const wanted = { version: servingKernel, path: undefined, modulesPath: undefined };
    ({ kernel } = await resolveImage({ kernel: wanted, sets: [], nativeInit: hostProgram('init') }));
  });

  it('passes for a guest that boots', async () => {
    assert.deepEqual(await probe({ accelerator: 'tcg', emulator, kernel, limit: LONG }), {
      usable: true,
      reason: 'a guest booted',
      lasting: true,
    });
  });

  it('fails for a guest that does not boot far enough', async () => {
    const { usable, reason, lasting } = await probe({ accelerator: 'tcg', emulator, kernel, limit: 300 });
    assert.deepEqual({ usable, lasting }, { usable: false, lasting: true });
    assert.match(reason, /^a guest did not boot within 0\.3 s: /);
  });

  it('reports what QEMU prints', async () => {
    const missing = '/no/such/kernel';
    const { usable, reason, lasting } = await probe({ accelerator: 'tcg', emulator, kernel: missing, limit: LONG });
    assert.deepEqual({ usable, lasting }, { usable: false, lasting: false });
    assert.match(reason, /could not open kernel file '\/no\/such\/kernel'/);
  });
});
