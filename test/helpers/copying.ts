/**
 * A program that copies trees between a sandbox and DIRECTORY on the host, one of them of COUNT files: copying.js URI
 * DIRECTORY COUNT. It prints as JSON what came of it. Programs in another mount namespace cannot be a test themselves.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { Sandbox, SandboxError } from '../../src/index.js';
import { REPOSITORY } from './run.js';
import { listTree } from './tree-listing.js';

const [connect = '', directory = '', count = ''] = process.argv.slice(2);
/** Who has no rights to files of the user of the sandbox. */
const OTHER = process.getuid?.() === 65_534 ? 'daemon' : 'nobody';
const here = (name: string) => join(directory, name);

/** A tree with every kind of entry that is copied. */
function makeTree(top: string): void {
  mkdirSync(join(top, 'sub', 'empty'), { recursive: true });
  const odd = Buffer.concat([Buffer.from(`${top}/sub/`), Buffer.from([0x0a, 0xff, 0xfe, 0x20, 0x27])]);
  mkdirSync(odd);
  writeFileSync(Buffer.concat([odd, Buffer.from(`/${'y'.repeat(255)}`)]), 'in odd');
  writeFileSync(join(top, 'program'), '#!/bin/sh\n');
  chmodSync(join(top, 'program'), 0o755);
  writeFileSync(join(top, 'large'), Buffer.alloc(5_000_001, 'large '));
  symlinkSync('../nowhere \n', join(top, 'sub', 'link'));
  execFileSync('mkfifo', ['-m', '620', join(top, 'sub', 'fifo')]);
  const fd = openSync(join(top, 'sparse'), 'w');
  writeSync(fd, Buffer.alloc(65_536, 'middle'), 0, 65_536, 1 << 20);
  closeSync(fd);
  truncateSync(join(top, 'sparse'), 1 << 27);
  chmodSync(join(top, 'sub', 'empty'), 0o500);
  chmodSync(odd, 0o1777);
  for (const [at, path] of [odd, join(top, 'program'), join(top, 'sub', 'empty'), join(top, 'sub'), top].entries())
    utimesSync(path, 1, 1_000_000_000 + at + 0.123_456_5);
}

function makeMany(top: string, count: number): void {
  for (let at = 0; at < count; at += 1) {
    const folder = join(top, String(at % 100));
    if (at < 100) mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `file-${at}`), `content of ${at}`);
  }
}

async function timed<T>(work: Promise<T>): Promise<{ readonly value: T; readonly milliseconds: number }> {
  const begun = performance.now();
  const value = await work;
  return { value, milliseconds: Math.round(performance.now() - begun) };
}

const isSame = (one: string, other: string) => JSON.stringify(plain(one)) === JSON.stringify(plain(other));

/** Texts instead of numbers that JSON does not have. */
function plain(tree: string): unknown {
  return Object.entries(listTree(tree)).map(([path, entry]) => [path, { ...entry, time: String(entry.time) }]);
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'none',
    (error: unknown) => (error instanceof SandboxError ? `${error.code}: ${error.message}` : String(error)),
  );
}

await using sandbox = await Sandbox.create({ connect, memory: '1G', mounts: ['ram:/srv=700M'] });
await sandbox.run(['chmod', '777', '/srv'], { user: 'root', reject: true });
const { files } = sandbox;

makeTree(here('tree'));
const up = await files.upload(here('tree'), '/srv');
const inside = await sandbox.run(
  'cd /srv/tree; stat -c "%n %a %F %Y" program sub/empty sub/fifo sparse; readlink sub/link; echo $(($(stat -c %b sparse) / 2)) KiB; id -u; stat -c %u program',
  { reject: true },
);
const down = await files.download('/srv/tree', here('back'));
const there = { up, down, inside: inside.stdout, isSame: isSame(here('tree'), here('back')) };
const blocks = lstatSync(here('back/sparse')).blocks / 2;

makeMany(here('many'), Number(count));
const upload = await timed(files.upload(here('many'), '/srv/many'));
const download = await timed(files.download('/srv/many', here('many-back')));
const many = {
  counts: [upload.value.files, download.value.files],
  isSame: isSame(here('many'), here('many-back')),
};
process.stderr.write(
  `${count} files in 100 directories: up in ${upload.milliseconds} ms, down in ${download.milliseconds} ms\n`,
);

const modules = `${REPOSITORY}node_modules`;
const modulesUp = await timed(files.upload(`${modules}/valibot`, '/srv/valibot'));
await files.download('/srv/valibot/.', here('valibot'));
process.stderr.write(
  `node_modules/valibot: ${modulesUp.value.files} files, ${modulesUp.value.bytes} bytes in ${modulesUp.milliseconds} ms\n`,
);

const controller = new AbortController();
const onProgress = ({ bytes }: { bytes: number }) => {
  if (bytes > 1 << 20) controller.abort(new Error('enough'));
};
const refused = [
  await codeOf(files.upload(here('tree'), '/usr/new')),
  await codeOf(files.download('/etc/shadow', here('shadow'), { user: OTHER })),
  await codeOf(files.upload(here('tree/large'), '/srv/stopped', { signal: controller.signal, onProgress })),
  await codeOf(files.upload(here('tree'), '/srv', { user: OTHER })),
  await codeOf(files.upload('', '/srv')),
  await codeOf(files.upload(here('tree'), '/srv', { nice: 1 } as object)),
];
const left = (await sandbox.run('ls -A /srv; find /srv -name ".virt-sandbox-*"')).stdout;
const results = {
  there,
  blocks,
  many,
  modules: isSame(`${modules}/valibot`, here('valibot')),
  refused,
  left,
  onHost: readdirSync(directory).sort(),
};
process.stdout.write(`${JSON.stringify({ ...results, name: sandbox.name })}\n`);
