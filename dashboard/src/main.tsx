import { render } from 'preact'
import { IncidentPage } from './incident-page.tsx'
import { RolloutPage } from './rollout-page.tsx'
import { TryFlags } from './try-flags.tsx'
import './style.css'
import './narrow.css'

function pageOf(path: string) {
  const [, page, id = ''] = /^\/(rollouts|incidents)\/([\w-]+)\/?$/.exec(path) ?? []
  switch (page) {
    case 'rollouts':
      return <RolloutPage id={id} />
    case 'incidents':
      return <IncidentPage id={id} />
    default:
      return <TryFlags />
  }
}

const root = document.getElementById('app')
if (root) render(pageOf(location.pathname), root)
