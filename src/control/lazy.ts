/** The functions of this folder for programs. Those that do not call them do not load what is behind them. */
import type { ConnectedSandbox, ConnectOptions } from './connect.js';
import type { ListedSandbox, ListOptions } from './list.js';

/**
 * Connects to the running sandbox `NAME` of this user; for root also `USER/NAME`. It has to be one of the program
 * `virt-sandbox`, or one that was started with `control`.
 * @throws {SandboxError} `sandbox-not-found`, `not-yours`, `user-unknown`, `control-failed`, `sandbox-ended`
 * @throws the signal's reason if it aborts
 */
export async function connectSandbox(name: string, options: ConnectOptions = {}): Promise<ConnectedSandbox> {
  const { connectSandbox: connect } = await import('./connect.js');
  return connect(name, options);
}

/** The running sandboxes of this user, by name. */
export async function runningSandboxes(options: ListOptions = {}): Promise<ListedSandbox[]> {
  const { runningSandboxes: list } = await import('./list.js');
  return list(options);
}
