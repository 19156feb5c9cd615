import { render } from 'preact'
import { TryFlags } from './try-flags.tsx'
import './style.css'

const root = document.getElementById('app')
if (root) render(<TryFlags />, root)
