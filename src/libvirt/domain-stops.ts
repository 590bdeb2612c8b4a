/** Hears that domains stop: also of one that stops before libvirt has said that it runs. */
import { deferred } from '../util/promises.js';
import { type DaemonClient, VIR_DOMAIN_EVENT_STOPPED } from './rpc/client.js';
import type { DomainReference } from './rpc/messages.js';

/** Listens from now on. */
export class DomainStops {
  readonly #details = new Map<string, number>();
  readonly #end: () => void;
  #awaited: { readonly uuid: string; readonly resolve: (detail: number) => void } | undefined;

  constructor(client: DaemonClient) {
    this.#end = client.onLifecycle(({ uuid }, event, detail) => {
      if (event === VIR_DOMAIN_EVENT_STOPPED) this.#take(uuid.toString('hex'), detail);
    });
  }

  /** Settles when the domain has stopped, with its virDomainEventStoppedDetailType. Listens to no other from then on. */
  of({ uuid }: DomainReference): Promise<number> {
    const { promise, resolve } = deferred<number>();
    const key = uuid.toString('hex');
    this.#awaited = { uuid: key, resolve };
    const earlier = this.#details.get(key);
    this.#details.clear();
    if (earlier !== undefined) this.#take(key, earlier);
    return promise;
  }

  end(): void {
    this.#end();
  }

  #take(uuid: string, detail: number): void {
    // libvirt may report the end twice: of a container that fails while it is destroyed. The first report counts.
    if (this.#awaited === undefined) {
      if (!this.#details.has(uuid)) this.#details.set(uuid, detail);
    } else if (this.#awaited.uuid === uuid) {
      this.end();
      this.#awaited.resolve(detail);
    }
  }
}
