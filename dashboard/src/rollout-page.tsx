import { useCallback, useState } from 'preact/hooks'
import { deedAskedFor } from './deed-form.tsx'
import { read } from './management-client.ts'
import { canDo, DEEDS, type Decided, type Health, type Rollout } from './rollout.ts'
import { RolloutDeed } from './rollout-deed.tsx'
import { RolloutView } from './rollout-view.tsx'
import { SignedIn } from './signed-in.tsx'

async function load(id: string) {
  const path = `/rollouts/${id}`
  const [rollout, health, { decisions }] = await Promise.all([
    read<Rollout>(path),
    read<Health>(`${path}/health`),
    read<{ decisions: readonly Decided[] }>(`${path}/timeline?limit=10`),
  ])
  return { rollout, health, decisions, now: Date.now() }
}

/** A rollout for whoever is told of it: how it stands, and the decisions that cannot wait for a desk. */
export function RolloutPage({ id }: { readonly id: string }) {
  const [deed, setDeed] = useState(() => deedAskedFor(DEEDS))
  return (
    <SignedIn
      load={useCallback(() => load(id), [id])}
      show={({ rollout, ...shown }, refresh) => (
        <>
          <RolloutView rollout={rollout} {...shown} onDeed={setDeed} />
          {deed && canDo(deed, rollout) ? (
            <RolloutDeed
              key={deed}
              deed={deed}
              rollout={rollout}
              onDone={refresh}
              onClose={() => setDeed(undefined)}
            />
          ) : null}
        </>
      )}
    />
  )
}
