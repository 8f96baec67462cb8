// Owns: the seed of all property tests: the same everywhere, so that a red run is red again (vitest setup file).
// Other values are tried by PROPERTY_SEED=<number>.
import fc from 'fast-check'

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(process.env['PROPERTY_SEED'] ?? 20_261_121) })
