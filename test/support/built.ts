// Owns: `dist/` being there and up to date before end-to-end and packaging tests start (vitest global setup).
import { build } from '../../scripts/build.ts'

export default function setup(): void {
  build()
}
