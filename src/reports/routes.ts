import type { HttpServer } from '../http/index.ts'
import { actorOf } from '../identity/index.ts'
import * as schemas from './schemas.ts'
import type { Reports } from './service.ts'

export function mountReports(app: HttpServer, reports: Reports): void {
  app.get(
    '/v1/operations/:operation/figures',
    {
      config: { access: 'report.view' },
      schema: {
        summary: 'Seizures and quantities, from extracts',
        params: schemas.InOperation,
        response: { 200: schemas.Figures },
      },
    },
    async (request) => {
      const figures = await reports.figures(actorOf(request), request.params.operation)
      return { ...figures, quantities: [...figures.quantities], totals: [...figures.totals] }
    },
  )
}
