/**
 * Measures copies between the host and a sandbox: node build/test/bench/copies.js [URI [MIB [FILES]]]. It prints a line
 * for each of three rounds: one file of MIB, FILES small ones, and as a baseline the same bytes through a process that
 * does nothing with them.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Sandbox } from '../../src/index.js';

const ROUNDS = 3;
const FILES_IN_DIRECTORY = 100;
const SMALL_BYTES = 2000;

const [connect = 'qemu:///embed', mebibytes = '256', files = '10000'] = process.argv.slice(2);

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}

function makeMany(top: string): void {
  for (let at = 0; at < Number(files); at += 1) {
    const directory = join(top, String(Math.floor(at / FILES_IN_DIRECTORY)));
    if (at % FILES_IN_DIRECTORY === 0) mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `file-${at}`), Buffer.alloc(SMALL_BYTES, String(at)));
  }
}

async function sink(sandbox: Sandbox, bytes: Buffer): Promise<void> {
  const cat = await sandbox.spawn('cat >/dev/null');
  cat.stdin.end(bytes);
  cat.stdout.resume();
  cat.stderr.resume();
  await cat.exited;
}

async function source(sandbox: Sandbox): Promise<void> {
  const cat = await sandbox.spawn('cat /srv/large');
  cat.stdout.resume();
  cat.stderr.resume();
  await cat.exited;
}

const host = mkdtempSync(join(tmpdir(), 'bench-copies-'));
try {
  const large = randomBytes(Number(mebibytes) << 20);
  writeFileSync(join(host, 'large'), large);
  makeMany(join(host, 'many'));
  await using sandbox = await Sandbox.create({
    connect,
    memory: `${1024 + 2 * Number(mebibytes)}M`,
    mounts: [`ram:/srv=${512 + Number(mebibytes)}M`],
    identity: { uid: 0, gid: 0, groups: [], username: 'root', home: '/root' },
  });
  for (let round = 0; round < ROUNDS; round += 1) {
    const rate = async (work: () => Promise<unknown>) => Math.round(Number(mebibytes) / (await seconds(work)));
    const each = async (work: () => Promise<unknown>) => Math.round(Number(files) / (await seconds(work)));
    const { files: inside } = sandbox;
    const result = {
      'upload, MiB/s': await rate(() => inside.upload(join(host, 'large'), '/srv')),
      'into cat, MiB/s': await rate(() => sink(sandbox, large)),
      'download, MiB/s': await rate(() => inside.download('/srv/large', join(host, 'copy'))),
      'out of cat, MiB/s': await rate(() => source(sandbox)),
      'upload, files/s': await each(() => inside.upload(join(host, 'many'), `/srv/many-${round}`)),
      'download, files/s': await each(() => inside.download(`/srv/many-${round}`, join(host, `back-${round}`))),
    };
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
} finally {
  rmSync(host, { recursive: true, force: true });
}
