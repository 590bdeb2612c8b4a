/** The machine of a boot's baseline: a bare QEMU whose guest powers off at once. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packCpio } from '../../image/build/cpio.js';
import type { ImageFacts } from './commands.js';
import { nativeArgv } from './native-argv.js';
import { powerOffProgram } from './power-off.js';
import { bareMachine } from './qemu-argv.js';

/** Boots cold even where a snapshot fits. */
export const COLD = ['--boot', 'cold'];

/** The program and image to boot, and a directory to work in. */
export interface Subject {
  readonly program: string;
  readonly image: ImageFacts;
  readonly scratch: string;
}

/**
 * The command line of QEMU for the machine that libvirt would start, with an init that powers off.
 * @param options further options of virt-sandbox
 */
export async function baselineArgv(
  { program, image, scratch }: Subject,
  options: readonly string[] = [],
): Promise<[string, ...string[]]> {
  const line = nativeArgv({ program, uri: image.uri, scratch }, [...COLD, ...options]);
  return bareMachine(line, await powerOffInitrd(scratch));
}

async function powerOffInitrd(scratch: string): Promise<string> {
  const initrd = join(scratch, 'power-off.cpio');
  const archive = await packCpio([{ type: 'file', name: 'init', mode: 0o755, content: powerOffProgram() }]);
  writeFileSync(initrd, archive);
  return initrd;
}
