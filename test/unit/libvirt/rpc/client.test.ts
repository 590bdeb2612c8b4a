/** A connection to a daemon that does not do as libvirt's does: every call ends, with the reason. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { DomainStops } from '../../../../src/libvirt/domain-stops.js';
import { CallError, DaemonClient, VIR_ERR_NO_DOMAIN } from '../../../../src/libvirt/rpc/client.js';
import {
  callBytes,
  EVENT,
  type Message,
  MessageReader,
  PROCEDURE,
  REPLY,
  writeDomain,
} from '../../../../src/libvirt/rpc/messages.js';
import { XdrWriter } from '../../../../src/libvirt/rpc/xdr.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const URI = 'test:///default';
const ERROR = 1;
const NOBODY = new AbortController().signal;

/** A message of the daemon's. */
function message(procedure: number, type: number, serial: number, payload = new XdrWriter(), status = 0): Buffer {
  const bytes = callBytes(procedure, serial, payload.bytes());
  bytes.writeInt32BE(type, 16);
  bytes.writeInt32BE(status, 24);
  return bytes;
}

const failure = (code: number, text: string) => new XdrWriter().int(code).int(0).int(1).string(text);

/** What a daemon answers to a procedure: bytes, or something that it does to the connection. */
type Answer = (call: Message, socket: Socket) => Buffer | undefined;

/** A daemon that answers `answers`, and anything else with nothing. Returns its socket's path, and what it was asked. */
async function daemon(t: TestContext, answers: Readonly<Record<number, Answer>>) {
  const path = join(scratchDirectory(t), 'sock');
  const asked: number[] = [];
  const server = createServer((socket) => {
    const reader = new MessageReader();
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      for (const call of reader.push(chunk)) {
        asked.push(call.procedure);
        const answer = answers[call.procedure];
        const bytes = answer === undefined ? message(call.procedure, REPLY, call.serial) : answer(call, socket);
        if (bytes) socket.write(bytes);
      }
    });
  }).listen(path);
  t.after(() => server.close());
  await once(server, 'listening');
  return { path, asked };
}

const noAuth: Answer = ({ procedure, serial }) => message(procedure, REPLY, serial, new XdrWriter().int(1).int(0));
const open = (answers: Readonly<Record<number, Answer>>) => ({ [PROCEDURE.authList]: noAuth, ...answers });

async function client(t: TestContext, answers: Readonly<Record<number, Answer>>): Promise<DaemonClient> {
  const { path } = await daemon(t, open(answers));
  const opened = await DaemonClient.open(path, URI, NOBODY);
  t.after(() => opened.close());
  return opened;
}

/** A CallError with these. */
const fails = (code: number, text: RegExp) => (error: unknown) =>
  error instanceof CallError && error.code === code && text.test(error.message);

describe('opening a connection', () => {
  it('asks polkit where the daemon wants that', async (t) => {
    const wants: Answer = ({ procedure, serial }) => message(procedure, REPLY, serial, new XdrWriter().int(1).int(2));
    const { path, asked } = await daemon(t, { [PROCEDURE.authList]: wants });
    (await DaemonClient.open(path, URI, NOBODY)).close();
    assert.deepEqual(asked.slice(0, 4), [
      PROCEDURE.authList,
      PROCEDURE.authPolkit,
      PROCEDURE.connectOpen,
      PROCEDURE.registerEvent,
    ]);
  });

  it('fails where the daemon wants a password', async (t) => {
    const wants: Answer = ({ procedure, serial }) => message(procedure, REPLY, serial, new XdrWriter().int(1).int(1));
    const { path } = await daemon(t, { [PROCEDURE.authList]: wants });
    await assert.rejects(DaemonClient.open(path, URI, NOBODY), fails(0, /wants a password/));
  });

  it("fails with the daemon's words", async (t) => {
    const refuses: Answer = ({ procedure, serial }) =>
      message(procedure, REPLY, serial, failure(5, 'no connection driver available'), ERROR);
    const { path } = await daemon(t, open({ [PROCEDURE.connectOpen]: refuses }));
    await assert.rejects(DaemonClient.open(path, URI, NOBODY), fails(5, /^no connection driver available$/));
  });

  it('ends when it is cancelled, and hangs up', async (t) => {
    const cancel = new AbortController();
    let closed: Promise<unknown> | undefined;
    const silent: Answer = (_call, socket) => {
      closed = once(socket, 'close');
      setImmediate(() => cancel.abort());
      return undefined;
    };
    const { path } = await daemon(t, open({ [PROCEDURE.connectOpen]: silent }));
    await assert.rejects(DaemonClient.open(path, URI, cancel.signal), fails(39, /did not answer in time/));
    await closed;
  });

  it('fails with a system error where nobody listens', async (t) => {
    await assert.rejects(DaemonClient.open(join(scratchDirectory(t), 'none'), URI, NOBODY), { code: 'ENOENT' });
  });
});

describe('a call', () => {
  it('fails with the code of the error', async (t) => {
    const gone: Answer = ({ procedure, serial }) =>
      message(procedure, REPLY, serial, failure(VIR_ERR_NO_DOMAIN, 'no domain with matching uuid'), ERROR);
    const opened = await client(t, { [PROCEDURE.domainDestroy]: gone });
    const domain = { name: 'a', uuid: Buffer.alloc(16), id: 1 };
    await assert.rejects(opened.destroyDomain(domain), fails(VIR_ERR_NO_DOMAIN, /^no domain with matching uuid$/));
  });

  for (const [what, answer, text] of [
    ['closes the connection', (_call: Message, socket: Socket) => void socket.destroy(), /closed the connection/],
    ['sends what is no message', () => Buffer.from('\xff\xff\xff\xffgarbage', 'latin1'), /not understood/],
  ] as const)
    it(`and all later ones fail when the daemon ${what}`, async (t) => {
      const opened = await client(t, {
        [PROCEDURE.domainCreateXml]: (call, socket) => answer(call, socket) as undefined,
      });
      await assert.rejects(opened.createDomain('<domain/>', true), fails(39, text));
      await assert.rejects(opened.capabilities(), fails(39, text));
    });

  for (const [what, status] of [
    ['the answer', 0],
    ['the error', ERROR],
  ] as const)
    it(`fails where ${what} ends too soon, and later ones do not`, async (t) => {
      const short: Answer = ({ procedure, serial }) =>
        message(procedure, REPLY, serial, new XdrWriter().int(1), status);
      const text: Answer = ({ procedure, serial }) =>
        message(procedure, REPLY, serial, new XdrWriter().string('<caps/>'));
      const opened = await client(t, { [PROCEDURE.domainCreateXml]: short, [PROCEDURE.capabilities]: text });
      await assert.rejects(opened.createDomain('<domain/>', true), fails(39, /not understood/));
      assert.equal(await opened.capabilities(), '<caps/>');
    });

  it('is answered while another one waits', async (t) => {
    const text: Answer = ({ procedure, serial }) =>
      message(procedure, REPLY, serial, new XdrWriter().string('<caps/>'));
    const opened = await client(t, { [PROCEDURE.domainCreateXml]: () => undefined, [PROCEDURE.capabilities]: text });
    const waits = opened.createDomain('<domain/>', true);
    assert.equal(await opened.capabilities(), '<caps/>');
    opened.close();
    await assert.rejects(waits, CallError);
  });
});

it('a domain that stops before libvirt has said that it runs has stopped', async (t) => {
  const domain = { name: 'a', uuid: Buffer.alloc(16, 7), id: 3 };
  const stopped = (of: typeof domain, detail: number) =>
    message(PROCEDURE.lifecycleEvent, EVENT, 0, writeDomain(new XdrWriter().int(0), of).int(5).int(detail));
  const created: Answer = ({ procedure, serial }) =>
    Buffer.concat([
      stopped({ ...domain, uuid: Buffer.alloc(16, 8) }, 1),
      stopped(domain, 2),
      message(procedure, REPLY, serial, writeDomain(new XdrWriter(), domain)),
      stopped(domain, 5),
    ]);
  const opened = await client(t, { [PROCEDURE.domainCreateXml]: created });
  const stops = new DomainStops(opened);
  assert.equal(await stops.of(await opened.createDomain('<domain/>', true)), 2);
});
