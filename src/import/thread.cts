/**
 * How piscina loads worker.ts: it calls `require` first, and Node 20 ends the process when that meets a module that does
 * not link. Of a CommonJS module like this one, both ways lead to `import`.
 */
type Worker = typeof import('./worker.js', { with: { 'resolution-mode': 'import' }});
type Task = 'read' | 'open';

const load = async <T extends Task>(task: T): Promise<Worker[T]> => (await import('./worker.js'))[task];

module.exports = { read: load('read'), open: load('open') };
