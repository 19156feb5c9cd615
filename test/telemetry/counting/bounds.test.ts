// What must not grow without end, and what then goes.
import { expect, it } from 'vitest'
import { Pending } from '../../../src/telemetry/counting/pending.ts'
import { SeenNames } from '../../../src/telemetry/counting/seen-names.ts'
import { makeEvent, makeExposure, makeTag, START, unitId } from './events.ts'
import { Story } from './story.ts'

const user = (number: number) => `user ${number}`.padEnd(16)

it('keeps 16 events of a unit that may yet be exposed, the last ones', () => {
  const pending = new Pending()
  for (let at = 0; at < 20; at++) pending.add(user(0), makeEvent({ at }), at)
  expect(pending.of(user(0), 20).map(({ at }) => at)).toEqual(
    Array.from({ length: 16 }, (_, index) => index + 4),
  )
})

it('keeps 20,000 such events in all, the last ones, each for a minute', () => {
  const pending = new Pending()
  for (let number = 0; number < 20_001; number++) pending.add(user(number), makeEvent(), number)
  expect(pending.of(user(0), 20_001)).toHaveLength(0)
  expect(pending.of(user(1), 60_001)).toHaveLength(1)
  expect(pending.of(user(1), 60_002)).toHaveLength(0)
  expect(new Pending(JSON.parse(JSON.stringify(pending.pack()))).pack()).toEqual(pending.pack())
})

it('keeps 1,000 names; the one that was not seen for longest goes', () => {
  const names = new SeenNames()
  for (let number = 0; number < 1_000; number++) names.see(`name ${number}`, number)
  names.see('name 0', 1_000)
  names.see('another', 1_001)
  const kept = names.list(1_001).map(({ name }) => name)
  expect(kept).toHaveLength(1_000)
  expect(kept).toContain('name 0')
  expect(kept).not.toContain('name 1')
})

it('does not show names that were not seen for 30 days', () => {
  const names = new SeenNames()
  names.see('old', 0)
  const days = 24 * 60 * 60_000
  expect(names.list(30 * days)).toEqual([{ name: 'old', count: 1, firstAt: 0, lastAt: 0 }])
  expect(names.list(30 * days + 1)).toEqual([])
})

it('counts 64 strata of a stage, and what has another only in the series', () => {
  const story = new Story()
  for (let number = 0; number < 65; number++) {
    story.exposure(1, { unit: unitId(number), tag: makeTag({ stratum: number.toString(36) }) })
  }
  expect(story.shard.counting.totals('m1')).toHaveLength(64)
  expect(story.shard.unit(unitId(64))).toBeUndefined()
  expect(story.shard.counting.cells('minute', START)).toHaveLength(65)
})

it('counts 2,000 cells of a minute, and after that only all events of a metric', () => {
  const story = new Story()
  const events = Array.from({ length: 2_100 }, (_, number) =>
    makeExposure({ tag: null, flag: 'f1', variant: `variant ${number}` }),
  )
  story.tell(1, { kind: 'events', events }).event(2)
  const cells = () => story.shard.counting.cells('minute', START)
  expect(cells()).toHaveLength(2_001)
  expect(cells().filter(({ metric }) => metric === 'bought')).toHaveLength(1)
  const before = cells()
  story.shard.fold()
  expect(cells()).toEqual(before)
  story.event(3, { at: START })
  expect(cells()).toHaveLength(2_001)
})
