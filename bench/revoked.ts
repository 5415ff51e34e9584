import { setTimeout as pause } from 'node:timers/promises'
import { type InstanceJob, machineTime, openInstance } from './revocation.ts'

// The other instance: verifies each text that it is told until it is refused, and tells when that was.
process.once('message', async (job: InstanceJob) => {
  const { tokens, close } = await openInstance(job)
  await tokens.ready()
  process.on('message', async (text: string) => {
    if (!(await tokens.verify(text)).ok) throw new Error('the text is refused from the start')
    process.send?.('seen')
    while ((await tokens.verify(text)).ok) await pause(1)
    process.send?.(machineTime())
  })
  process.once('disconnect', () => void close())
  process.send?.('ready')
})
