// Names that code blocks of the guides may use without declaring them. A block that declares one itself hides it.
import type { Express } from 'express'
import type { FastifyInstance } from 'fastify'
import type { Tokenwright } from 'tokenwright'

declare global {
  const tokens: Tokenwright
  const app: Express
  const fastify: FastifyInstance
}
