// Run by ../snapshot.ts in a process of its own: prints the milliseconds of one opening, the first that it does.
import { OPENINGS, open } from './opening.ts'
import { collectGarbage } from './rounds.ts'
import { makeSnapshotText } from './snapshot-text.ts'

const [wanted, count] = process.argv.slice(2)
const opening = OPENINGS.find((opening) => opening === wanted)
if (!opening) throw new Error(`there is no opening "${wanted}"`)
const flags = Number(count)
const text = makeSnapshotText(flags)
collectGarbage()
const start = performance.now()
const opened = open(opening, text, flags)
const milliseconds = performance.now() - start
if (opened) console.log(milliseconds)
