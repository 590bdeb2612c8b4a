/** virt-sandbox-image with scripts in place of virt-builder, and what such a pull leaves. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { mounted } from '../hide.js';
import { processesWith } from '../leftovers.js';
import { holdsDuring } from '../meanwhile.js';
import type { Running, RunOptions } from '../run.js';
import { type ImageProgram, imageProgram } from './image-program.js';

/** What a script waits with for ever: a process that {@link assertNothingPulled} would find. */
export const WAIT = 'tail -n 0 -f "$0"';

/** A script that writes the disk that virt-builder is asked for. */
export const BUILD = 'for word; do case $word in *.qcow2) echo disk >"$word" ;; esac; done';

/** The program, and an environment with these scripts in place of virt-builder and virt-tar-out. */
export function withScripts(context: TestContext, builder: string, reader = 'exit 1'): [ImageProgram, RunOptions] {
  const program = imageProgram(context);
  const bin = join(program.directory, 'bin');
  mkdirSync(bin);
  for (const [name, script] of [
    ['virt-builder', builder],
    ['virt-tar-out', reader],
  ])
    writeFileSync(join(bin, name ?? ''), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return [program, { env: { PATH: `${bin}:${process.env['PATH']}` } }];
}

/** The same with the store on a disk of 200 MiB, which has libguestfs' machine elsewhere. `after` is run behind it. */
export function onSmallDisk([program, options]: [ImageProgram, RunOptions], after = ''): [ImageProgram, RunOptions] {
  const cache = join(program.directory, 'cache');
  mkdirSync(cache);
  const through = mounted(`mount -t tmpfs -o size=200m,mode=755 tmpfs '${cache}'
    "$@" && status=0 || status=$?${after}
    exit $status`);
  return [program, { env: { ...options.env, XDG_CACHE_HOME: cache, LIBGUESTFS_CACHEDIR: program.directory }, through }];
}

/** Nothing of a pull is in the store, and no process. */
export async function assertNothingPulled(program: ImageProgram): Promise<void> {
  assert.deepEqual(readdirSync(join(program.store, 'roots')), ['.leases']);
  for (const name of ['partial', 'tags', 'blobs/sha256']) assert.deepEqual(readdirSync(join(program.store, name)), []);
  assert.deepEqual(processesWith(program.directory), []);
}

/** Waits until the script that stands for virt-builder has made a file, while the pull goes on. */
export async function untilMade({ directory }: ImageProgram, file: string, { result }: Running): Promise<void> {
  await holdsDuring(result, () => existsSync(join(directory, file)));
}

/** The same when the pull was killed. */
export async function untilMadeBehind({ directory }: ImageProgram, file: string): Promise<void> {
  while (!existsSync(join(directory, file))) await sleep(20);
}

/** Waits until the pull has written down what it has started, which may run before. */
export async function untilRecorded({ store }: ImageProgram, { result }: Running): Promise<void> {
  const roots = join(store, 'roots');
  await holdsDuring(result, () => readdirSync(roots).some((name) => sizeOf(join(roots, name, 'program')) > 0));
}

const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
