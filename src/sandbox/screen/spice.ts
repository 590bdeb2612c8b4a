/** Whether this host's QEMU has a SPICE server: a module of its own, which distributions have in a package of its own. */
import { execFile } from 'node:child_process';
import { SandboxError } from '../../util/errors.js';
import { option } from '../../util/option-names.js';
import { findQemu } from '../../util/programs.js';

/** In milliseconds; it takes a tenth of a second. */
const PATIENCE_MS = 30_000;

/** @throws {SandboxError} `spice-missing` */
export async function checkSpice(): Promise<void> {
  const qemu = findQemu();
  // libvirt looks for one itself then, and says what it lacks.
  if (qemu === undefined || (await hasSpice(qemu))) return;
  throw new SandboxError({
    stage: 'config',
    code: 'spice-missing',
    message: `${qemu} has no SPICE server`,
    remedy: `install it (Debian: qemu-system-modules-spice; Fedora: qemu-ui-spice-core), or leave spice out of ${option('graphics')}`,
  });
}

function hasSpice(qemu: string): Promise<boolean> {
  return new Promise((resolve) => {
    // It fails with either, since there is no machine to start.
    execFile(qemu, ['-spice', 'help'], { timeout: PATIENCE_MS }, (_error, out) => resolve(/^spice options/.test(out)));
  });
}
