// Uses a desktop program as an agent would: types into its window, saves by its keys, and looks at the screen.
import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from 'virt-sandbox';

await using sandbox = await Sandbox.start({
  command: ['mousepad', '/tmp/note.txt'],
  graphics: 'none,size=800x500',
  identity: { uid: 65534, gid: 65534, username: 'nobody', home: '/tmp', groups: [] },
  environment: { GSETTINGS_BACKEND: 'memory' },
});
const { screen } = sandbox;

// An empty screen is black, and its picture small.
let picture = await screen.screenshot();
for (; picture.length < 4000; picture = await screen.screenshot()) await sleep(200);

await screen.type('Hello from the host');
await screen.key('ctrl+s');
for (let saved = ''; saved === ''; await sleep(200)) {
  saved = (await sandbox.run('cat /tmp/note.txt')).stdout;
  if (saved !== '') console.log(saved);
}
picture = await screen.screenshot();
console.log(picture.subarray(1, 4).toString());
