import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PostgresRateLimiter, PostgresTokenStore } from '../../src/postgres/index.ts'
import { tokenStoreSuite } from '../../src/testing/token-store-suite.ts'
import { sharedLimiterSuite } from '../access/shared-limiter-suite.ts'
import { answers, freePort, PGBOUNCER, unprivileged } from '../own-server.ts'
import { dropSchema, freshSchema, newPool, SERVER, storeFixtures, there } from './database.ts'

describe.runIf(there && PGBOUNCER !== undefined)('behind a PgBouncer that lends connections by the transaction', () => {
  const admin = newPool()
  let folder = ''
  let child: ChildProcess
  let pool: pg.Pool
  let limits = ''

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tokenwright-pgbouncer-'))
    chmodSync(folder, 0o755)
    const port = await freePort()
    const { host, port: serverPort, user, password } = SERVER
    writeFileSync(join(folder, 'users.txt'), `"${user}" "${password ?? ''}"\n`)
    writeFileSync(
      join(folder, 'pgbouncer.ini'),
      [
        '[databases]',
        `* = host=${host} port=${serverPort}`,
        '[pgbouncer]',
        'listen_addr = 127.0.0.1',
        `listen_port = ${port}`,
        'unix_socket_dir =',
        `auth_type = ${password === undefined ? 'trust' : 'plain'}`,
        `auth_file = ${join(folder, 'users.txt')}`,
        'pool_mode = transaction',
        // Fewer than there are callers: each statement may come to another.
        'default_pool_size = 3',
        'max_client_conn = 100',
      ].join('\n'),
    )
    child = spawn(PGBOUNCER ?? '', [join(folder, 'pgbouncer.ini')], { stdio: 'ignore', ...unprivileged() })
    await answers(port)
    pool = new pg.Pool({ ...SERVER, host: '127.0.0.1', port, max: 10 })
    limits = freshSchema()
    await PostgresTokenStore.open({ pool, schema: limits, statementNames: false })
  })
  afterAll(async () => {
    await pool.end()
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
    await dropSchema(admin, limits)
    await admin.end()
    rmSync(folder, { recursive: true, force: true })
  })

  tokenStoreSuite(
    storeFixtures(() => pool, false),
    { describe, it, expect },
  )

  sharedLimiterSuite(() => ({
    open: () => new PostgresRateLimiter({ pool, schema: limits, statementNames: false, timeout: '10s' }),
  }))
})
