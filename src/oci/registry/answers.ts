/** Reads answers that are no blobs, and says what a registry's refusal means. */

import { imageError, quoted } from '../../oci-names/errors.js';
import { isSystemError, SandboxError } from '../../util/errors.js';
import { isRecord, parseJson } from '../../util/records.js';
import { throwIfAborted } from '../cancel.js';
import { MOST_DOCUMENT_BYTES } from '../limits.js';
import { bareMediaType } from '../media-types.js';
import { connectionError, type HttpAnswer } from './http.js';
import { parseRetryAfter, Retryable } from './retries.js';

/** Milliseconds that a body may take, however fast its pieces come. */
const MOST_BODY_TIME = 5 * 60_000;

/**
 * The whole body of an answer.
 * @param most bytes
 * @param mostTime milliseconds
 * @throws {SandboxError} `registry-answer`: it is too large; `registry-unreachable`: it takes too long; `aborted`
 * @throws {Retryable} the connection broke
 */
export async function readBody(
  { body, url, header }: HttpAnswer,
  signal: AbortSignal | undefined,
  most = MOST_DOCUMENT_BYTES,
  mostTime = MOST_BODY_TIME,
): Promise<Buffer> {
  const tooLarge = () => {
    body.destroy();
    return answerError(url.host, `an answer of more than ${most} bytes`);
  };
  if (Number(header('content-length')) > most) throw tooLarge();
  const pieces: Buffer[] = [];
  let length = 0;
  const start = performance.now();
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      length += piece.length;
      if (length > most) throw tooLarge();
      // A byte now and then is no silence.
      if (performance.now() - start > mostTime) throw tooSlow(url.host, mostTime);
      pieces.push(piece);
    }
  } catch (error) {
    throwIfAborted(signal);
    throw error instanceof SandboxError ? error : connectionError(error, url.host);
  }
  return Buffer.concat(pieces);
}

function tooSlow(host: string, time: number): SandboxError {
  return imageError(
    'registry-unreachable',
    `${host} has sent no whole answer within ${Math.ceil(time / 1000)} seconds`,
    'try again later, or use another registry',
  );
}

/** @param what the registry sent, behind `sent` */
export function answerError(host: string, what: string): SandboxError {
  return imageError(
    'registry-answer',
    `${host} sent ${what}`,
    'see that it is a registry, and that no proxy or login page answers in its place',
  );
}

/** Most characters of an answer that are read for an error. */
const MOST_REASON_BYTES = 64 << 10;

/** What a request was for; `login`: nothing but user and password was tried. */
export type Attempted = 'read' | 'write' | 'login';

/**
 * The error of an answer that refuses. Reads the body.
 * @param what was asked for: `docker.io/library/debian:13`
 */
export async function refusal(
  answer: HttpAnswer,
  what: string,
  signal: AbortSignal | undefined,
  attempted: Attempted = 'read',
): Promise<Error> {
  const { status, url } = answer;
  const reason = await readReason(answer, signal);
  const said = `${url.host} answers ${status}${reason === undefined ? '' : ` (${reason})`}`;
  if (attempted === 'login' && (status === 401 || status === 403))
    return imageError(
      'registry-denied',
      `user and password are refused: ${said}`,
      'see that both are right; some registries want a token in place of the password',
    );
  if (status === 401 || status === 403)
    return imageError(
      'registry-denied',
      `${what} may not be ${attempted === 'write' ? 'written' : 'read'}: ${said}`,
      `see that the name is right, and log in with a user who may ${attempted === 'write' ? 'write' : 'read'} it`,
    );
  if (status === 404 && attempted !== 'write')
    return imageError('image-not-found', `${what} is not there: ${said}`, 'see that name and tag are right');
  const error = imageError(
    status === 429 ? 'registry-busy' : 'registry-error',
    `${what} cannot be ${attempted === 'write' ? 'written' : 'had'}: ${said}`,
    status === 429 ? 'wait, or log in: registries let known users ask more often' : 'try again later',
  );
  const mayPass = status === 429 || status === 408 || status >= 500;
  return mayPass ? new Retryable(error, parseRetryAfter(answer.header('retry-after'))) : error;
}

/** What the registry says: `{"errors":[{code,message}]}`, or that it is no registry at all. */
async function readReason(answer: HttpAnswer, signal: AbortSignal | undefined): Promise<string | undefined> {
  const type = bareMediaType(answer.header('content-type') ?? '');
  let text: string;
  try {
    text = (await readBody(answer, signal, MOST_REASON_BYTES)).toString('utf8');
  } catch (error) {
    throwIfAborted(signal);
    if (error instanceof SandboxError || error instanceof Retryable || isSystemError(error)) return undefined;
    throw error;
  }
  const value = parseJson(text);
  const errors = isRecord(value) && Array.isArray(value['errors']) ? (value['errors'] as unknown[]) : [];
  const [first] = errors.filter(isRecord);
  if (first === undefined) return type === 'text/html' ? 'a web page' : undefined;
  const words = [first['code'], first['message']].filter((word) => typeof word === 'string' && word !== '');
  return words.length === 0 ? undefined : quoted(words.join(': '));
}
