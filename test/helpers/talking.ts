/**
 * A program that talks to one sandbox: talking.js URI. It prints as JSON what came of it. Programs of another user, or in
 * another mount namespace, cannot be a test themselves.
 */
import { createHash } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { Sandbox, SandboxError, type SpawnOptions } from '../../src/index.js';

const [connect = ''] = process.argv.slice(2);

/** The code of the error that something rejects with. */
async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error: unknown) => (error instanceof SandboxError ? error.code : String(error)),
  );
}

/** 50 processes with input and interleaved output. @returns how many gave back each byte, and their exit codes */
async function fifty(sandbox: Sandbox): Promise<{ whole: number; codes: number[] }> {
  const results = await Promise.all(
    Array.from({ length: 50 }, async (_, at) => {
      const input = `${at},`.repeat(20_000);
      const script = `i=0; while [ $i -lt 100 ]; do echo ${at} $i >&2; i=$((i+1)); done; cat; exit ${at}`;
      const { stdout, stderr, exitCode } = await sandbox.run(script, { input });
      const lines = Array.from({ length: 100 }, (_line, line) => `${at} ${line}\n`).join('');
      return { isWhole: stdout === input && stderr === lines, exitCode };
    }),
  );
  return {
    whole: results.filter(({ isWhole }) => isWhole).length,
    codes: results.map(({ exitCode }) => exitCode),
  };
}

/** One that nobody reads, beside one that is read. */
async function slowAndQuick(sandbox: Sandbox): Promise<{ quick: number; slow: string }> {
  const slow = await sandbox.spawn(['sh', '-c', 'head -c 4000000 /dev/zero; echo >&2 done']);
  const quick = await sandbox.run(['head', '-c', '3000000', '/dev/zero']);
  const hash = createHash('sha256');
  for await (const chunk of slow.stdout) hash.update(chunk as Buffer);
  await slow.exited;
  return { quick: quick.stdout.length, slow: hash.digest('hex') };
}

async function terminal(sandbox: Sandbox): Promise<string> {
  const shell = await sandbox.spawn(['sh', '-c', 'read x; stty size; tty >/dev/null && echo $TERM'], {
    tty: { rows: 30, columns: 90, type: 'vt100' },
  });
  await shell.resize(41, 91);
  shell.stdin.write('\n');
  const output = await text(shell.stdout);
  await shell.exited;
  return output;
}

async function killed(sandbox: Sandbox): Promise<unknown[]> {
  const [kept, ended] = [await sandbox.spawn(['cat']), await sandbox.spawn('sleep 1000 & echo $!; wait')];
  const child = (await new Promise<Buffer>((resolve) => ended.stdout.once('data', resolve))).toString().trim();
  await ended.kill('SIGTERM');
  const { signal } = await ended.exited;
  const { exitCode } = await sandbox.run(['sh', '-c', `while kill -0 ${child} 2>/dev/null; do sleep 0.05; done`], {
    timeout: 20_000,
  });
  kept.stdin.end('kept');
  return [signal, exitCode, await text(kept.stdout), (await kept.exited).exitCode];
}

/** Loops over lines: to the end, beside a flood that nobody reads; one left early; one over a terminal. */
async function lines(sandbox: Sandbox): Promise<unknown[]> {
  const collect = async (command: string, options: SpawnOptions = {}) => {
    const process = await sandbox.spawn(command, options);
    const found: string[] = [];
    for await (const line of process) found.push(line);
    return [found, (await process.exited).exitCode];
  };
  const endless = await sandbox.spawn('yes');
  for await (const line of endless) if (line === 'y') break;
  const controller = new AbortController();
  const { signal } = controller;
  const aborted = await sandbox.spawn('echo x; exec sleep 1000', { signal });
  const abort = async () => {
    for await (const line of aborted) controller.abort(new Error(`enough: ${line}`));
  };
  return [
    await collect("head -c 3000000 /dev/zero >&2; printf 'a\r\nä\n\nlast'; exit 3"),
    (await endless.exited).signal,
    await collect('echo x; echo y >&2', { tty: { rows: 24, columns: 80 } }),
    await codeOf(collect('yes | tr -d "\n"', { maxBuffer: 5000 })),
    await abort().catch(({ message }: Error) => message),
  ];
}

await using sandbox = await Sandbox.start(
  { command: ['sleep', '1000'], environment: [{ key: 'A', value: 'a' }] },
  { connect },
);
const abort = new AbortController();
setTimeout(() => abort.abort(new Error('enough')), 300);
const identity = await sandbox.run('id -u; id -g; echo $USER; grep -E "^Cap(Eff|Bnd)|NoNewPrivs" /proc/self/status');
const results = {
  plain: await sandbox.run(['printf', '%s|', 'a b', '', '$A']),
  shell: (await sandbox.run('echo $A $B; pwd', { env: { B: 'b' }, cwd: '/usr' })).stdout,
  identity: identity.stdout,
  nobody: (await sandbox.run('id -un; id -u; grep -E "^Cap(Eff|Bnd)" /proc/self/status', { user: 'nobody' })).stdout,
  fifty: await fifty(sandbox),
  slowAndQuick: await slowAndQuick(sandbox),
  terminal: await terminal(sandbox),
  killed: await killed(sandbox),
  lines: await lines(sandbox),
  late: await sandbox.run('echo begun; sleep 1000', { timeout: 500 }),
  aborted: await sandbox.run('sleep 1000', { signal: abort.signal }).catch(({ message }: Error) => message),
  // What it leaves running holds its output, and is never silent.
  held: await sandbox
    .run('setsid sh -c "while :; do echo x; sleep 0.2; done" & exit 0', { signal: AbortSignal.timeout(3000) })
    .catch(({ name }: Error) => name),
  tooMuch: await codeOf(sandbox.run('setsid sh -c "yes" & exit 0', { maxBuffer: 5000 })),
  terminalOfUser: (await sandbox.run('echo $HOME $USER $TERM', { user: 'nobody', env: { TERM: 'dumb' } })).stdout,
  errors: [
    await codeOf(sandbox.spawn(['/no/such'])),
    await codeOf(sandbox.spawn(['/etc/passwd'])),
    await sandbox.run('true', { cwd: '/no/such' }).catch(({ code, remedy }: SandboxError) => `${code}: ${remedy}`),
    await codeOf(sandbox.run('true', { user: 'no-such-user' })),
    await codeOf(sandbox.run('exit 3', { reject: true })),
    await codeOf(sandbox.run('head -c 2000 /dev/zero', { maxBuffer: 1000 })),
    await codeOf(sandbox.run([])),
    await codeOf(sandbox.run('true', { nice: 1 } as object)),
    await codeOf(sandbox.run('true', { env: { 'A=B': 'c' } })),
  ],
};
const left = await sandbox.spawn(['sleep', '1000']);
// The application ends, and with it all others.
await sandbox.kill('SIGTERM');
const lost = await codeOf(left.exited);
await sandbox.exited;
process.stdout.write(
  `${JSON.stringify({ ...results, left: lost, after: await codeOf(sandbox.run('true')), name: sandbox.name })}\n`,
);
