// Whatever is sent is refused or counted, and never fails: most of a hundred thousand bodies go from their bytes to
// packed batches here; what goes over HTTP is in ../ingest/odd-requests.test.ts.
import { describe, expect, it } from 'vitest'
import { attributeEvents } from '../../../src/telemetry/events/attribute-events.ts'
import { decodeBatch, encodeBatch } from '../../../src/telemetry/events/batch-codec.ts'
import { createBatchId, formatBatchId } from '../../../src/telemetry/events/batch-id.ts'
import { parseBatch } from '../../../src/telemetry/events/event-body.ts'
import { parseEvents } from '../../../src/telemetry/events/parse-events.ts'
import { routeEvents } from '../../../src/telemetry/events/route-events.ts'
import { createRandom, makeOddBody, spoil } from '../../support/event-bodies.ts'
import { CLIENT, makeEnvironment, makeMeasurement, NOW, SERVER } from './fixtures.ts'

const BODIES = 97_000
const SEED = 3

const environment = makeEnvironment([
  makeMeasurement({ id: 'r1', slices: ['plan', 'n'], shards: 5 }),
  makeMeasurement({ id: 'r2', by: 'company' }),
])

describe('a hundred thousand odd bodies', () => {
  it('are each refused or counted as they were answered', () => {
    const random = createRandom(SEED)
    const id = createBatchId(NOW)
    const text = formatBatchId(id)
    const encoder = new TextEncoder()
    const decoder = new TextDecoder()
    const outcomes = { refused: 0, accepted: 0, rejected: 0 }
    for (let i = 0; i < BODIES; i++) {
      const body = makeOddBody(random, text, NOW)
      const sent = random() < 0.1 ? decoder.decode(spoil(encoder.encode(body), random)) : body
      const batch = parseBatch(sent, NOW)
      if (!batch.ok) {
        outcomes.refused++
        continue
      }
      const { events, rejected } = parseEvents(batch.value.events, new Set(['load']), NOW)
      const sender = random() < 0.5 ? SERVER : CLIENT
      const attributed = attributeEvents(events, environment, sender, NOW)
      const routed = routeEvents(attributed, [...environment.measurements.values()], 3, batch.value.id)
      const counted = [...routed.values()].flatMap((copies) => decodeBatch(encodeBatch(copies)))
      if (counted.filter(({ primary }) => primary).length !== events.length) {
        expect.fail(`of ${events.length} accepted events, others were counted: ${sent.slice(0, 500)}`)
      }
      if (events.length + rejected.length !== batch.value.events.length) {
        expect.fail(`an event is neither accepted nor rejected: ${sent.slice(0, 500)}`)
      }
      outcomes.accepted += events.length
      outcomes.rejected += rejected.length
    }
    // The bodies are odd enough to be refused, and not so odd that none is left to count.
    for (const count of Object.values(outcomes)) expect(count).toBeGreaterThan(BODIES / 10)
  })
})
