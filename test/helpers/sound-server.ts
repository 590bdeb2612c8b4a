/** A sound server of a test, without a card: what is played to it is recorded. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { OrdinaryUser } from './ordinary-user.js';
import type { Running, RunResult } from './run.js';

const RATE = 48_000;
const FRAME_BYTES = 4;
/** Of 20 ms, in frames: a guest that is emulated on a busy host stutters, and what is between is still whole. */
const WINDOW = RATE / 50;

/** Hertz. */
const TONE = 1000;
const SECOND_OF_WINDOWS = RATE / WINDOW;

/** Most of a busy host's time, in milliseconds. */
const PATIENCE_MS = 90_000;

/** A reason to skip, or false if this host has PulseAudio and ALSA's programs. */
export function unlessSound(): string | false {
  const programs = ['pulseaudio', 'pactl', 'parec', 'aplay'].map((name) => `/usr/bin/${name}`);
  const missing = [...programs, '/usr/share/alsa/alsa.conf'].filter((path) => !existsSync(path));
  return missing.length === 0 ? false : `${missing.join(' and ')} is missing (scripts/setup test)`;
}

/** A card that rests longer than this, in microseconds, is an error of ALSA. A busy host lets a machine rest. */
export const PATIENTLY = '--buffer-time=1000000';

/** What plays the tone of {@link playUntilHeard} inside. */
export const PLAY_INPUT = [
  'aplay',
  PATIENTLY,
  '-q',
  '-D',
  'plughw:0',
  '-t',
  'raw',
  '-r',
  `${RATE}`,
  '-c',
  '2',
  '-f',
  'S16_LE',
  '-',
];

function tone(hertz: number, seconds: number): Buffer {
  const samples = Buffer.alloc(RATE * seconds * FRAME_BYTES);
  for (let frame = 0; frame < RATE * seconds; frame += 1) {
    const value = Math.round(Math.sin((2 * Math.PI * hertz * frame) / RATE) * 16_384);
    for (const channel of [0, 2]) samples.writeInt16LE(value, frame * FRAME_BYTES + channel);
  }
  return samples;
}

/** A tone of that frequency, as a WAV file. */
export function toneFile(hertz: number, seconds: number): Buffer {
  const samples = tone(hertz, seconds);
  const head = Buffer.from(`RIFF....WAVEfmt ${'.'.repeat(20)}data....`, 'latin1');
  head.writeUInt32LE(head.length - 8 + samples.length, 4);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(2, 22);
  head.writeUInt32LE(RATE, 24);
  head.writeUInt32LE(RATE * FRAME_BYTES, 28);
  head.writeUInt16LE(FRAME_BYTES, 32);
  head.writeUInt16LE(16, 34);
  head.writeUInt32LE(samples.length, 40);
  return Buffer.concat([head, samples]);
}

/**
 * Has a sandbox that plays its standard input play a tone until a server has played a second of it in all, and ends the
 * input. A guest that is emulated on a busy host stutters for as long as it is busy.
 * @param running its input is open
 */
export async function playUntilHeard(running: Running, server: SoundServer, recording: Recording): Promise<RunResult> {
  const { stdin } = running.child;
  assert.ok(stdin);
  stdin.on('error', () => {});
  let isHeard = false;
  const hearing = server.untilStreams(1).then(() => recording.untilTone(TONE, SECOND_OF_WINDOWS));
  const ended = running.result.then(({ stderr }) => assert.ok(isHeard, `it ended before it was heard: ${stderr}`));
  const heard = Promise.race([hearing, ended]).finally(() => {
    isHeard = true;
    stdin.end();
  });
  const second = tone(TONE, 1);
  const feed = async () => {
    while (!isHeard) await new Promise<void>((resolve) => void stdin.write(second, () => resolve()));
  };
  await Promise.all([heard, Promise.race([heard, feed()])]);
  return running.result;
}

/** Whoever ends a test from outside leaves no server. Behind what changes the user, which would undo it. */
const ENDS_WITH_TEST = ['setpriv', '--pdeathsig', 'KILL', '--'];

export class SoundServer {
  /** XDG_RUNTIME_DIR. */
  readonly directory: string;
  readonly #through: readonly string[];
  readonly #daemon: ChildProcess;
  readonly #recorders = new Set<ChildProcess>();
  readonly #own: string | undefined;

  private constructor(directory: string, through: readonly string[], daemon: ChildProcess, own?: string) {
    this.directory = directory;
    this.#through = through;
    this.#daemon = daemon;
    this.#own = own;
  }

  /**
   * @param user whose server it is; default: root
   * @param instead XDG_RUNTIME_DIR of another one that has ended
   */
  static async start(user?: OrdinaryUser, instead?: string): Promise<SoundServer> {
    const { through = [] } = user?.options ?? {};
    const own = mkdtempSync(join(tmpdir(), 'vs-sound-'));
    const home = join(own, 'home');
    mkdirSync(home);
    for (const directory of [own, home]) {
      chmodSync(directory, 0o700);
      if (user !== undefined) chownSync(directory, user.uid, user.gid);
    }
    // libvirt's daemon of the user has the same directory.
    const directory = instead ?? (user === undefined ? own : join(user.home, 'run'));
    const words = ['-n', '--exit-idle-time=-1', '--disable-shm=yes', '--daemonize=no'];
    const modules = ['module-null-sink sink_name=out', 'module-native-protocol-unix'].flatMap((name) => ['-L', name]);
    const [program = '', ...args] = [...through, ...ENDS_WITH_TEST, 'pulseaudio', ...words, ...modules];
    const env = { ...process.env, HOME: home, XDG_RUNTIME_DIR: directory };
    const daemon = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env, cwd: '/' });
    let said = '';
    daemon.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const server = new SoundServer(directory, through, daemon, own);
    for (const deadline = Date.now() + PATIENCE_MS; ; await sleep(50)) {
      if (await server.ask('info').catch(() => undefined)) return server;
      assert.equal(daemon.exitCode, null, said);
      assert.ok(Date.now() < deadline, said);
    }
  }

  /** What `pactl` says. */
  async ask(...words: readonly string[]): Promise<string> {
    const [program = '', ...args] = [...this.#through, 'pactl', ...words];
    const { stdout } = await promisify(execFile)(program, args, { env: this.#environment, cwd: '/' });
    return stdout;
  }

  /** How many streams are played to it. */
  async streams(): Promise<number> {
    return (await this.ask('list', 'short', 'sink-inputs')).split('\n').length - 1;
  }

  /** Waits until there are so many. */
  async untilStreams(count: number): Promise<void> {
    for (const deadline = Date.now() + PATIENCE_MS; (await this.streams()) !== count; await sleep(200))
      assert.ok(Date.now() < deadline, await this.ask('list', 'sink-inputs'));
  }

  /** Makes a tone the default source: what programs record. */
  async plantSource(hertz: number): Promise<void> {
    await this.ask('load-module', 'module-sine-source', 'source_name=planted', `frequency=${hertz}`);
    await this.ask('set-default-source', 'planted');
  }

  /** Records what is played, from now on. */
  async record(): Promise<Recording> {
    const options = ['--device=out.monitor', '--raw', '--format=s16le', `--rate=${RATE}`, '--channels=2'];
    const [program = '', ...args] = [...this.#through, ...ENDS_WITH_TEST, 'parec', '--latency-msec=50', ...options];
    const recorder = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], env: this.#environment, cwd: '/' });
    this.#recorders.add(recorder);
    const recording = new Recording();
    recorder.stdout?.on('data', (chunk: Buffer) => recording.add(chunk));
    await recording.untilLonger(1);
    return recording;
  }

  /** Ends the daemon by a signal. */
  async endDaemon(): Promise<void> {
    for (const child of [...this.#recorders, this.#daemon]) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
  }

  /** Ends it, and removes what it has made. */
  async end(): Promise<void> {
    await this.endDaemon();
    if (this.#own !== undefined) rmSync(this.#own, { recursive: true });
    rmSync(join(this.directory, 'pulse'), { recursive: true, force: true });
  }

  get #environment(): NodeJS.ProcessEnv {
    return { ...process.env, HOME: this.#own, XDG_RUNTIME_DIR: this.directory };
  }
}

/** What a server has played. */
export class Recording {
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /** Waits until it is so much longer, in windows of 20 ms. */
  async untilLonger(windows: number): Promise<void> {
    const wanted = this.#bytes + windows * WINDOW * FRAME_BYTES;
    for (const deadline = Date.now() + PATIENCE_MS; this.#bytes < wanted; await sleep(50))
      assert.ok(Date.now() < deadline, 'the server gives nothing to record');
  }

  /** Waits until it has that tone, and nothing else, for so many windows. */
  async untilTone(hertz: number, windows: number): Promise<void> {
    for (const deadline = Date.now() + PATIENCE_MS; this.tone(hertz) < windows; await sleep(500))
      assert.ok(Date.now() < deadline, `${this.tone(hertz)} windows of ${hertz} Hz, the loudest is ${this.loudest}`);
  }

  /** In how many windows it has that tone and nothing else. */
  tone(hertz: number): number {
    return this.#windows().filter((samples) => partOf(samples, hertz) > 0.9).length;
  }

  /** The loudest sample, from 0 to 32768. */
  get loudest(): number {
    let loudest = 0;
    for (const samples of this.#windows()) for (const sample of samples) loudest = Math.max(loudest, Math.abs(sample));
    return loudest;
  }

  /** Samples of the left channel. */
  #windows(): Int16Array[] {
    const all = Buffer.concat(this.#chunks);
    return Array.from({ length: Math.floor(all.length / (WINDOW * FRAME_BYTES)) }, (_, window) =>
      Int16Array.from({ length: WINDOW }, (_each, at) => all.readInt16LE((window * WINDOW + at) * FRAME_BYTES)),
    );
  }
}

/** Which part of the power is that frequency's, from 0 to 1: https://en.wikipedia.org/wiki/Goertzel_algorithm */
function partOf(samples: Int16Array, hertz: number): number {
  const factor = 2 * Math.cos((2 * Math.PI * hertz) / RATE);
  let [last, before, power] = [0, 0, 0];
  for (const sample of samples) {
    [last, before] = [sample + factor * last - before, last];
    power += sample * sample;
  }
  if (power < samples.length) return 0;
  const found = last * last + before * before - factor * last * before;
  return (2 * found) / (samples.length * power);
}
