// Plays portions of scenarios on a thread of its own.
import { parentPort } from 'node:worker_threads'
import { scenarios } from './catalogue.ts'

/** Some runs of one scenario. */
export type Portion = {
  readonly scenario: string
  readonly seed: number
  readonly first: number
  readonly runs: number
}

export type Played = { readonly portion: Portion; readonly alarms: readonly (readonly number[])[] }

const byId = new Map(scenarios().map((scenario) => [scenario.id, scenario]))

/** @throws Error when there is no such scenario */
export function play(portion: Portion): Played {
  const scenario = byId.get(portion.scenario)
  if (!scenario) throw new Error(`There is no scenario ${portion.scenario}`)
  const alarms = Array.from({ length: portion.runs }, (_, index) =>
    scenario.play(portion.seed, portion.first + index),
  )
  return { portion, alarms }
}

parentPort?.on('message', (portion: Portion) => parentPort?.postMessage(play(portion)))
