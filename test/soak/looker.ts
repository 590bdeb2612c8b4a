/**
 * Somebody who uses the screen of a detached sandbox: looker.js NAME SEED WHAT. It takes pictures, types, clicks, and
 * comes and goes as a viewer, as seed and its number say. `long` does it so often that what is lost each time shows, and
 * prints how much memory and how many descriptors the holder and its QEMU have gained.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { connectSandbox, type Screen } from '../../src/index.js';
import { qemuOf } from '../helpers/leftovers.js';
import { Viewer } from '../helpers/rfb.js';
import { Choices } from './plan.js';

const [name = '', seed = '0', what = '', holder = '0'] = process.argv.slice(2);

const TURNS = 8;
/** Before the first reading: what grows once is there then. */
const LONG_BEFORE = 60;
const LONG_TURNS = 300;

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47]);

const KINDS: Readonly<Record<string, (screen: Screen, choices: Choices) => Promise<void>>> = {
  picture: async (screen) => {
    assert.ok((await screen.screenshot()).subarray(0, PNG.length).equals(PNG));
  },
  type: (screen) => screen.type('echo soak\n'),
  key: (screen) => screen.key('ctrl+l'),
  click: (screen, choices) => screen.click(choices.below(screen.size.width), choices.below(screen.size.height)),
  viewer: async ({ vncSocket = '' }) => {
    const viewer = await Viewer.open(vncSocket);
    try {
      assert.match(await viewer.colourAt(viewer.width - 1, viewer.height - 1), /^#/);
    } finally {
      viewer.close();
    }
  },
  silent: async ({ vncSocket = '' }) => {
    const socket = connect(vncSocket);
    await once(socket, 'connect');
    socket.destroy();
  },
};

await using sandbox = await connectSandbox(name);
const choices = new Choices(Number(seed) * 8 + (Number(what) || 0));
const turn = async () => {
  await KINDS[choices.one(Object.keys(KINDS))]?.(sandbox.screen, choices);
};
const turns = async (count: number) => {
  for (let number = 0; number < count; number += 1) await turn();
};

if (what === 'long') {
  await turns(LONG_BEFORE);
  const before = sizes();
  await turns(LONG_TURNS);
  const after = sizes();
  const gained = Object.fromEntries(Object.entries(after).map(([key, value]) => [key, value - (before[key] ?? 0)]));
  process.stdout.write(`${JSON.stringify(gained)}\n`);
} else {
  await turns(TURNS);
}

/** Memory in KiB, and descriptors. */
function sizes(): Record<string, number> {
  const memory = (pid: number) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  const pid = Number(holder);
  return {
    holder: memory(pid),
    qemu: memory(qemuOf(name) ?? assert.fail('no QEMU')),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  };
}
