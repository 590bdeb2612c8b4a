/**
 * One connection to a holder: docs/protocol.md, "A holder that serves others". To the host at its other end this is the
 * guest. What it sends may be anything.
 */
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import type { Channel } from '../protocol/channel.js';
import { FieldWriter, ProtocolError } from '../protocol/fields.js';
import { encodePacket, type OutputProc, type PacketHeader, PacketParser } from '../protocol/packets.js';
import type { RawReply } from '../protocol/relay.js';
import { CallFlag, MessageType, Proc, SpawnFlag, Status } from '../protocol/wire.js';
import { messageOf } from '../util/errors.js';
import { Greeting, readyPayload } from './greeting.js';
import { HostFlow } from './host-flow.js';
import { readPayload } from './read-payload.js';
import { parseRequest } from './requests.js';
import { type ProcessHost, type ProcessWatch, ServedProcess } from './served-process.js';
import { type ForHolder, Refusal, type ServedHostOptions } from './serving.js';

const { errno } = constants;

/** How long a host may take to greet, in milliseconds. */
const GREETING_MS = 10_000;

/** Requests that wait, such as those for the end. */
const MOST_REQUESTS = 16;

/** What userInside() reads. */
const READABLE: readonly string[] = ['/etc/passwd', '/etc/group'];

/** From the end of a SPAWN: its flags, rows, columns, and time limit. */
const FLAGS_BYTES = 16;

const ENDED = 'the sandbox has ended';

export class ServedHost {
  /** It starts the application of the sandbox, or did, and gets its output and its end. */
  hadApplication = false;
  readonly #socket: Socket;
  readonly #options: ServedHostOptions;
  /** Those that run. */
  readonly #processes = new Map<number, ServedProcess>();
  /** Those whose SPAWN is not answered. */
  readonly #starting = new Set<ServedProcess>();
  readonly #parser: PacketParser;
  readonly #flow: HostFlow;
  readonly #greeting = new Greeting();
  readonly #timer: NodeJS.Timeout;
  readonly #requests = new Set<Promise<void>>();
  readonly #lease = new AbortController();
  /** Of the process that this host starts next. */
  #watch: ProcessWatch | undefined;
  /** It was to be the application, and the sandbox has one: the host need not wait for that answer. */
  #isNextRefused = false;
  #keep = false;
  #isLeft = false;

  constructor(socket: Socket, options: ServedHostOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#flow = new HostFlow(socket, options.channel, (header, payload) => {
      this.#orLeave(() => this.#packet(header, payload));
    });
    this.#parser = new PacketParser({
      stream: () => this.#refuseStream(),
      streamEnd: () => this.#refuseStream(),
      packet: (header, payload) => this.#flow.receive(header, payload),
    });
    this.#timer = setTimeout(() => this.destroy(), GREETING_MS);
    socket.on('error', () => {});
    socket.on('close', () => this.destroy());
    socket.on('end', () => this.destroy());
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
  }

  /** Answers the requests that wait, and ends the connection when the answers are read. */
  async end(): Promise<void> {
    this.#leaveProcesses();
    await Promise.all(this.#requests);
    this.#socket.end();
  }

  #send(proc: number, type: number, process: number, payload: Uint8Array): void {
    this.#write(encodePacket(proc, type, 0, process, payload));
  }

  #write(packet: Buffer): void {
    if (this.#isLeft || this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#socket.write(packet);
    // Its processes are left at `close`: one of them may be what is being told of.
    if (this.#flow.isStuck) this.#socket.destroy();
    this.#flow.regulate();
  }

  #receive(bytes: Buffer): void {
    this.#orLeave(() => {
      const rest = this.#greeting.isDone ? bytes : this.#greeted(bytes);
      if (rest.length > 0) this.#parser.push(rest);
      this.#flow.regulate();
    });
  }

  #orLeave(take: () => void): void {
    try {
      take();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.destroy();
    }
  }

  /** @returns what comes behind the handshake */
  #greeted(bytes: Buffer): Buffer {
    const rest = this.#greeting.take(bytes, (answer) => this.#socket.write(answer));
    if (this.#greeting.isDone) {
      clearTimeout(this.#timer);
      this.#send(Proc.READY, MessageType.MESSAGE, 0, readyPayload(this.#options.kernelRelease));
    }
    return rest;
  }

  #refuseStream(): never {
    throw new ProtocolError('the host sent output');
  }

  #packet(header: PacketHeader, payload: Buffer): void {
    const { proc, type, serial } = header;
    if (type === MessageType.CALL) {
      this.#call(header, payload);
    } else if (type === MessageType.DATA && proc === Proc.STDIN) {
      this.#processes.get(serial)?.stdin(payload);
    } else if (type === MessageType.REPLY && (proc === Proc.STDOUT || proc === Proc.STDERR)) {
      this.#taken(proc, serial, payload);
    } else if (type === MessageType.MESSAGE && proc === Proc.QUIT) {
      this.destroy();
    } else {
      throw new ProtocolError(`the host sent a packet of proc ${proc}, type ${type}`);
    }
  }

  /** EXIT of the process may be on its way, so one that is not there is no fault. */
  #taken(proc: OutputProc, process: number, payload: Buffer): void {
    const bytes = readPayload(payload, (r) => r.u32());
    this.#processes.get(process)?.taken(proc, bytes);
  }

  #call(header: PacketHeader, payload: Buffer): void {
    const { channel } = this.#options;
    if (header.proc === Proc.CONTROL) this.#control(header, payload);
    else if (channel && header.proc === Proc.SPAWN) this.#spawn(channel, header, payload);
    else if (header.proc === Proc.SIGNAL || header.proc === Proc.RESIZE) this.#toProcess(header, payload);
    else if (channel && header.proc === Proc.READ_FILE) this.#readFile(header, payload);
    else this.#refuse(header, errno.ENOSYS, `operation ${header.proc} is not for those who share a sandbox`);
  }

  #spawn(channel: Channel, header: PacketHeader, payload: Buffer): void {
    const flags = payload.length < FLAGS_BYTES ? 0 : payload.readUInt32BE(payload.length - FLAGS_BYTES);
    if ((flags & SpawnFlag.APPLICATION) !== 0) {
      this.#refuse(header, errno.EINVAL, 'spawn: the sandbox has its application');
      return;
    }
    if (this.#isNextRefused) {
      this.#isNextRefused = false;
      this.#refuse(header, errno.ECANCELED, 'spawn: it cannot be the application');
      return;
    }
    const settle = this.#flow.begin(payload.length);
    const host: ProcessHost = {
      send: (...packet) => this.#send(...packet),
      started: (process) => {
        this.#starting.delete(process);
        this.#processes.set(process.number, process);
      },
      ended: (process) => {
        this.#processes.delete(process.number);
        // The connection to the guest is gone before it has answered.
        if (!this.#starting.delete(process)) return;
        settle();
        // By these words the other side knows that there is nothing to be started in any more.
        this.#refuse(header, errno.ESRCH, `spawn(): ${ENDED}`);
      },
      answered: (reply) => {
        settle();
        if (reply.status !== Status.OK) {
          this.#starting.delete(served);
          // The host may try again, as in another working directory.
          this.#watch = watch;
        }
        this.#reply(header, reply);
      },
    };
    const watch = this.#watch;
    this.#watch = undefined;
    const served = new ServedProcess({ channel, host, keep: this.#keep, watch });
    this.#starting.add(served);
    channel.spawnFor(served, payload);
  }

  #toProcess(header: PacketHeader, payload: Buffer): void {
    const process = payload.length < 4 ? 0 : payload.readUInt32BE(0);
    if (this.#processes.has(process)) this.#forward(header, payload);
    else this.#refuse(header, errno.ESRCH, `process ${process}: No such process`);
  }

  #readFile(header: PacketHeader, payload: Buffer): void {
    const path = readPayload(payload, (r) => {
      const given = r.str();
      r.u32();
      return given;
    });
    if (READABLE.includes(path)) this.#forward(header, payload);
    else this.#refuse(header, errno.EACCES, `open(${path}): Permission denied`);
  }

  #forward(header: PacketHeader, payload: Buffer): void {
    const settle = this.#flow.begin(payload.length);
    this.#options.channel
      ?.forward(header.proc, CallFlag.TOLERATE, payload)
      .then(
        (reply) => this.#reply(header, reply),
        // The connection to the guest is gone. This one lasts until it is known how the sandbox has ended.
        () => this.#refuse(header, errno.ESRCH, `operation ${header.proc}: ${ENDED}`),
      )
      .finally(settle);
  }

  #control(header: PacketHeader, payload: Buffer): void {
    const request = parseRequest(readPayload(payload, (r) => r.str()));
    if (request === undefined) {
      this.#refuse(header, errno.EINVAL, 'control: there is no such request');
    } else if (request.ask === 'keep') {
      this.#keep = true;
      this.#answer(header, {});
    } else if (request.ask === 'application') {
      this.#application(header);
    } else if (this.#requests.size >= MOST_REQUESTS) {
      this.#refuse(header, errno.EAGAIN, 'control: too many requests wait');
    } else {
      const answering = this.#answerWhenDone(header, request).finally(() => this.#requests.delete(answering));
      this.#requests.add(answering);
    }
  }

  #application(header: PacketHeader): void {
    const { application } = this.#options;
    try {
      if (application === undefined) throw new Refusal(errno.EBUSY, 'control: the sandbox has its application');
      this.#watch = application();
      this.hadApplication = true;
      this.#answer(header, {});
    } catch (error) {
      this.#isNextRefused = true;
      this.#fail(header, error);
    }
  }

  async #answerWhenDone(header: PacketHeader, request: ForHolder): Promise<void> {
    try {
      this.#answer(header, await this.#options.answer(request, this.#lease.signal));
    } catch (error) {
      this.#fail(header, error);
    }
  }

  #fail(header: PacketHeader, error: unknown): void {
    const [code, text] = error instanceof Refusal ? [error.errno, error.message] : [errno.EIO, messageOf(error)];
    this.#refuse(header, code, text);
  }

  #answer(header: PacketHeader, value: unknown): void {
    const payload = new FieldWriter().u32(0).str(JSON.stringify(value)).finish();
    this.#reply(header, { status: Status.OK, payload });
  }

  #refuse(header: PacketHeader, code: number, text: string): void {
    const payload = new FieldWriter().u32(0).u32(code).str(text).finish();
    this.#reply(header, { status: Status.ERROR, payload });
  }

  #reply({ proc, serial }: PacketHeader, { status, payload }: RawReply): void {
    this.#write(encodePacket(proc, MessageType.REPLY, status, serial, payload));
  }

  destroy(): void {
    clearTimeout(this.#timer);
    this.#leaveProcesses();
    this.#isLeft = true;
    if (!this.#keep) this.#lease.abort();
    this.#socket.destroy();
  }

  #leaveProcesses(): void {
    const processes = [...this.#starting, ...this.#processes.values()];
    this.#starting.clear();
    this.#processes.clear();
    for (const process of processes) process.leave();
  }
}
