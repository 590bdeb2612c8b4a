/**
 * The sound of a machine that this process holds. QEMU talks to no sound server: it hands over samples, at a socket that
 * has no path, and this process plays them.
 */
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Monitor } from '../../libvirt/monitor.js';
import { messageOf } from '../../util/errors.js';
import { socketPair } from '../../util/socket-pair.js';
import type { Observers } from '../types.js';
import { Player } from './player.js';
import { RfbAudio } from './rfb-audio.js';
import { connectToServer, NoServer, serverPath } from './server.js';

/** How long what QEMU has sent is read, when it has ended. In milliseconds. */
const REST_MS = 1000;

export class MachineSound {
  readonly #audio: RfbAudio;
  readonly #player: Player;
  readonly #heard: Promise<void>;

  private constructor(audio: RfbAudio, player: Player, onWarning: (sentence: string) => void) {
    this.#audio = audio;
    this.#player = player;
    this.#heard = audio.hear(player).catch((error: unknown) => {
      onWarning(`the sandbox is silent from now on: ${messageOf(error)}`);
    });
  }

  /** @returns undefined: it is silent, and a warning says why */
  static async open(
    monitor: Monitor,
    name: string,
    { onChoice, onWarning = () => {} }: Pick<Observers, 'onChoice' | 'onWarning'>,
  ): Promise<MachineSound | undefined> {
    const telling = tellServer(onChoice);
    try {
      const socket = await connectToQemu(monitor);
      const audio = await RfbAudio.open(socket);
      await telling;
      return new MachineSound(audio, new Player(name, onWarning), onWarning);
    } catch (error) {
      onWarning(`the sandbox is silent: ${messageOf(error)}`);
      return undefined;
    }
  }

  /** Call it when QEMU has ended: what it has played is heard to its end. */
  async close(): Promise<void> {
    await Promise.race([this.#heard, delay(REST_MS, undefined, { ref: false })]);
    this.#audio.close();
    await this.#player.close();
  }
}

async function connectToQemu(monitor: Monitor): Promise<Socket> {
  const [own, qemus] = await socketPair();
  const socket = new Socket({ fd: own });
  // Whatever is wrong with it, its reader finds out.
  socket.on('error', () => {}).unref();
  try {
    const name = 'sound';
    await monitor.executeWith(qemus, 'getfd', { fdname: name });
    await monitor.execute('add_client', { protocol: 'vnc', fdname: name, skipauth: true });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    closeSync(qemus);
  }
}

/** Says who plays it. The server is connected to for that alone: there is a stream only while something is played. */
async function tellServer(onChoice: Observers['onChoice']): Promise<void> {
  if (onChoice === undefined) return;
  try {
    const path = serverPath();
    (await connectToServer(path)).destroy();
    onChoice(`sound: played by the server at ${path}`);
  } catch (error) {
    if (!(error instanceof NoServer)) throw error;
    onChoice(`sound: silent, because ${error.message}`);
  }
}
