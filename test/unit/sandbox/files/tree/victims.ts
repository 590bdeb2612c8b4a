/** What a lying guest sends, and what it must not change. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { downloadTree } from '../../../../../src/sandbox/files/tree/download.js';
import { scratchDirectory } from '../../../../helpers/scratch.js';
import { fingerprint } from '../../../../helpers/tree-listing.js';
import { CONFIG, lyingGuest } from './guests.js';

/** A directory beside the destination, which nothing may change, and which links of the guest lead to. */
export function victims(t: TestContext): { to: string; outside: string; unchanged: () => void } {
  const top = scratchDirectory(t);
  const [to, outside] = [join(top, 'to'), join(top, 'outside')];
  mkdirSync(to);
  mkdirSync(join(outside, 'sub'), { recursive: true });
  writeFileSync(join(outside, 'secret'), 'secret');
  const before = fingerprint(outside);
  return { to, outside, unchanged: () => assert.equal(fingerprint(outside), before) };
}

/** In packets of a few bytes, and of many. */
export function download(
  to: string,
  stream: readonly Buffer[],
  size: number,
  status = 0,
): ReturnType<typeof downloadTree> {
  const bytes = Buffer.concat(stream);
  const output: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) output.push(bytes.subarray(at, at + size));
  return downloadTree(lyingGuest({ output, status }), CONFIG, '/from', to);
}
