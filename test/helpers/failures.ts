/** What a call fails with, where only a MailsealError will do: any other error is thrown on. */
import { MailsealError } from '../../src/errors.js';

/** The error of a call or of its promise; it has to fail. */
export async function failure(run: () => unknown): Promise<MailsealError> {
  try {
    await run();
  } catch (error) {
    if (error instanceof MailsealError) return error;
    throw error;
  }
  throw new Error('no error');
}

/** The error's code and offset, or «no error». */
export function failureAt(run: () => unknown): string {
  try {
    run();
    return 'no error';
  } catch (error) {
    if (!(error instanceof MailsealError)) throw error;
    return error.offset === undefined ? error.code : `${error.code}@${error.offset}`;
  }
}
