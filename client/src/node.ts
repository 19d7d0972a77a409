/** What the client has for Node.js only. */
export { type FileCursor, type FileCursorOptions, fileCursor } from './node/file-cursor.ts';
