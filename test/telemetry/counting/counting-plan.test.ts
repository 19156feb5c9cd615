import { expect, it } from 'vitest'
import { SETTINGS_KEY, settingsText } from '../../../src/catalog/entities.ts'
import { openEnvironment, patchEnvironment } from '../../../src/catalog/environment-snapshot.ts'
import { measurementText } from '../../../src/catalog/measurement.ts'
import { writeSnapshotText } from '../../../src/engine/snapshot-text.ts'
import { planOf } from '../../../src/telemetry/counting-plan.ts'
import { makeMeasurement } from '../../support/measurement.ts'

const SETTINGS = settingsText({ refreshSeconds: 30, signingSecret: 'secret' })

function open() {
  const text = writeSnapshotText({
    environment: 'production',
    version: 5,
    sections: { settings: new Map([[SETTINGS_KEY, SETTINGS]]) },
  })
  const opened = openEnvironment('production', text)
  if (!opened.ok) throw new Error(opened.error)
  return opened.value
}

it('the plan of an environment is of the version that it was read at, though its flags have moved on', () => {
  const before = open()
  const measurement = makeMeasurement()
  const changes = [{ kind: 'measurements', key: measurement.id, text: measurementText(measurement) }] as const
  const after = patchEnvironment(before, { from: 5, to: 6, changes })
  if (!after.ok) throw new Error(after.error)
  const plans = [planOf(before), planOf(after.value)]
  expect(plans.map(({ version, measurements }) => [version, measurements])).toEqual([
    [5, []],
    [6, [measurement]],
  ])
  expect(plans[0]?.fingerprint).not.toBe(plans[1]?.fingerprint)
})

it('a change of something else makes a newer mark of the same plan', () => {
  const before = open()
  const changes = [{ kind: 'settings', key: SETTINGS_KEY, text: SETTINGS }] as const
  const after = patchEnvironment(before, { from: 5, to: 6, changes })
  if (!after.ok) throw new Error(after.error)
  expect(planOf(after.value)).toEqual({ ...planOf(before), version: 6 })
})
