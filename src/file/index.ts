/**
 * A durable store in one SQLite file, shared by any number of processes of one machine. Needs Node's `node:sqlite`.
 *
 * @module
 */
export { FileTokenStore, type FileTokenStoreOptions } from './file-token-store.ts'
