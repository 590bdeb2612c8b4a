/**
 * What a sandbox left behind: a snapshot of everything before it runs is compared with one after its end. A soak has
 * namespaces of its own (scripts/soak.mjs), so whatever is new was left, whatever it is called.
 */
import { type Dirent, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeProcess, keyOf, type Process, processes } from './processes.js';

export type Kind =
  | 'process'
  | 'domain'
  | 'file'
  | 'mount'
  | 'namespace'
  | 'socket'
  | 'interface'
  | 'control group'
  | 'terminal';

/** Where to look. */
export interface Places {
  /** Which processes count. */
  readonly isOurs: (process: Process) => boolean;
  /** Daemons that outlive sandboxes: they are not left over, but must keep no namespace. */
  readonly daemons: () => readonly number[];
  /** Directories whose entries are compared, at any depth. One that is missing is empty. */
  readonly directories: readonly string[];
  /** Paths in them that may come and go, with everything below. */
  readonly ignored: RegExp;
  /** Processes in whose namespaces mounts, sockets and interfaces are compared. */
  readonly namespaces: readonly (number | 'self')[];
  /** The name of the sandbox, or its beginning, for what is the whole host's. */
  readonly name: string;
  /** Names of domains, one function for each daemon. */
  readonly domains: readonly (() => Promise<readonly string[]>)[];
  /** The settings of the terminal that the sandbox runs at. */
  readonly terminal?: (() => string) | undefined;
}

/** What is there, with a description of each thing by a key that begins with its kind. */
export type Snapshot = ReadonlyMap<string, { readonly kind: Kind; readonly what: string }>;

export interface Left {
  readonly kind: Kind;
  readonly what: string;
}

/** In milliseconds: how often to look again. */
const LOOK_MS = 50;

export async function takeSnapshot(places: Places): Promise<Snapshot> {
  const found = new Map<string, Left>();
  const add = (kind: Kind, key: string, what = key) => found.set(`${kind} ${key}`, { kind, what });
  const daemons = places.daemons();
  const seen = processes().filter((process) => daemons.includes(process.pid) || places.isOurs(process));
  for (const process of seen) {
    if (!daemons.includes(process.pid)) add('process', keyOf(process), describeProcess(process));
    for (const namespace of namespacesOf(process.pid)) {
      add('namespace', namespace, `${namespace}, kept by ${process.pid} ${process.command}`);
    }
  }
  for (const directory of places.directories) {
    for (const path of entriesBelow(directory, places.ignored)) add('file', path);
  }
  for (const who of places.namespaces) {
    for (const mount of mountsOf(who)) add('mount', `${mount} (${who})`, mount);
    for (const socket of socketsOf(who)) add('socket', `${socket} (${who})`, socket);
    for (const name of interfacesOf(who)) add('interface', `${name} (${who})`, name);
    for (const group of controlGroupsOf(who, places.name)) add('control group', group);
  }
  for (const domains of places.domains) for (const name of await domains()) add('domain', name);
  const settings = places.terminal?.();
  if (settings !== undefined) add('terminal', settings, `its settings are ${settings}`);
  return found;
}

/** What `after` has and `before` has not. */
export function newSince(before: Snapshot, after: Snapshot): Left[] {
  const isNew = ([key]: readonly [string, Left]) => !before.has(key);
  const isBelowNew = ({ kind, what }: Left) =>
    kind === 'file' && !before.has(`file ${dirname(what)}`) && after.has(`file ${dirname(what)}`);
  return [...after].filter(isNew).flatMap(([, left]) => (isBelowNew(left) ? [] : [left]));
}

/** For people: what is left, one line for each kind. */
export function describeLeft(left: readonly Left[]): string[] {
  const kinds = [...new Set(left.map(({ kind }) => kind))];
  return kinds.map((kind) => {
    const things = left.filter((each) => each.kind === kind).map(({ what }) => what);
    return `${kind} left: ${things.join('; ')}`;
  });
}

/** A snapshot with a terminal that was opened later. @param settings its settings before anything ran at it */
export function withTerminal(before: Snapshot, settings: string): Snapshot {
  return new Map([...before, [`terminal ${settings}`, { kind: 'terminal', what: settings }]]);
}

/** What is left of a sandbox; looks until nothing is, for `graceMs` milliseconds at most. */
export async function leftSince(before: Snapshot, places: Places, graceMs: number): Promise<Left[]> {
  for (const deadline = Date.now() + graceMs; ; await sleep(LOOK_MS)) {
    const left = newSince(before, await takeSnapshot(places));
    if (left.length === 0 || Date.now() >= deadline) return left;
  }
}

/** The namespaces of a process, and those that it keeps by a descriptor. */
function namespacesOf(pid: number): string[] {
  return ['ns', 'fd'].flatMap((directory) =>
    entriesOf(`/proc/${pid}/${directory}`).flatMap(({ name }) => {
      try {
        const target = readlinkSync(`/proc/${pid}/${directory}/${name}`);
        return /^[a-z_]+:\[\d+\]$/.test(target) && !/^(pipe|socket|anon_inode|pid_for|time_for)/.test(target)
          ? [target]
          : [];
      } catch {
        return [];
      }
    }),
  );
}

function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    // It is not there, or has gone meanwhile.
    return [];
  }
}

function entriesBelow(directory: string, ignored: RegExp): string[] {
  return entriesOf(directory).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (ignored.test(path)) return [];
    return entry.isDirectory() ? [path, ...entriesBelow(path, ignored)] : [path];
  });
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'latin1').split('\n').slice(0, -1);
  } catch {
    return [];
  }
}

/** Each mount as `PATH TYPE SOURCE`. */
function mountsOf(who: number | 'self'): string[] {
  return linesOf(`/proc/${who}/mountinfo`).map((line) => {
    const words = line.split(' ');
    const dash = words.indexOf('-');
    return `${words[4]} ${words[dash + 1]} ${words[dash + 2]}`;
  });
}

const LISTENING = '0A';

/** Unix sockets by their paths, and addresses on which somebody listens. */
function socketsOf(who: number | 'self'): string[] {
  const unix = linesOf(`/proc/${who}/net/unix`).flatMap((line) => /\s([/@].*)$/.exec(line)?.[1] ?? []);
  const tcp = ['tcp', 'tcp6'].flatMap((table) =>
    linesOf(`/proc/${who}/net/${table}`)
      .map((line) => line.trim().split(/\s+/))
      .filter((words) => words[3] === LISTENING)
      .map((words) => `${table} ${words[1]}`),
  );
  return [...unix, ...tcp];
}

function interfacesOf(who: number | 'self'): string[] {
  return linesOf(`/proc/${who}/net/dev`).flatMap((line) => /^\s*([^\s:]+):/.exec(line)?.[1] ?? []);
}

/** Control groups with the name of a sandbox, up to four levels deep. */
function controlGroupsOf(who: number | 'self', sandbox: string): string[] {
  const below = (directory: string, depth: number): string[] =>
    entriesOf(directory)
      .filter((entry) => entry.isDirectory())
      .flatMap(({ name }) => {
        const path = join(directory, name);
        if (name.includes(sandbox)) return [path];
        return depth > 1 ? below(path, depth - 1) : [];
      });
  return below(`/proc/${who}/root/sys/fs/cgroup`, 4);
}
