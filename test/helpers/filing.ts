/**
 * A program that works on the files of one sandbox: filing.js URI MIB. It prints as JSON what came of it. Programs of
 * another user, or in another mount namespace, cannot be a test themselves.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Sandbox, SandboxError } from '../../src/index.js';
import { deferred } from '../../src/util/promises.js';

/** Who has no rights to files of the user of the sandbox. */
const OTHER = process.getuid?.() === 65_534 ? 'daemon' : 'nobody';

const [connect = '', mebibytes = ''] = process.argv.slice(2);

/** The code of the error that something rejects with, or the name of one that is not of this package. */
async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error: unknown) => (error instanceof SandboxError ? error.code : error instanceof Error ? error.name : 'unknown'),
  );
}

/** Bytes that differ from piece to piece, and their digest. */
async function* large(count: number, hash: { digest: string }) {
  const sum = createHash('sha256');
  for (let at = 0; at < count; at += 1) {
    const piece = Buffer.alloc(1 << 20, `${at} `);
    sum.update(piece);
    yield piece;
  }
  hash.digest = sum.digest('hex');
}

async function there(sandbox: Sandbox) {
  const { files } = sandbox;
  await files.write('/srv/text', 'hällo\n', { mode: 0o640 });
  await files.write('/srv/text', Buffer.from('more\n'), { append: true });
  await files.mkdir('/srv/a/b/c', { parents: true, mode: 0o700 });
  await files.write('/srv/a/file', '');
  await files.rename('/srv/a/file', '/srv/a/b/moved');
  await sandbox.run(
    'cd /srv; ln -s text link; ln -s nowhere broken; printf raw > "$(printf \'n\\n\\377\')"; mkfifo fifo',
  );
  const list = await files.list('/srv');
  const odd = list.find(({ name }) => name.startsWith('n'))?.name ?? '';
  const { modified, ...status } = await files.stat('/srv/link');
  const result = {
    text: await files.read('/srv/text', { encoding: 'utf8' }),
    list: list.map(({ name, type, size, mode, target }) => [
      name,
      type,
      type === 'file' ? size : 0,
      mode,
      target ?? '',
    ]),
    odd: (await files.read(`/srv/${odd}`)).toString(),
    recent: Math.abs(Date.now() - modified.getTime()) < 600_000,
    status,
    link: (await files.stat('/srv/link', { followLinks: false })).type,
    exists: await Promise.all(
      ['/srv/text', '/srv/broken', '/srv/none', '/srv/text/x'].map((path) => files.exists(path)),
    ),
    moved: (await files.list('/srv/a/b')).map(({ name }) => name),
    // The working directory of the sandbox is /srv.
    relative: await files.read('text', { encoding: 'utf8', user: OTHER }).catch(({ code }: SandboxError) => code),
  };
  await files.remove('/srv/a', { recursive: true });
  await files.remove(`/srv/${odd}`);
  await files.remove('/srv/none', { force: true });
  return { ...result, left: (await files.list('/srv')).map(({ name }) => name) };
}

async function refused({ files }: Sandbox) {
  await files.mkdir('/srv/full/x', { parents: true });
  await files.write('/srv/private', 'for root', { mode: 0o600 });
  await files.write('/srv/large', 'larger');
  const readOnly: unknown = await files.write('/usr/new', '').catch((error: unknown) => error);
  return {
    readOnly: readOnly instanceof SandboxError ? readOnly.line : 'none',
    codes: [
      await codeOf(files.read('/srv/none')),
      await codeOf(files.mkdir('/srv/full')),
      await codeOf(files.read('/srv/private', { user: OTHER })),
      await codeOf(files.write('/srv/private', 'mine', { user: OTHER })),
      await codeOf(files.list('/srv/private')),
      await codeOf(files.read('/srv/full')),
      await codeOf(files.remove('/srv/full')),
      await codeOf(files.write('/opt/new', Buffer.alloc(2 << 20))),
      await codeOf(files.read('/srv/large', { maxBytes: 5 })),
      await codeOf(files.rename('/srv/large', '/opt/large')),
      // A mount in a directory that is removed with all that is below it.
      await codeOf(files.remove('/srv/mounts', { recursive: true })),
      await codeOf(files.read('/srv/large', { user: 'no-such-user' })),
      await codeOf(files.read('')),
      await codeOf(files.read('/srv/large', { limit: 1 } as object)),
    ],
    kept: [
      await files.read('/srv/private', { encoding: 'utf8' }),
      String((await files.list('/opt')).length),
      String((await files.list('/srv/mounts/inner')).length),
    ],
  };
}

/** A link leads where it leads inside. */
async function confined(sandbox: Sandbox): Promise<string> {
  const outside = mkdtempSync('/tmp/virt-sandbox-filing-');
  try {
    writeFileSync(join(outside, 'file'), 'outside');
    await sandbox.files.mkdir(outside);
    await sandbox.files.write(join(outside, 'file'), 'inside');
    await sandbox.run(['ln', '-s', join(outside, 'file'), '/srv/to-file']);
    return await sandbox.files.read('/srv/to-file', { encoding: 'utf8' });
  } finally {
    rmSync(outside, { recursive: true });
  }
}

/** Writing that ends before its end: nothing changes, and nothing is left. */
async function broken({ files }: Sandbox) {
  const [abort, begun] = [new AbortController(), deferred<void>()];
  const result: string[] = [];
  await files.mkdir('/srv/broken-writes');
  await files.write('/srv/broken-writes/file', 'old');
  const watcher = await files.watch('/srv/broken-writes');
  async function* half() {
    for (let at = 0; at < 4; at += 1) yield Buffer.alloc(1 << 20);
    begun.resolve();
    await new Promise((_resolve, reject) => abort.signal.addEventListener('abort', () => reject(abort.signal.reason)));
  }
  const writing = codeOf(files.write('/srv/broken-writes/file', half(), { signal: abort.signal }));
  await begun.promise;
  abort.abort();
  result.push(await writing);
  for await (const { type, name } of watcher) {
    if (type === 'remove' && name.startsWith('.virt-sandbox-')) break;
  }
  async function* failing() {
    yield 'half';
    throw new RangeError('the source');
  }
  result.push(await codeOf(files.write('/srv/broken-writes/file', failing())));
  result.push(await codeOf(files.write('/srv/broken-writes/new', failing())));
  result.push(await files.read('/srv/broken-writes/file', { encoding: 'utf8' }));
  return [...result, ...(await files.list('/srv/broken-writes')).map(({ name }) => name)];
}

async function watched({ files }: Sandbox) {
  await files.mkdir('/srv/watched');
  const abort = new AbortController();
  const watcher = await files.watch('/srv/watched', { signal: abort.signal });
  await files.mkdir('/srv/watched/a');
  await files.rename('/srv/watched/a', '/srv/watched/b');
  await files.remove('/srv/watched/b');
  await files.write('/srv/watched/log', 'x', { append: true });
  const changes: string[] = [];
  for (let at = 0; at < 6; at += 1) {
    const { value } = await watcher.next();
    if (value !== undefined) changes.push(`${value.type} ${value.name}`);
  }
  const waiting = watcher.next();
  abort.abort();
  const [ended, again] = [await waiting, await watcher.next()];
  const other = await files.watch('/srv/watched');
  const pending = other.next();
  await other.return();
  return { changes, done: [ended.done, again.done, (await pending).done] };
}

async function huge({ files }: Sandbox, count: number) {
  const written = { digest: '' };
  const hash = createHash('sha256');
  const begun = performance.now();
  await files.write('/srv/huge', large(count, written));
  const between = performance.now();
  const { size } = await files.stat('/srv/huge');
  for await (const chunk of files.readStream('/srv/huge')) hash.update(chunk as Buffer);
  const ended = performance.now();
  await files.remove('/srv/huge');
  process.stderr.write(`${count} MiB: written in ${between - begun} ms, read in ${ended - between} ms\n`);
  return { size, isSame: hash.digest('hex') === written.digest };
}

await using sandbox = await Sandbox.create({
  connect,
  cwd: '/srv',
  memory: `${512 + 2 * Number(mebibytes)}M`,
  mounts: [`ram:/srv=${64 + Number(mebibytes)}M`, 'ram:/srv/mounts/inner=1M', 'ram:/opt=1M'],
});
// They are root's.
await sandbox.run(['chmod', '777', '/srv', '/srv/mounts', '/srv/mounts/inner', '/opt'], { user: 'root', reject: true });
const results = {
  there: await there(sandbox),
  refused: await refused(sandbox),
  confined: await confined(sandbox),
  broken: await broken(sandbox),
  watched: await watched(sandbox),
  huge: await huge(sandbox, Number(mebibytes)),
};
await sandbox.run('mkfifo /srv/silent');
const waiting = codeOf(sandbox.files.read('/srv/silent'));
const streaming = codeOf(sandbox.files.readStream('/srv/silent').toArray());
const watcher = await sandbox.files.watch('/srv');
const last = watcher.next();
await sandbox.stop();
const lost = [await waiting, await streaming, String((await last).done), await codeOf(sandbox.files.list('/'))];
process.stdout.write(`${JSON.stringify({ ...results, lost, name: sandbox.name })}\n`);
