/** An emulated processor has what programs may be compiled for, and lacks what is slow to emulate. */
import { it } from 'node:test';
import { TCG } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { uniqueName } from '../helpers/leftovers.js';
import { assertRun, runSandbox } from '../helpers/run.js';

/** Which of these features the guest's kernel found. `ospke` is its own, for protection keys that it uses. */
const SCRIPT = "grep -owE 'avx2|erms|fsrm|fsrs|fzrm|pku|ospke' /proc/cpuinfo | sort -u";

it('an emulated processor has AVX2, but no protection keys and no fast strings', { skip: embedded.skip }, async () => {
  const args = ['-c', embedded.uri, ...TCG, '-n', uniqueName(), '--', 'sh', '-c', SCRIPT];
  assertRun(await runSandbox(args), 0, 'avx2\n');
});
