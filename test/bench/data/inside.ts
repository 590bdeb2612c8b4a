/** What is the same in every system: the directory, the program, and how much memory there is. */
import { join } from 'node:path';
import { COLD, type Subject } from '../../../src/bench/run/baseline.js';
import { isNested, optionsOfSetting } from '../../../src/bench/run/setting.js';
import { workEnvironment } from './ground.js';

/** Where the guests have the directory. */
export const TARGET = '/mnt';
export const MEMORY = '1G';
/** Of the whole of a system's rows, its boot among them. */
export const MOST_SECONDS = 1200;

/** The options of virt-sandbox by which a sandbox has the root and the directory. */
export function sandboxOptions({ image }: Subject, rootFs: '9p' | 'virtiofs', directory: string): string[] {
  const { uri, kernelVersion } = image;
  return [
    ...[...optionsOfSetting(), ...COLD, '-c', uri, '-p', '--memory', MEMORY, '--root-fs', rootFs],
    // Which kernel is taken by itself may depend on what serves the root.
    ...(kernelVersion === undefined ? [] : ['--kernver', kernelVersion]),
    ...['-m', `host-bind:${TARGET}=${directory}`],
  ];
}

/** The words of the program inside. A guest of an emulated machine has no clock to rely on: it gets marks. */
export function workCommand(directory: string, isCold: boolean): string[] {
  const program = join(directory, 'data-work');
  const options = [...(isCold ? ['cold'] : []), ...(isNested() ? ['marks'] : [])];
  return ['env', '-i', ...workEnvironment(directory), program, 'run', directory, ...options];
}
