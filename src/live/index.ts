export { frameDuties } from './duties.ts'
export { Hub, type HubDeps } from './hub.ts'
export { mountLive, registerLive, type LiveRouteDeps } from './routes.ts'
