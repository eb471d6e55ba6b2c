export { frameDuties } from './duties.ts'
export { Hub } from './hub.ts'
export { mountLive, registerLive } from './routes.ts'
