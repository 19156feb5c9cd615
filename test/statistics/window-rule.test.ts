import { describe, expect, it } from 'vitest'
import { falseAlarmsOnADay, type WindowRule } from '../../src/statistics/window-rule.ts'
import { poissons } from './random.ts'

const MINUTE_MS = 60_000
const rule: WindowRule = { side: 'above', limit: 0.015, windowMs: 5 * MINUTE_MS, units: 500 }

describe('false alarms of a rule over a window', () => {
  /** The share of days with an alarm, looked at every ten seconds. */
  function simulate({ side, limit, windowMs, units }: WindowRule, base: number, days: number): number {
    const draw = poissons(4)
    const width = windowMs / 10_000
    const mean = (base * units) / width
    let alarms = 0
    for (let day = 0; day < days; day++) {
      const blocks: number[] = []
      let hits = 0
      for (let block = 0; block < 8_640; block++) {
        const now = draw(mean)
        blocks.push(now)
        hits += now - (blocks[block - width] ?? 0)
        if (block < width - 1) continue
        const share = hits / units
        if (side === 'above' ? share > limit : share < limit) {
          alarms++
          break
        }
      }
    }
    return alarms / days
  }

  it.each<[string, WindowRule, number, number]>([
    ['nearly always', rule, 0.005, 20],
    ['often', { ...rule, limit: 0.02 }, 0.005, 300],
    ['seldom', { ...rule, limit: 0.025 }, 0.005, 300],
    ['over an hour', { ...rule, windowMs: 60 * MINUTE_MS, units: 6_000, limit: 0.0075 }, 0.005, 300],
    ['below', { ...rule, side: 'below', limit: 0.02, units: 1_000 }, 0.04, 300],
  ])('are as many as there are: %s', (_name, one, base, days) => {
    const told = falseAlarmsOnADay(one, base)
    const found = simulate(one, base, days)
    const error = Math.sqrt((told * (1 - told)) / days)
    expect(found).toBeGreaterThanOrEqual(told - 3 * error - 0.05)
    expect(found).toBeLessThanOrEqual(told + 3 * error)
  })

  it('are certain where the base is past the limit, and none where nothing can pass it', () => {
    expect(falseAlarmsOnADay(rule, 0.02)).toBe(1)
    expect(falseAlarmsOnADay({ ...rule, side: 'below' }, 0.01)).toBe(1)
    expect(falseAlarmsOnADay({ ...rule, limit: 1 }, 0.02)).toBe(0)
    expect(falseAlarmsOnADay({ ...rule, side: 'below', limit: 0 }, 0.02)).toBe(0)
    expect(falseAlarmsOnADay(rule, 0)).toBe(0)
  })

  it('take a limit as it is written: three of 300 are not above a hundredth', () => {
    const of = (limit: number) => falseAlarmsOnADay({ ...rule, limit, units: 300 }, 0.001)
    expect(of(0.01)).toBe(of(0.0133))
    expect(of(0.01)).toBeLessThan(of(0.0099))
  })
})
