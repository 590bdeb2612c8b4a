/** How many clients of a sandbox are carried at once, and which of them make room. */
import type { Protocol } from '../../config/types.js';

/** Half of the processes that may run in a sandbox at once: others can always be started beside. */
const MOST_CLIENTS = 128;
/** Of them. Anybody can be many clients of UDP, with addresses that are not theirs. */
const MOST_UDP_CLIENTS = 64;

const LOOK_MS = 5000;
/** Without a byte for a minute, a client makes room for one that waits. */
const IDLE_LOOKS = 60_000 / LOOK_MS;
/** If nobody takes its bytes for ten minutes, or it waits for as long, it is given up. So is one that has left. */
const STUCK_LOOKS = 600_000 / LOOK_MS;

/** Each has a process in the sandbox while it is carried. */
export interface Client {
  readonly protocol: Protocol;
  /** Aborts when it is gone. */
  readonly gone: AbortSignal;
  /** A number that changes whenever something of it is carried. */
  readonly moved: number;
  /** Something of it waits until somebody takes it, perhaps so slowly that nothing is seen to move for a minute. */
  readonly isHeldUp: boolean;
  /** It has ended as it should, and its process has not. */
  readonly hasLeft: boolean;
  /** Called every few seconds, to find out whether it is gone. */
  look(): void;
  end(): void;
}

/** What a client had moved when it was looked at last, and for how many looks that has been the same. */
interface Activity {
  moved: number;
  quiet: number;
}

/** Clients of all ports of a sandbox count together. */
export class ClientLimit {
  /** How many processes are there for clients of each protocol. One may outlive its client. */
  readonly #used: Record<Protocol, number> = { tcp: 0, udp: 0 };
  /** In the order in which they have come. */
  readonly #waiting = new Map<Client, () => Promise<void>>();
  /** Of those that wait or are carried, and are not gone. */
  readonly #activities = new Map<Client, Activity>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * Calls `carry` when it is the client's turn. A client that is gone before is forgotten.
   * @param carry resolves when its process has ended
   */
  carry(client: Client, carry: () => Promise<void>): void {
    if (client.gone.aborted) return;
    client.gone.addEventListener('abort', () => this.#forget(client), { once: true });
    this.#activities.set(client, { moved: client.moved, quiet: 0 });
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
    this.#waiting.set(client, carry);
    this.#carryNext();
  }

  /** @param left the protocol whose place is free: clients of the other one do not take it while some of it wait */
  #carryNext(left?: Protocol): void {
    const ready = [...this.#waiting].filter(([{ protocol }]) => this.#hasRoom(protocol));
    const next = ready.find(([{ protocol }]) => protocol === left) ?? ready[0];
    if (next === undefined) return;
    const [client, carry] = next;
    const { protocol } = client;
    this.#waiting.delete(client);
    // Its wait was not its silence.
    this.#activities.set(client, { moved: client.moved, quiet: 0 });
    this.#used[protocol] += 1;
    carry().finally(() => {
      this.#used[protocol] -= 1;
      this.#forget(client);
      this.#carryNext(protocol);
    });
  }

  #hasRoom(protocol: Protocol): boolean {
    const { tcp, udp } = this.#used;
    return tcp + udp < MOST_CLIENTS && (protocol === 'tcp' || udp < MOST_UDP_CLIENTS);
  }

  #forget(client: Client): void {
    this.#waiting.delete(client);
    this.#activities.delete(client);
    if (this.#activities.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    for (const [client, activity] of [...this.#activities]) {
      client.look();
      const { moved } = client;
      activity.quiet = activity.moved === moved ? activity.quiet + 1 : 0;
      activity.moved = moved;
      const mayBeStuck = client.isHeldUp || client.hasLeft || this.#waiting.has(client);
      if (mayBeStuck && activity.quiet >= STUCK_LOOKS) client.end();
    }
    this.#makeRoom();
  }

  /**
   * Ends the connections that are idle for the longest time, if other connections wait. A client of UDP that is idle ends
   * by itself.
   */
  #makeRoom(): void {
    const waiting = [...this.#waiting.keys()].filter(isConnection);
    const carried = [...this.#activities].filter(([client]) => isConnection(client) && !this.#waiting.has(client));
    const ending = this.#used.tcp - carried.length;
    const idle = carried
      .filter(([client, { quiet }]) => quiet >= IDLE_LOOKS && !client.isHeldUp)
      .sort((a, b) => b[1].quiet - a[1].quiet);
    for (const [client] of idle.slice(0, Math.max(0, waiting.length - ending))) client.end();
  }
}

function isConnection({ protocol }: Client): boolean {
  return protocol === 'tcp';
}
