/**
 * The grammar of every option that describes a sandbox. An input has an option a line: the first letter says which, the
 * rest is its value. A sandbox that they describe is the same after it was saved and loaded.
 */
import assert from 'node:assert/strict';
import { type ConfigOptions, configFromOptions } from '../../../src/config/options.js';
import { formatNumberSet } from '../../../src/config/parsers/number-set.js';
import { DEFAULT_SLOTS, parseSlots, slotsText } from '../../../src/config/parsers/slots.js';
import { parseCpuPin } from '../../../src/config/parsers/tuning.js';
import { formatSandboxCfg, parseSandboxCfg } from '../../../src/config/sandbox-cfg/sandbox-cfg.js';
import { SandboxError } from '../../../src/util/errors.js';
import { settledOrRefused, valueOrRefusal } from './support/expect.js';
import type { Target } from './support/target.js';
import { USERS } from './support/users.js';

type Names<T> = {
  [K in keyof ConfigOptions]-?: NonNullable<ConfigOptions[K]> extends T ? K : never;
}[keyof ConfigOptions];

const LISTS: Readonly<Record<string, Names<readonly string[]>>> = {
  m: 'mount',
  i: 'include',
  d: 'disk',
  e: 'env',
  n: 'network',
  h: 'hide',
  l: 'diskLimit',
  L: 'netLimit',
  x: 'numa',
};

const SINGLE: Readonly<Record<string, Names<string>>> = {
  N: 'name',
  r: 'root',
  s: 'security',
  u: 'switchto',
  M: 'memory',
  v: 'vcpus',
  a: 'accel',
  b: 'boot',
  c: 'cwd',
  w: 'cpuShares',
  p: 'cpuPin',
  q: 'cpuQuota',
  Q: 'cpuPeriod',
  z: 'cpuScheduler',
  X: 'numaNodes',
  y: 'memoryLimit',
  Y: 'memorySoftLimit',
  Z: 'memorySwapLimit',
  g: 'hugePages',
  W: 'blockWeight',
  T: 'ioThreads',
  t: 'bootTimeout',
  k: 'kernver',
  K: 'kernpath',
  I: 'image',
  P: 'profile',
};

function optionsOf(text: string): ConfigOptions {
  const lists: Partial<Record<Names<readonly string[]>, string[]>> = {};
  const single: Partial<Record<Names<string>, string>> = {};
  for (const line of text.split('\n')) {
    const [letter = '', value] = [line[0], line.slice(1)];
    const list = LISTS[letter];
    const name = SINGLE[letter];
    if (list !== undefined) {
      const values = lists[list] ?? [];
      values.push(value);
      lists[list] = values;
    } else if (name !== undefined) single[name] = value;
    else if (letter === 'S') slotsComeBack(value);
    else if (letter === 'C') cpusComeBack(value);
  }
  return { ...lists, ...single, command: ['true'] };
}

function slotsComeBack(text: string): void {
  const slots = valueOrRefusal(() => parseSlots(text, DEFAULT_SLOTS), SandboxError);
  if (slots !== undefined) assert.deepEqual(parseSlots(slotsText(slots), { mounts: 0, disks: 0, networks: 0 }), slots);
}

function cpusComeBack(text: string): void {
  const cpus = valueOrRefusal(() => parseCpuPin(text), SandboxError);
  if (cpus !== undefined) assert.deepEqual(parseCpuPin(formatNumberSet(cpus)), cpus);
}

export const target: Target = {
  kind: 'settling',
  mostBytes: 1024,
  quickRuns: 3000,
  async read(data) {
    const config = await settledOrRefused(configFromOptions(optionsOf(data.toString()), USERS), SandboxError);
    if (config === undefined) return;
    const text = await formatSandboxCfg(config, { users: USERS });
    const saved = await parseSandboxCfg(text, { users: USERS });
    assert.equal(await formatSandboxCfg(saved, { users: USERS }), text);
  },
};
