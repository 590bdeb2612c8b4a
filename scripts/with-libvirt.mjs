// Runs a command with the libvirtds that measuring may want: node scripts/with-libvirt.mjs COMMAND…
//
// For qemu:///system one is started where none answers; for lxc:/// there is one in namespaces of its own, as the tests have it. In
// VIRT_SANDBOX_BENCH_LXC the command finds the words that lead to it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { startSystemLibvirt } from './test-libvirtd.mjs';
import { startLxcLibvirt } from './test-lxc.mjs';

const [program, ...args] = process.argv.slice(2);
if (program === undefined) {
  process.stderr.write('usage: node scripts/with-libvirt.mjs COMMAND…\n');
  process.exit(2);
}
const daemons = process.geteuid() === 0 ? await Promise.all([startSystemLibvirt(), startLxcLibvirt()]) : [];
const lxc = process.env.VIRT_SANDBOX_TEST_LXC ?? '';
const env = { ...process.env };
if (/^\d+$/.test(lxc)) env.VIRT_SANDBOX_BENCH_LXC = `nsenter --mount --target ${lxc} --`;
// In a group of its own, so that a signal to all of this one reaches it once: a second one would end it before it has told what it measured. The
// daemons are wanted until it has.
const child = spawn(program, args, { stdio: 'inherit', env, detached: true });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
const ended = await once(child, 'exit').catch((error) => {
  process.stderr.write(`with-libvirt: ${error.message}\n`);
  return [127, null];
});
await Promise.all(daemons.map((daemon) => daemon.stop()));
process.exitCode = ended[0] ?? 1;
