import { expect, it } from 'vitest'
import { neverSeen } from '../../../src/telemetry/counting/memberships.ts'
import type { Membership, Unit, UnitMetric } from '../../../src/telemetry/counting/unit.ts'
import { packUnit, unpackUnit } from '../../../src/telemetry/counting/unit-codec.ts'
import { unitId } from './events.ts'

const metric: UnitMetric = {
  firstAt: 1_700_000_000_123,
  hit: true,
  count: 7,
  sum: 0.1,
  denominator: 3,
  base: { count: 1, sum: -0.25, denominator: 0 },
  before: 12.5,
  compared: 2,
  observations: 4,
  above: [3, 0],
}
const untouched: UnitMetric = {
  ...metric,
  firstAt: null,
  hit: false,
  base: { count: 0, sum: 0, denominator: 0 },
  compared: 0,
  observations: 0,
  above: [],
}
const member: Membership = {
  firstAt: 1_700_000_000_000,
  firstStage: 1,
  firstStratum: 'a',
  firstArm: 't',
  firstVariant: 'on',
  mixed: true,
  days: [1, 2 ** 29, 0],
  slices: ['DE', null],
  stage: 1,
  stratum: 'a',
  arm: 't',
  variant: 'on',
  exposedBlock: 170_000_000,
  isOut: false,
  era: 3,
  liveBlock: -1,
  metrics: new Map([
    ['bought', metric],
    ['waited', untouched],
  ]),
}
const unit: Unit = {
  id: unitId(200),
  kind: 'user',
  lastDay: 20_000,
  memberships: new Map([
    ['m1', member],
    [
      'm2',
      { ...member, mixed: false, isOut: true, slices: null, stage: 2, variant: 'new', metrics: new Map() },
    ],
  ]),
  daily: new Map([['bought', [{ day: 19_999, count: 2, sum: 0.5 }]]]),
  seen: neverSeen(),
}

it('unpacks what it packed, by way of a text', () => {
  expect(unpackUnit(JSON.parse(JSON.stringify(packUnit(unit))))).toEqual(unit)
})

/** What was once written: never to change. */
const WRITTEN = [
  '[1,"yP8AdW5pdC1vZi10ZXN0cw==","user",20000,[["m1",1700000000000,[1,"a","t","on"],0,1,[1,536870912,0]',
  ',["DE",null],170000000,-1,3,[["bought",1700000000123,1,[7,0.1,3],[1,-0.25,0],12.5,[2,4,[3,0]]],["wai',
  'ted",null,0,[7,0.1,3],0,12.5,0]]],["m2",1700000000000,[1,"a","t","on"],[2,"a","t","new"],2,[1,536870',
  '912,0],null,170000000,-1,3,[]]],[["bought",[[19999,2,0.5]]]]]',
].join('')

it('reads what was written at first', () => {
  expect(unpackUnit(JSON.parse(WRITTEN))).toEqual(unit)
})
