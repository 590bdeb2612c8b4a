// Runs a command with the libvirtds that measuring may want: node scripts/with-libvirt.mjs COMMAND…
//
// It starts one for qemu:///system if none answers, where sandboxes keep their files in memory, and one for lxc:/// in
// namespaces of its own, as the tests have it.
// VIRT_SANDBOX_BENCH_LXC tells the command how to enter those.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { IN_MEMORY, runWhereLibvirtStarts, startSystemLibvirt } from './test-libvirtd.mjs';
import { startLxcLibvirt } from './test-lxc.mjs';

const [program, ...args] = process.argv.slice(2);
if (program === undefined) {
  process.stderr.write('usage: node scripts/with-libvirt.mjs COMMAND…\n');
  process.exit(2);
}
const elsewhere = await runWhereLibvirtStarts(IN_MEMORY);
if (elsewhere !== undefined) process.exit(elsewhere);
const daemons = process.geteuid() === 0 ? await Promise.all([startSystemLibvirt(), startLxcLibvirt()]) : [];
const lxc = process.env.VIRT_SANDBOX_TEST_LXC ?? '';
const env = { ...process.env };
if (/^\d+$/.test(lxc)) env.VIRT_SANDBOX_BENCH_LXC = `nsenter --mount --target ${lxc} --`;
// In a process group of its own: a signal to the whole group would reach it twice, and the second one would end it
// before it has told what it measured. The daemons run until it has.
const child = spawn(program, args, { stdio: 'inherit', env, detached: true });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
const ended = await once(child, 'exit').catch((error) => {
  process.stderr.write(`with-libvirt: ${error.message}\n`);
  return [127, null];
});
await Promise.all(daemons.map((daemon) => daemon.stop()));
process.exitCode = ended[0] ?? 1;
