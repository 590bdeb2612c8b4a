/**
 * A program with a pool: pooling.js URI. It prints as JSON what came of it, then what it was to leave to its end: with `hold`
 * behind the URI it waits to be killed. Programs of another user, or in another mount namespace, cannot be a test
 * themselves.
 */
import { SandboxError, SandboxPool } from '../../src/index.js';

const [connect = '', hold] = process.argv.slice(2);

async function main(): Promise<void> {
  await using pool = await SandboxPool.create({ size: 2, connect, environment: { A: 'b' }, mounts: ['ram:/srv=1M'] });
  await pool.filled();
  const before = await pool.stats();
  const [one, two] = await Promise.all([pool.take(), pool.take({ name: 'the second' })]);
  const script = 'echo $A; stat -f -c %T /srv; cat /proc/sys/kernel/hostname; head -c 16 /dev/urandom | od -An -tx1';
  const [first, second] = await Promise.all([one.run(script), two.run(script)]);
  await two.stop();
  const third = await pool.take();
  const names = [one.name, two.name, third.name, ...pool.names];
  const ended = pool.names;
  if (hold !== undefined) {
    process.stdout.write(`${JSON.stringify({ names })}\n`);
    await new Promise(() => setInterval(() => {}, 60_000));
  }
  await third.stop();
  const after = await pool.stats();
  await pool.close();
  const kept = await one.run('echo kept');
  await one.stop();
  const result = { before, after, first: first.stdout, second: second.stdout, kept: kept.stdout, names, ended };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

await main().catch((error: unknown) => {
  if (!(error instanceof SandboxError)) throw error;
  process.stdout.write(`${JSON.stringify({ code: error.code, line: error.line })}\n`);
});
