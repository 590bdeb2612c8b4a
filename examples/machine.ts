// Starts a machine, says one thing after the other to it, and leaves nothing of it.
import { Sandbox } from 'virt-sandbox';

await using sandbox = await Sandbox.create({ mounts: ['ram:/srv=10M'], environment: { GREETING: 'hi' } });
await sandbox.run('echo $GREETING from $USER >/srv/note', { env: { USER: 'the machine' }, reject: true });
const { stdout } = await sandbox.run(['cat', 'note'], { cwd: '/srv', timeout: '30s' });
console.log(stdout.trim());
