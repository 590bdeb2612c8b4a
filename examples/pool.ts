// Keeps two machines ready, and has one of them run a command: it is there in some milliseconds.
import { SandboxPool } from 'virt-sandbox';

await using pool = await SandboxPool.create({ size: 2, environment: { GREETING: 'hi' } });
await using sandbox = await pool.take({ name: 'first' });
const { stdout } = await sandbox.run('echo $GREETING from $(cat /proc/sys/kernel/hostname)');
console.log(stdout.trim());
