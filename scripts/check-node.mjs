// Refuses a Node that is too old, before anything else fails in a way that is hard to read.
// npm puts node_modules/.bin first in PATH, so within npm scripts this is the pinned Node, unless its install was skipped.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major < 22 || (major === 22 && minor < 16)) {
  console.error(
    `tokenwright needs Node 22.16 or newer, and this is Node ${process.versions.node}. ` +
      'Run `npm ci` without --ignore-scripts (it installs the pinned Node 24), or install a newer Node.',
  )
  process.exit(1)
}
console.log(`Node ${process.versions.node}`)
