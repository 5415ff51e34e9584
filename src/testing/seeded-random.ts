export { seededRandom } from '../kernel/random.ts'
