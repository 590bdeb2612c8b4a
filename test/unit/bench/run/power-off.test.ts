/** The smallest init, as readelf sees it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { powerOffProgram } from '../../../../src/bench/run/power-off.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

describe('the smallest init', () => {
  it('is a static program that this kernel would run', (t) => {
    const path = join(scratchDirectory(t), 'init');
    writeFileSync(path, powerOffProgram());
    const header = execFileSync('readelf', ['-hl', path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    assert.match(header, /Type:\s+EXEC/);
    assert.match(header, /Machine:\s+Advanced Micro Devices X86-64/);
    assert.match(header, /Entry point address:\s+0x400078/);
    assert.doesNotMatch(header, /INTERP/);
  });
});
