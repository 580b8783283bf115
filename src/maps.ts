/** Maps of lists. Used by smime, the key store and the command line. */

/** Adds a value to the list of a key, which is made for the first one. */
export function append<Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}
