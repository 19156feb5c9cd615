import { describe, expect, it } from 'vitest'
import type { Measurement } from '../../../src/catalog/measurement.ts'
import { type Evaluation, fail, type Resolution } from '../../../src/engine/evaluation.ts'
import { type Answered, ExposureBuffer, MAX_REMEMBERED } from '../../../src/telemetry/isolate/exposures.ts'
import { makeMeasurement } from '../../support/measurement.ts'

const MINUTE_MS = 60_000
const NOW = 30_000_000 * MINUTE_MS
const ROOM = 1_000_000

function makeEvaluation(unit: string, { tag = 'r1.1.1.t', flagKey = 'checkout' } = {}): Resolution {
  const assignment = { tag, by: 'targetingKey', unit }
  return { flagKey, reason: 'SPLIT', variant: 'on', value: true, metadata: {}, assignment }
}

type Noting = { readonly measurement?: Partial<Measurement>; readonly now?: number; readonly room?: number }

/** Lets a buffer see answers; by default of the use of a flag. */
function note(buffer: ExposureBuffer, answered: Partial<Answered>, noting: Noting = {}): boolean {
  const { measurement, now = NOW, room = ROOM } = noting
  const measurements = new Map([['r1', makeMeasurement(measurement)]])
  return buffer.note({ evaluations: [], context: {}, isUse: true, ...answered }, measurements, now, room)
}

const unitsOf = (buffer: ExposureBuffer) => buffer.take().map(({ assignment }) => assignment.unit)

describe('an exposure', () => {
  it('is a use of a measured flag, with all that is known of it', () => {
    const buffer = new ExposureBuffer()
    note(buffer, { evaluations: [makeEvaluation('ada')] })
    expect([buffer.size, buffer.oldestAt]).toEqual([1, NOW])
    expect(buffer.take()).toEqual([
      {
        flag: 'checkout',
        variant: 'on',
        assignment: { tag: 'r1.1.1.t', by: 'targetingKey', unit: 'ada' },
        slices: null,
        at: NOW,
      },
    ])
    expect([buffer.size, buffer.oldestAt]).toEqual([0, undefined])
  })

  it.each<[isUse: boolean, exposure: Measurement['exposure'], size: number]>([
    [true, 'use', 1],
    [false, 'use', 0],
    [true, 'assignment', 1],
    [false, 'assignment', 1],
  ])('with a use (%s) of a flag that counts by %s', (isUse, exposure, size) => {
    const buffer = new ExposureBuffer()
    note(buffer, { evaluations: [makeEvaluation('ada')], isUse }, { measurement: { exposure } })
    expect(buffer.size).toBe(size)
  })

  it.each<[name: string, evaluation: Evaluation]>([
    ['a flag that is not measured', { ...makeEvaluation('ada'), reason: 'STATIC', assignment: undefined }],
    ['a flag that fails', fail('checkout', 'GENERAL', '')],
    ['a measurement that is over', makeEvaluation('ada', { tag: 'r0.1.1.t' })],
    ['a unit with a name that no event could have', makeEvaluation('x'.repeat(513))],
  ])('is none of %s', (_, evaluation) => {
    const buffer = new ExposureBuffer()
    expect(note(buffer, { evaluations: [evaluation] })).toBe(true)
    expect(buffer.take()).toEqual([])
  })

  it('has what the context says of the slices, in their order', () => {
    const buffer = new ExposureBuffer()
    const slices = ['plan', 'company.size', 'beta', 'nothing', 'list', 'long']
    const context = { plan: 'pro', company: { size: 12 }, beta: true, list: [1], long: 'x'.repeat(1_000) }
    note(buffer, { evaluations: [makeEvaluation('ada')], context }, { measurement: { slices } })
    expect(buffer.take()[0]?.slices).toEqual(['pro', '12', 'true', null, null, 'x'.repeat(100)])
  })
})

describe('a unit', () => {
  it('is noticed once a minute, whether it was sent meanwhile or not', () => {
    const buffer = new ExposureBuffer()
    const at = (elapsed: number) => {
      note(buffer, { evaluations: [makeEvaluation('ada'), makeEvaluation('ada')] }, { now: NOW + elapsed })
      return buffer.take().length
    }
    expect([0, 1, MINUTE_MS - 1, MINUTE_MS, MINUTE_MS + 1, 2 * MINUTE_MS].map(at)).toEqual([1, 0, 0, 1, 0, 1])
  })

  it('is noticed apart from others, and anew in another place', () => {
    const buffer = new ExposureBuffer()
    note(buffer, {
      evaluations: [
        makeEvaluation('ada'),
        makeEvaluation('bob'),
        makeEvaluation('ada', { tag: 'r1.2.1.t' }),
        makeEvaluation('ada', { tag: 'r1.2.1.c' }),
        makeEvaluation('ada'),
      ],
    })
    expect(buffer.take().map(({ assignment: { unit, tag } }) => `${unit} ${tag}`)).toEqual([
      'ada r1.1.1.t',
      'bob r1.1.1.t',
      'ada r1.2.1.t',
      'ada r1.2.1.c',
    ])
  })

  it('is forgotten where too many would have to be remembered, and then noticed twice', () => {
    const buffer = new ExposureBuffer()
    const all = Array.from({ length: MAX_REMEMBERED }, (_, index) => makeEvaluation(`unit-${index}`))
    note(buffer, { evaluations: [...all, makeEvaluation('unit-0')] })
    expect(unitsOf(buffer)).toHaveLength(MAX_REMEMBERED)
    note(buffer, { evaluations: [makeEvaluation('one more'), makeEvaluation('unit-0')] })
    expect(unitsOf(buffer)).toEqual(['one more', 'unit-0'])
  })
})

describe('without room', () => {
  const arms = ['t', 'c', 'c', 't'].map((arm, index) =>
    makeEvaluation(`unit-${index}`, { tag: `r1.1.1.${arm}` }),
  )

  it('the newest are dropped, whatever their arm, and it says so', () => {
    const buffer = new ExposureBuffer()
    expect(note(buffer, { evaluations: arms }, { room: 2 })).toBe(false)
    expect(unitsOf(buffer)).toEqual(['unit-0', 'unit-1'])
  })

  it('who was dropped is noticed when there is room again, and who was not is not dropped', () => {
    const buffer = new ExposureBuffer()
    note(buffer, { evaluations: arms }, { room: 2 })
    expect(note(buffer, { evaluations: arms.slice(0, 2) }, { room: 2 })).toBe(true)
    expect(note(buffer, { evaluations: arms }, { room: 4 })).toBe(true)
    expect(unitsOf(buffer)).toEqual(['unit-0', 'unit-1', 'unit-2', 'unit-3'])
  })
})
