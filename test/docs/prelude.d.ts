// Names that code blocks of the guides may use without declaring them. A block that declares one itself hides it.
import type { Express } from 'express'
import type { FastifyInstance } from 'fastify'
import type { Pool } from 'pg'
import type { Tokenwright } from 'tokenwright'
import type { RedisClient } from 'tokenwright/redis'

declare global {
  const tokens: Tokenwright
  const app: Express
  const fastify: FastifyInstance
  const keys: string
  const pool: Pool
  const client: RedisClient
}
