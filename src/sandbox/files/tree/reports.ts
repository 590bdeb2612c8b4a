/** What `unpack` says of files whose mode or time the file system inside does not keep. A guest may say anything. */
import { FieldReader, ProtocolError } from '../../../protocol/fields.js';
import { SHOWN_CHARACTERS } from '../../../util/errors.js';
import { textOf } from '../../../util/raw-text.js';
import { RecordParser } from '../record-parser.js';
import { Lost } from './format.js';
import type { Tally } from './tally.js';

/**
 * @param ended why the program ended, if it failed, counts more than what it wrote until then
 * @throws {ProtocolError} for what is no report
 */
export async function takeReports(stdout: AsyncIterable<Buffer>, ended: Promise<void>, tally: Tally): Promise<void> {
  const parser = new RecordParser();
  for await (const chunk of stdout) {
    for (const record of parser.push(chunk)) take(record, tally);
  }
  await ended;
  parser.end();
}

function take(record: Buffer, tally: Tally): void {
  const reader = new FieldReader(record);
  const what = reader.u32();
  const path = reader.bytes();
  reader.end();
  if (what !== Lost.MODE && what !== Lost.TIME) throw new ProtocolError(`a report ${what}`);
  tally.lost(() => textOf(path).slice(-SHOWN_CHARACTERS), what === Lost.MODE ? 'mode' : 'time');
}
