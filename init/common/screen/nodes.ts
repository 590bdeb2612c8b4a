/** The devices of the screen: finds them, and gives them to the application's user. */
import { type Guest, OperationError } from '../../../src/protocol/operations.js';
import type { GuestConfig } from '../config.js';

/** A device, by its path and numbers. */
export interface DeviceNode {
  readonly path: string;
  readonly major: number;
  readonly minor: number;
}

export interface ScreenNodes {
  readonly card: DeviceNode;
  readonly keyboard: DeviceNode;
  readonly pointer: DeviceNode;
}

const INPUT_DEVICES = '/proc/bus/input/devices';
/** Two kilobytes for each of the few that a machine has. */
const INPUT_BYTES = 65_536;
const CARDS = '/dev/dri';
/** Xorg draws on this virtual terminal. A kernel may have none. */
const TERMINAL = '/dev/tty1';
const NO_ENTRY = 2;

/**
 * Gives card, keyboard, pointer and virtual terminal to the user, who alone may open them.
 * @throws {OperationError} if one is missing
 */
export async function giveNodes(guest: Guest, { identity }: Pick<GuestConfig, 'identity'>): Promise<ScreenNodes> {
  const [cards, inputs] = await Promise.all([
    guest.call({ op: 'listDir', path: CARDS }),
    guest.call({ op: 'readFile', path: INPUT_DEVICES, limit: INPUT_BYTES }),
  ]);
  const text = new TextDecoder().decode(inputs.value);
  const card = [...cards.value].sort().find((name) => name.startsWith('card'));
  const paths = [
    card === undefined ? undefined : `${CARDS}/${card}`,
    eventPath(text, 'QEMU Virtio Keyboard'),
    eventPath(text, 'QEMU Virtio Tablet'),
  ] as const;
  const give = ({ path }: { readonly path: string }) =>
    guest.call({ op: 'chown', path, uid: identity.uid, gid: identity.gid });
  const [found] = await Promise.all([
    Promise.all([nodeAt(guest, paths[0]), nodeAt(guest, paths[1]), nodeAt(guest, paths[2])]),
    guest
      .call({ op: 'chown', path: TERMINAL, uid: identity.uid, gid: identity.gid }, { tolerate: true })
      .catch(unlessMissing),
  ]);
  await Promise.all(found.map(give));
  const [screen, keyboard, pointer] = found;
  return { card: screen, keyboard, pointer };
}

/** The event device with that name, from the kernel's list of input devices. */
function eventPath(text: string, name: string): string | undefined {
  const device = text.split('\n\n').find((each) => each.includes(`Name="${name}"`));
  const event = device === undefined ? undefined : /^H: Handlers=.*\b(event\d+)\b/m.exec(device)?.[1];
  return event && `/dev/input/${event}`;
}

async function nodeAt(guest: Guest, path: string | undefined): Promise<DeviceNode> {
  if (path === undefined) throw new OperationError('stat', NO_ENTRY, 'the machine has no screen, keyboard or pointer');
  const { deviceMajor, deviceMinor } = (await guest.call({ op: 'stat', path, follow: true })).value;
  return { path, major: deviceMajor, minor: deviceMinor };
}

function unlessMissing(error: unknown): void {
  if (!(error instanceof OperationError) || error.errno !== NO_ENTRY) throw error;
}
