// The tour: `npm start`. A real Express service with tokens in a real file, and every answer checked.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateSecret, publishToFile, Tokenwright } from 'tokenwright'
import { FileTokenStore } from 'tokenwright/file'
import { showAgent } from './agent.ts'
import { startService } from './app.ts'
import { backUpAndRestore } from './backup.ts'
import { healCloudflare } from './cloudflare.ts'
import { issueTokens } from './issuing.ts'
import { makeRequests } from './requests.ts'
import { lookAfterRestart, readBefore } from './restart.ts'
import { rotateMany, rotateTokens, rotateWithHooks } from './rotation.ts'
import { showRules } from './rules.ts'
import { Transcript } from './transcript.ts'
import { showUsage } from './usage.ts'
import { showVault } from './vault.ts'

const folder = mkdtempSync(join(tmpdir(), 'tokenwright-tour-'))
const path = join(folder, 'tokens.db')
// What a consumer of tokens lives on. It is meant to hold one.
const consumer = mkdtempSync(join(tmpdir(), 'tokenwright-consumer-'))
const envFile = join(consumer, '.env')
writeFileSync(envFile, 'PORT=8080\nSHOP_TOKEN=none\n')
const keys = generateSecret()
const transcript = new Transcript((line) => console.log(line))

/** A front door on the file. */
async function open(): Promise<Tokenwright> {
  const store = await FileTokenStore.open(path)
  // Every token with this prefix carries a checksum: a mistyped one is refused without a look into the file.
  return new Tokenwright({
    store,
    keys,
    formats: [{ prefix: 'sk_live_' }],
    rotation: { hooks: { CONSUMER: { publish: publishToFile({ path: envFile, key: 'SHOP_TOKEN' }) } } },
    onEvent: [{ name: 'tour', handler: () => {} }],
  })
}

try {
  transcript.line('tokenwright: the tour')
  let tokens = await open()
  let service = await startService(tokens)
  const texts = await issueTokens(tokens, transcript)
  await makeRequests({ tokens, service, transcript, texts })
  await rotateTokens({ tokens, service, transcript, texts })
  await rotateWithHooks({ tokens, service, transcript, texts }, envFile)
  await rotateMany({ tokens, service, transcript, texts })
  await service.close()
  const before = await readBefore(tokens)
  await tokens.close()

  tokens = await open()
  service = await startService(tokens)
  await lookAfterRestart({ tokens, service, transcript, texts }, before)
  await service.close()
  await showUsage(tokens, transcript)
  await backUpAndRestore({ tokens, transcript, texts }, folder, keys)
  await tokens.close()
  await showRules(transcript)
  await showAgent(transcript)
  await showVault(transcript)
  await healCloudflare(transcript)

  transcript.chapter('Look for token texts where none may be')
  const files = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'))
  const named = files.some((file) => file.includes('SIGNING_SECRET'))
  transcript.step('the name SIGNING_SECRET, in the files of the store', 'found', named ? 'found' : 'not found')
  const leaks = texts.all().filter((text) => files.some((file) => file.includes(text)))
  transcript.step(`${texts.all().length} texts, in the files of the store`, '0 found', `${leaks.length} found`)
  const told = texts.all().filter((text) => transcript.text.includes(text))
  transcript.step(`${texts.all().length} texts, in this transcript`, '0 found', `${told.length} found`)
} finally {
  rmSync(folder, { recursive: true, force: true })
  rmSync(consumer, { recursive: true, force: true })
}

transcript.line()
transcript.line(`${transcript.steps} steps, ${transcript.failed} not as they should be`)
process.exitCode = transcript.failed === 0 ? 0 : 1
