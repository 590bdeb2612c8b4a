/** Services in containers whose state has a bound. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { valueOr } from '../../src/util/errors.js';
import { besideLxc, lxc } from './connections.js';
import { leftAtLast } from './leftovers.js';
import { scratchDirectory, WITH_ATTRIBUTES } from './scratch.js';
import { serviceOf, type TestService } from './services.js';

/** The least that there may be. */
export const SIZE = 150_000_000;

export class BoundedState {
  readonly directory: string;
  readonly file: string;
  readonly layers: string;

  /** @param above where states are kept */
  constructor(
    readonly above: string,
    readonly name: string,
  ) {
    this.directory = join(above, name);
    this.file = join(this.directory, 'layers.ext4');
    this.layers = join(this.directory, 'layers');
  }

  /** Loop devices of the file, which only libvirtd may see. */
  loops(): string[] {
    const script = 'test ! -e "$1" || losetup --noheadings --output NAME --associated "$1"';
    return lines(besideLxc('sh', '-c', script, 'sh', this.file));
  }

  isMounted(): boolean {
    return this.mounts() > 0;
  }

  mounts(): number {
    return besideLxc('cat', '/proc/self/mounts').split(` ${this.layers} `).length - 1;
  }

  /** What it takes on this host, in bytes. */
  taken(): number {
    return statSync(this.file).blocks * 512;
  }

  /** A device is gone when the last process of the container is. */
  async assertUnused(): Promise<void> {
    const left = await leftAtLast(() => [...this.loops(), ...(this.isMounted() ? [this.layers] : [])]);
    assert.deepEqual(left, [], `who has it mounted: ${havingMounted(this.layers).join(', ')}`);
  }

  remount(...words: readonly string[]): void {
    besideLxc(...words, this.layers);
  }
}

/** Processes in whose mount namespace something is mounted at a path. */
function havingMounted(path: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    const mounts = valueOr(() => readFileSync(`/proc/${pid}/mounts`, 'utf8'), '');
    if (!mounts.includes(` ${path} `)) return [];
    return [`${pid} ${valueOr(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'), '').replaceAll('\0', ' ')}`];
  });
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

export interface Bounded {
  readonly service: TestService;
  readonly state: BoundedState;
}

/** It is ready when its shell runs, which may be before it has marked its start. /run is new at each start. */
const SCRIPT = 'date >> /srv/starts; touch /run/marked; exec sleep 1000';

/** Says how often it was started, once it has marked the last start. */
export const STARTS = 'until test -e /run/marked; do sleep 0.05; done; wc -l < /srv/starts';

export async function boundedService(
  t: TestContext,
  options: readonly string[] = [],
  { script = SCRIPT, size = '150' }: { readonly script?: string; readonly size?: string } = {},
): Promise<Bounded> {
  const above = scratchDirectory(t, WITH_ATTRIBUTES);
  const service = await serviceOf(t, lxc, { options: ['-p', above, '-i', size, ...options], script, isKept: true });
  return { service, state: new BoundedState(above, service.name) };
}

/** It writes until nothing more can be written. @returns what the shell says */
export const FILL = 'head -c 1G /dev/urandom 2>&1 > /srv/much; true';
