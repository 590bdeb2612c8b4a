/**
 * The messages of libvirt's protocol: a header, then what the procedure has. The numbers are part of libvirt's wire
 * protocol, which newer versions only add to. https://libvirt.org/kbase/internals/rpc.html
 */
import { XdrReader, XdrWriter } from './xdr.js';

/** The program that the drivers' functions belong to, and its version. */
export const REMOTE_PROGRAM = 0x20008086;
const REMOTE_VERSION = 1;

/** What a message is for: virNetMessageType. */
export const CALL = 0;
export const REPLY = 1;
export const EVENT = 2;

/** virNetMessageStatus. */
export const OK = 0;

/** Procedures of the program. */
export const PROCEDURE = {
  connectOpen: 1,
  connectClose: 2,
  capabilities: 7,
  domainCreateXml: 10,
  domainDestroy: 12,
  domainXml: 14,
  domainResume: 28,
  domainSuspend: 34,
  authList: 66,
  authPolkit: 70,
  libraryVersion: 157,
  registerEvent: 316,
  lifecycleEvent: 318,
} as const;

/** Ways to authenticate: remote_auth_type. */
export const AUTH_NONE = 0;
export const AUTH_POLKIT = 2;

const LENGTH_BYTES = 4;
const HEADER_BYTES = 24;
/** The longest message, with its length in front: VIR_NET_MESSAGE_MAX. In bytes. */
const LONGEST = (32 << 20) + LENGTH_BYTES;

/** One message. */
export interface Message {
  readonly program: number;
  readonly procedure: number;
  readonly type: number;
  /** A reply has that of its call. */
  readonly serial: number;
  readonly status: number;
  readonly payload: Buffer;
}

/** How the protocol refers to a domain. */
export interface DomainReference {
  readonly name: string;
  readonly uuid: Buffer;
  readonly id: number;
}

/** A call of a procedure, ready to be sent. */
export function callBytes(procedure: number, serial: number, payload: Buffer): Buffer {
  const header = new XdrWriter().int(LENGTH_BYTES + HEADER_BYTES + payload.length);
  for (const field of [REMOTE_PROGRAM, REMOTE_VERSION, procedure, CALL, serial, OK]) header.int(field);
  return Buffer.concat([header.bytes(), payload]);
}

/** Cuts what a daemon sends into messages. */
export class MessageReader {
  #bytes: Buffer = Buffer.alloc(0);

  /**
   * @returns the messages that are complete now
   * @throws {RangeError} for bytes that are no message
   */
  push(chunk: Buffer): Message[] {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    const messages: Message[] = [];
    for (;;) {
      if (this.#bytes.length < LENGTH_BYTES) return messages;
      const length = this.#bytes.readUInt32BE(0);
      if (length < LENGTH_BYTES + HEADER_BYTES || length > LONGEST)
        throw new RangeError(`a message of ${length} bytes`);
      if (this.#bytes.length < length) return messages;
      messages.push(parse(this.#bytes.subarray(LENGTH_BYTES, length)));
      this.#bytes = this.#bytes.subarray(length);
    }
  }
}

function parse(bytes: Buffer): Message {
  const reader = new XdrReader(bytes);
  const program = reader.unsigned();
  reader.unsigned(); // its version
  return {
    program,
    procedure: reader.int(),
    type: reader.int(),
    serial: reader.unsigned(),
    status: reader.int(),
    payload: bytes.subarray(HEADER_BYTES),
  };
}

/** remote_nonnull_domain. */
export function writeDomain(writer: XdrWriter, { name, uuid, id }: DomainReference): XdrWriter {
  return writer.string(name).fixed(uuid).int(id);
}

export function readDomain(reader: XdrReader): DomainReference {
  return { name: reader.string(), uuid: reader.fixed(16), id: reader.int() };
}
