// Whether the application still says anything: silence is not health. Pure.
import { DOWN, regressionLikelihoods } from '../../statistics/guard-mixture.ts'
import { BLOCK_MS } from '../../telemetry/counting/blocks.ts'
import { sayDuration } from '../durations.ts'
import type { Reading } from '../observations.ts'
import { type Arms, CONTROL, type Slot, TREATMENT } from './slots.ts'
import { advanceTrack, evidenceAfter, newTrack, type Track } from './track.ts'
import { sayOf } from './words.ts'

/** What is known of the signs of life. */
export type Life = {
  readonly track: Track
  /** In how many blocks there was any, and after how many the last of them was over. */
  readonly beats: number
  readonly lastAfter: number
}

/** So much less life is tolerated of the treated. */
const TOLERATED = 0.9
/** ln 1,000. */
const LIMIT = Math.log(1000)
/** How long a silence of all must last at least. */
const LEAST_SILENT_BLOCKS = 300_000 / BLOCK_MS
/** How many times as long as what usually lies between two signs of life. */
const UNUSUAL_GAPS = 20

export function newLife(): Life {
  return { track: newTrack(DOWN.length), beats: 0, lastAfter: 0 }
}

/**
 * First signs are compared with all who came, and not with those who have given none yet: most give one as they come, so
 * that what is left is a few who never will, and in which arm more of them are is chance.
 */
export function lifeAfter(life: Life, { block, strata }: Slot): Life {
  const counts = strata.map(({ treatment: t, control: c }) => ({
    xT: t.block?.firstLive ?? 0,
    nT: t.before.entered + (t.block?.entered ?? 0),
    xC: c.block?.firstLive ?? 0,
    nC: c.before.entered + (c.block?.entered ?? 0),
  }))
  const logLikelihoods = regressionLikelihoods(counts, DOWN, TOLERATED)
  const track = logLikelihoods ? advanceTrack(life.track, block, { logLikelihoods }) : life.track
  const isLive = strata.some(({ treatment, control }) =>
    [treatment, control].some((arm) => (arm.block?.live ?? 0) > 0),
  )
  if (!isLive) return track === life.track ? life : { ...life, track }
  return { track, beats: life.beats + 1, lastAfter: block + 1 }
}

function sayLive(arms: Arms, arm: string): string {
  let [live, entered] = [0, 0]
  for (const one of arms.values()) {
    if (one.arm !== arm) continue
    live += one.live
    entered += one.entered
  }
  return sayOf(live, entered)
}

/** @param blocks how many have been taken */
export function readLife(
  { track, beats, lastAfter }: Life,
  arms: Arms,
  startedAt: number,
  blocks: number,
): Reading['life'] {
  const evidence = evidenceAfter(track, blocks)
  if (beats === 0) return { evidence, verdict: 'waiting', since: null, words: 'no sign of life yet' }
  const since = startedAt + lastAfter * BLOCK_MS
  const shown = `signs of life from ${sayLive(arms, TREATMENT)} treated units, ${sayLive(arms, CONTROL)} of control`
  if (Math.max(track.peak, evidence) >= LIMIT) {
    return { evidence, verdict: 'treatment_silent', since, words: `the treated fall silent: ${shown}` }
  }
  const silent = blocks - lastAfter
  const usual = lastAfter / beats
  if (silent >= Math.max(LEAST_SILENT_BLOCKS, UNUSUAL_GAPS * usual)) {
    const words = `nobody has given a sign of life for ${sayDuration(silent * BLOCK_MS)}`
    return { evidence, verdict: 'all_silent', since, words }
  }
  return { evidence, verdict: 'alive', since, words: shown }
}
