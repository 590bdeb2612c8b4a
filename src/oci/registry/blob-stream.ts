/** The bytes of a blob, over as many answers as it takes: one that breaks off is gone on with where it was. */

import { imageError, sizeWrong } from '../../oci-names/errors.js';
import { SandboxError } from '../../util/errors.js';
import { pause, throwIfAborted } from '../cancel.js';
import { answerError } from './answers.js';
import { connectionError, type HttpAnswer } from './http.js';
import type { Patience } from './options.js';
import { Pace } from './pace.js';
import { pauseBefore, Retryable } from './retries.js';

export interface BlobRequest {
  /** Names the blob, for errors. */
  readonly what: string;
  /** Bytes. */
  readonly size: number;
  /** The first byte that is wanted. */
  readonly from: number;
  readonly patience: Patience;
  readonly signal: AbortSignal | undefined;
  /** Sends a request for the bytes from an offset on. */
  readonly open: (from: number) => Promise<HttpAnswer>;
}

/**
 * Yields the bytes from an offset on, and at most one more than the blob should have.
 * @throws {SandboxError} `blob-size-wrong`: the registry says another size; `blob-truncated`: answers stop again and
 *   again, or come too slowly, and bring next to nothing; what `open` throws
 */
export async function* blobBytes(request: BlobRequest): AsyncGenerator<Uint8Array> {
  const { size, signal, patience } = request;
  let at = request.from;
  let failures = 0;
  while (at < size) {
    const answer = await request.open(at);
    let skip = bytesToSkip(answer, at, request);
    const start = at;
    const pace = new Pace(patience);
    try {
      for await (const piece of answer.body as AsyncIterable<Buffer>) {
        const isFast = pace.receive(piece.length);
        const skipped = Math.min(skip, piece.length);
        skip -= skipped;
        const wanted = piece.subarray(skipped, skipped + size + 1 - at);
        at += wanted.length;
        if (wanted.length > 0) yield wanted;
        if (at > size) return;
        if (!isFast) break;
        pace.wait();
      }
    } catch (error) {
      throwIfAborted(signal);
      const broken = connectionError(error, answer.url.host);
      if (broken instanceof SandboxError) throw broken;
    } finally {
      answer.body.destroy();
    }
    if (at >= size) return;
    // One byte of each answer is no progress.
    failures = at - start < patience.least ? failures + 1 : 1;
    const time = pauseBefore(new Retryable(truncated(request, at)), failures, patience);
    if (time === undefined) throw truncated(request, at);
    await pause(time, signal);
  }
}

/**
 * How many bytes of an answer come before the first that is wanted: a server may ignore a range, and send all.
 * @throws {SandboxError} `blob-size-wrong`, `registry-answer`
 */
function bytesToSkip(answer: HttpAnswer, at: number, { size, what }: BlobRequest): number {
  const length = answer.header('content-length');
  const whole = (total: number) => {
    if (total === size) return;
    answer.body.destroy();
    throw sizeWrong(what, size, `${answer.url.host} says that it has ${total}`);
  };
  if (answer.status === 200) {
    if (length !== undefined) whole(Number(length));
    return at;
  }
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(answer.header('content-range') ?? '') ?? [];
  if (start === undefined || Number(start) > at) {
    answer.body.destroy();
    throw answerError(answer.url.host, `other bytes of ${what} than were asked for`);
  }
  if (total !== undefined && total !== '*') whole(Number(total));
  return at - Number(start);
}

function truncated({ what, size }: BlobRequest, at: number): SandboxError {
  return imageError(
    'blob-truncated',
    `${what} stops after ${at} of ${size} bytes`,
    'try again: the download goes on where it stopped',
  );
}
