/**
 * The files that `mailseal import` is told of: by name, in folders, by pattern (for shells that don't expand them, or
 * lists that are too long to be expanded), and in lists.
 */
import { readdirSync, statSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { globSync, isDynamicPattern } from 'tinyglobby';
import { MailsealError } from '../errors.js';
import { failed, type ImportRow } from '../import/report.js';
import { ioError, isPfxFile, readSecretText } from './files.js';

export interface Found {
  /** In the order of the arguments, those of a folder or a pattern sorted; each once. */
  readonly files: ReadonlySet<string>;
  readonly passedOver: readonly string[];
  /** What can't be read. */
  readonly failed: readonly ImportRow[];
}

/** @param list the file with a list of names, or `-` */
export function findFiles(paths: readonly string[], list: string | undefined): Found {
  const search = new Search();
  for (const path of paths) search.named(path);
  if (list !== undefined) for (const path of namesIn(list)) search.find(path, true);
  return search;
}

/** A name a line, or ended by NUL as `find -print0` does; relative to the working directory. */
function namesIn(list: string): string[] {
  const text = readSecretText(list);
  return text.split(text.includes('\0') ? '\0' : /\r?\n/).filter((name) => name !== '');
}

const NAMED_PFX = /\.(?:p12|pfx)$/i;

class Search implements Found {
  readonly files = new Set<string>();
  readonly #resolved = new Set<string>();
  readonly passedOver: string[] = [];
  readonly failed: ImportRow[] = [];

  /** What is there under that name goes before what it matches as a pattern: `Anna (old).p12`. */
  named(path: string): void {
    if (path === '-') {
      throw new MailsealError(
        'USAGE',
        'a PFX file can’t come from standard input; --files - reads names there',
      );
    }
    if (statSync(path, { throwIfNoEntry: false }) !== undefined || !isDynamicPattern(path)) {
      this.find(path, true);
      return;
    }
    const matches = globSync(path, {
      absolute: isAbsolute(path),
      onlyFiles: false,
      expandDirectories: false,
      followSymbolicLinks: false,
    });
    if (matches.length === 0) {
      this.failed.push(
        failure(path, new MailsealError('IO', 'no such file, and none that it matches as a pattern')),
      );
    }
    for (const match of matches.sort()) this.find(match, true);
  }

  /**
   * A file as it is named; of a folder all files below, in a fixed order, that are a PFX by their first octets or by
   * their name: a damaged `.p12` is a failure to tell of. Symbolic links to folders are not followed: they may go round.
   */
  find(path: string, named: boolean): void {
    try {
      const status = statSync(path);
      if (status.isDirectory()) this.#findBelow(path);
      else if (named || NAMED_PFX.test(path) || (status.isFile() && isPfxFile(path))) {
        this.#add(path);
      } else this.passedOver.push(path);
    } catch (error) {
      this.failed.push(failure(path, ioError("can't be read", error)));
    }
  }

  /** By the first of its spellings. */
  #add(path: string): void {
    const resolved = resolve(path);
    if (!this.#resolved.has(resolved)) this.files.add(path);
    this.#resolved.add(resolved);
  }

  #findBelow(folder: string): void {
    const entries = readdirSync(folder, { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, entry.name);
      const target = entry.isSymbolicLink() ? statSync(path, { throwIfNoEntry: false }) : undefined;
      const dangling = entry.isSymbolicLink() && target === undefined;
      if (entry.isSymbolicLink() && !target?.isFile() && !(dangling && NAMED_PFX.test(path))) {
        this.passedOver.push(path);
      } else this.find(path, false);
    }
  }
}

/** The row of a file that did not come to be imported. */
export const failure = (name: string, { code, message }: MailsealError): ImportRow => ({
  name,
  ...failed({ code, message }),
});
