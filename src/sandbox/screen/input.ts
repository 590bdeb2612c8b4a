/** Keys and the pointer, by QEMU's monitor. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ScreenSize } from '../../config/types.js';
import { type Monitor, MonitorError, MonitorRefusal } from '../../libvirt/monitor.js';
import { messageOf } from '../../util/errors.js';
import { isRecord } from '../../util/records.js';
import type { CompositorWatch } from './compositor-watch.js';
import { screenError } from './errors.js';
import type { Input } from './types.js';

/** Positions of a tablet go from 0 to this, whatever the screen's size. */
const FAR = 0x7fff;

/** Between two keys, and two places of the pointer: motions that come together count as one. In milliseconds. */
const PAUSE_MS = 15;

/** A queue of virtio-input: so many places are free when the guest has taken all. QEMU drops what finds none. */
const PLACES = 64;

/** How long a guest may take to take an event, in milliseconds. */
const PATIENCE_MS = 10_000;
const LOOK_MS = 5;

/** libvirt's names of the devices. */
const KEYBOARD = 'input0';
const POINTER = 'input1';

/** @throws {SandboxError} `input-failed` */
export async function enterInputs(
  monitor: Monitor,
  inputs: readonly Input[],
  size: ScreenSize,
  compositor: CompositorWatch | undefined,
): Promise<void> {
  try {
    let waits = compositor !== undefined;
    for (const input of inputs) {
      await sendSteps(monitor, eventsOf(input, size), input.type === 'move' ? PAUSE_MS : 0);
      await delay(PAUSE_MS);
      await taken(monitor, input.type === 'keys' ? KEYBOARD : POINTER);
      if (waits) waits = (await compositor?.settled()) === true;
    }
  } catch (error) {
    if (!(error instanceof MonitorError)) throw error;
    throw screenError(
      'input-failed',
      `the machine takes no input: ${messageOf(error)}`,
      'see that the sandbox still runs',
      error,
    );
  }
}

/**
 * @param pause between two, in milliseconds. 0: QEMU has all before it answers. A key that goes up later is down while a
 *   busy host does something else, and would be repeated by what shows programs, if that stands still then
 */
async function sendSteps(monitor: Monitor, steps: readonly object[][], pause: number): Promise<void> {
  const send = (events: object[]) => monitor.execute('input-send-event', { events });
  if (pause === 0) {
    await Promise.all(steps.map(send));
    return;
  }
  for (const [step, events] of steps.entries()) {
    if (step > 0) await delay(pause);
    await send(events);
  }
}

/** What QEMU is sent at once, one after the other. */
function eventsOf(input: Input, size: ScreenSize): object[][] {
  switch (input.type) {
    case 'keys': {
      const key = (code: string, down: boolean) => ({
        type: 'key',
        data: { down, key: { type: 'qcode', data: code } },
      });
      return [input.keys.map((code) => key(code, true)), [...input.keys].reverse().map((code) => key(code, false))];
    }
    case 'move': {
      const axis = (name: string, at: number, length: number) => ({
        type: 'abs',
        // The middle of the pixel.
        data: { axis: name, value: Math.min(FAR, Math.round(((at + 0.5) * FAR) / length)) },
      });
      // As a hand does, not at once: by the first motion over its window, a program behind Xwayland hears that the pointer is
      // there, and not where.
      const beside = input.x < 1 ? input.x + 1 : input.x - 1;
      return [beside, input.x].map((x) => [axis('x', x, size.width), axis('y', input.y, size.height)]);
    }
    case 'button':
      return [[{ type: 'btn', data: { button: input.button, down: input.down } }]];
  }
}

/**
 * Waits until the guest's kernel has taken what it was sent.
 * @throws {MonitorError} if it does not
 */
async function taken(monitor: Monitor, device: string): Promise<void> {
  for (const deadline = performance.now() + PATIENCE_MS; ; await delay(LOOK_MS)) {
    const free = await freePlaces(monitor, device);
    if (free === undefined || free >= PLACES) return;
    if (performance.now() > deadline) throw new MonitorError('its kernel does not take what was sent before');
  }
}

/** Undefined: this QEMU cannot tell. */
async function freePlaces(monitor: Monitor, device: string): Promise<number | undefined> {
  try {
    // It reads anew from the guest's memory how many places the guest has made free.
    const found = await monitor.execute('x-query-virtio-queue-element', {
      path: `/machine/peripheral/${device}/virtio-backend`,
      queue: 0,
    });
    const [avail, used] = isRecord(found) ? [indexOf(found['avail']), indexOf(found['used'])] : [];
    return avail === undefined || used === undefined ? undefined : (avail - used) & 0xffff;
  } catch (error) {
    if (error instanceof MonitorRefusal) return undefined;
    throw error;
  }
}

function indexOf(ring: unknown): number | undefined {
  const index = isRecord(ring) ? ring['idx'] : undefined;
  return typeof index === 'number' ? index : undefined;
}
