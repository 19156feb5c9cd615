import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Unit } from '../../../src/telemetry/counting/unit.ts'
import { ShardTables } from '../../../src/telemetry/shard/shard-tables.ts'
import { UnitPages } from '../../../src/telemetry/shard/unit-pages.ts'
import { uniqueName } from '../../support/worker.ts'

let name = ''

beforeEach(() => {
  name = uniqueName('environment')
})

/** Runs in a shard that has never been asked for anything else. */
function withTables<T>(run: (tables: ShardTables, storage: DurableObjectStorage) => T): Promise<T> {
  return runInDurableObject(env.EVENTS.getByName(name), (_, { storage }) =>
    run(new ShardTables(storage.sql), storage),
  )
}

/** The 16 characters of a unit's id, spread as a hash is. */
function idOf(index: number): string {
  let state = (index + 1) * 0x9e3779b1
  return Array.from({ length: 16 }, () => {
    state = Math.imul(state ^ (state >>> 15), 0x85ebca77) + 0x1b873593
    return String.fromCharCode((state >>> 11) & 0xff)
  }).join('')
}

/** All units, page by page, as `kind lastDay` by id. */
function all(pages: UnitPages): Map<string, string> {
  const found = new Map<string, string>()
  for (let next: number | null = 0; next !== null; ) {
    const page = pages.pageAt(next)
    for (const { id, kind, lastDay } of page.units) {
      expect(found.has(id)).toBe(false)
      found.set(id, `${kind} ${lastDay}`)
    }
    next = page.next
  }
  return found
}

type Step =
  | { readonly do: 'set'; readonly unit: number; readonly day: number }
  | { readonly do: 'remove'; readonly unit: number }
  | { readonly do: 'get'; readonly unit: number }
  | { readonly do: 'save' }
  | { readonly do: 'restart' }

const unit = fc.nat(700)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 60, arbitrary: fc.record({ do: fc.constant('set' as const), unit, day: fc.nat(20_000) }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('remove' as const), unit }) },
  { weight: 20, arbitrary: fc.record({ do: fc.constant('get' as const), unit }) },
  { weight: 2, arbitrary: fc.constant({ do: 'save' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
)

describe('unit pages', () => {
  it('have what a map would have, however they are parted, held and read again', async () => {
    const steps = fc.array(step, { minLength: 50, maxLength: 1_500, size: 'max' })
    await fc.assert(
      fc.asyncProperty(steps, fc.constantFrom(5, 300, 10_000), async (list, limit) => {
        name = uniqueName('environment')
        await withTables((tables, storage) => {
          let pages = new UnitPages(tables, limit)
          let model = new Map<string, string>()
          let saved = new Map(model)
          for (const one of list) {
            if (one.do === 'save') {
              storage.transactionSync(() => pages.save())
              saved = new Map(model)
            } else if (one.do === 'restart') {
              pages = new UnitPages(tables, limit)
              model = new Map(saved)
            } else {
              const id = idOf(one.unit)
              const found = pages.get(id)
              expect(found && `${found.kind} ${found.lastDay}`).toBe(model.get(id))
              if (one.do === 'remove') {
                pages.remove(id)
                model.delete(id)
              } else if (one.do === 'set') {
                const changed: Unit = found ?? pages.create(id, 'user')
                changed.lastDay = one.day
                pages.touch(changed)
                model.set(id, `user ${one.day}`)
              }
            }
            expect(pages.size).toBe(model.size)
          }
          expect(all(pages)).toEqual(model)
          pages.save()
          expect(all(new UnitPages(tables, limit))).toEqual(model)
          const days = [...model.values()].map((text) => Number(text.split(' ')[1]))
          // The days of units that were changed or removed since may still be in it.
          expect(new UnitPages(tables, limit).oldest).toBeLessThanOrEqual(Math.min(...days))
        })
      }),
      { numRuns: 25 },
    )
  })

  it('are one row for some 64 to 128 units, and changing some writes their pages alone', async () => {
    await withTables((tables) => {
      const pages = new UnitPages(tables)
      const count = 10_000
      for (let index = 0; index < count; index++) pages.touch(pages.create(idOf(index), 'user'))
      expect([pages.changedUnits, pages.size]).toEqual([count, count])
      pages.save()
      const rows = tables.read<{ units: number; depth: number }>('SELECT units, depth FROM pages')
      expect([rows.length > count / 128, rows.length < count / 64]).toEqual([true, true])
      expect([Math.max(...rows.map(({ units }) => units)) <= 128, pages.changedUnits]).toEqual([true, 0])

      const before = tables.rowsWritten
      for (let index = 0; index < 50; index++) {
        const known = pages.get(idOf(index))
        if (known) pages.touch(known)
      }
      expect(pages.changedRows).toBeLessThanOrEqual(50)
      const expected = pages.changedRows
      pages.save()
      expect(tables.rowsWritten - before).toBe(expected)
    })
  })

  it('part by size too', async () => {
    await withTables((tables) => {
      const pages = new UnitPages(tables)
      for (let index = 0; index < 20; index++) pages.touch(pages.create(idOf(index), 'k'.repeat(100_000)))
      pages.save()
      expect(tables.read('SELECT page FROM pages').length).toBeGreaterThan(3)
      expect(all(new UnitPages(tables)).size).toBe(20)
    })
  })

  it('let go what a review says, and know then how old the rest is', async () => {
    await withTables((tables) => {
      const make = () => new UnitPages(tables)
      const pages = make()
      for (let index = 0; index < 500; index++) {
        const created = pages.create(idOf(index), 'user')
        created.lastDay = index
        pages.touch(created)
      }
      pages.save()
      expect(make().oldest).toBe(0)
      const again = make()
      for (let next: number | null = 0; next !== null; ) {
        next = again.sweep(next, ({ lastDay }) => (lastDay < 100 ? 'gone' : 'kept'))
      }
      again.save()
      expect([make().size, make().oldest, all(make()).has(idOf(99)), all(make()).has(idOf(100))]).toEqual([
        400,
        100,
        false,
        true,
      ])
    })
  })
})
